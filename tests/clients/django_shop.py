"""A Django site: django-redis as its cache, Django's sessions in that cache, and throttles of Django REST framework."""


import django
from django.conf import settings
from django.core.cache import cache

from suite import URL, case, connect, finish, same, until

settings.configure(
    SECRET_KEY="only for this test",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": URL + "/1", "KEY_PREFIX": "site",
                        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}},
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": [],
                    "DEFAULT_THROTTLE_RATES": {"anon": "3/min"}},
)
django.setup()

from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import AnonRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

computed = []


def count(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    response = HttpResponse(request.session["visits"])
    response["Cache-Control"] = "no-store, private"
    return response


def login(request):
    request.session.cycle_key()
    request.session["user"] = request.GET["user"]
    return HttpResponse("ok", headers={"Cache-Control": "private"})


def logout(request):
    request.session.flush()
    return HttpResponse("bye", headers={"Cache-Control": "private"})


def slow_page(request):
    computed.append(request.path)
    return HttpResponse(f"page {len(computed)}")


class Limited(APIView):
    throttle_classes = [AnonRateThrottle]

    def get(self, request):
        return Response({"ok": True}, headers={"Cache-Control": "private"})


urlpatterns = [path("count", count), path("login", login), path("logout", logout), path("slow", slow_page),
               path("limited", Limited.as_view())]
store = connect(db=1)
store.flushdb()


@case()
def a_cache_keeps_what_it_is_given():
    cache.set("a", {"deep": [1, None, "drei"]}, timeout=60)
    same(cache.get("a"), {"deep": [1, None, "drei"]})
    same(cache.get("none", "default"), "default")
    assert 58 <= cache.ttl("a") <= 60
    same(cache.add("a", 1), False)
    same(cache.add("new", 1), True)
    same(cache.touch("a", 100), True)
    assert cache.ttl("a") > 60
    same(cache.has_key("a"), True)
    same(cache.delete("a"), True)
    same(cache.get("a"), None)
    same(cache.get_or_set("computed", lambda: 42, 60), 42)
    same(store.exists("site:1:computed"), 1)


@case()
def it_forgets_in_time():
    cache.set("short", 1, timeout=0.03)
    until(lambda: cache.get("short") is None)
    cache.set("kept", 1, timeout=None)
    same(cache.ttl("kept"), None)
    same(cache.persist("computed"), True)
    same(cache.expire("computed", timeout=30), True)


@case()
def many_are_read_and_versions_are_apart():
    for i in range(20):
        cache.set(f"m{i}", i)
    same(cache.get_many([f"m{i}" for i in range(5)] + ["none"]), {f"m{i}": i for i in range(5)})
    cache.set("v", "one", version=1)
    cache.set("v", "two", version=2)
    same((cache.get("v", version=1), cache.get("v", version=2)), ("one", "two"))
    same(sorted(cache.iter_keys("m1*")), ["m1"] + [f"m1{i}" for i in range(10)])
    same(cache.delete_many(["m1", "m2"]), 2)
    same(cache.delete_pattern("m*"), 18)


@case(needs="multi")
def many_are_written_at_once():
    cache.set_many({"w1": 1, "w2": 2}, timeout=30)
    same(cache.get_many(["w1", "w2"]), {"w1": 1, "w2": 2})


@case(needs="eval")
def it_counts_by_script():
    cache.set("n", 1)
    same(cache.incr("n"), 2)


@case()
def a_session_follows_its_visitor():
    alice, bob = Client(), Client()
    same([alice.get("/count").content for _ in range(3)], [b"1", b"2", b"3"])
    same(bob.get("/count").content, b"1")
    before = alice.cookies["sessionid"].value
    alice.get("/login?user=alice")
    after = alice.cookies["sessionid"].value
    assert before != after and store.exists(f"site:1:django.contrib.sessions.cache{before}") == 0
    same(store.exists(f"site:1:django.contrib.sessions.cache{after}"), 1)
    assert store.ttl(f"site:1:django.contrib.sessions.cache{after}") > 86400
    same(alice.get("/count").content, b"4")
    alice.get("/logout")
    same(store.exists(f"site:1:django.contrib.sessions.cache{after}"), 0)
    same(alice.get("/count").content, b"1")
    same(bob.get("/count").content, b"2")


@case()
def a_whole_page_comes_from_the_cache():
    same(Client().get("/slow").content, b"page 1")
    same(Client().get("/slow").content, b"page 1")
    same(Client().get("/slow?other").content, b"page 2")
    same(len(computed), 2)


@case()
def the_fourth_request_of_a_minute_is_refused():
    visitor = Client(REMOTE_ADDR="10.0.0.1")
    same([visitor.get("/limited").status_code for _ in range(5)], [200, 200, 200, 429, 429])
    assert 0 < int(visitor.get("/limited")["Retry-After"]) <= 60
    same(Client(REMOTE_ADDR="10.0.0.2").get("/limited").status_code, 200)


@case()
def clear_takes_all_of_its_database():
    connect().set("elsewhere", 1)
    cache.clear()
    same(store.dbsize(), 0)
    same(connect().exists("elsewhere"), 1)


finish()
