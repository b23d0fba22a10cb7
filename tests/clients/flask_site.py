"""A Flask site: sessions by Flask-Session, pages and results by Flask-Caching (and cachelib below it), on one store."""

import flask
from flask_caching import Cache
from flask_session import Session

from suite import HOST, PORT, case, connect, finish, same, until

store = connect()
store.flushdb()
app = flask.Flask("site")
app.config.update(SECRET_KEY="only for this test", SESSION_TYPE="redis", SESSION_REDIS=store, SESSION_KEY_PREFIX="s:",
                  PERMANENT_SESSION_LIFETIME=100, CACHE_TYPE="RedisCache", CACHE_REDIS_HOST=HOST,
                  CACHE_REDIS_PORT=PORT, CACHE_KEY_PREFIX="c:", CACHE_DEFAULT_TIMEOUT=60)
Session(app)
cache = Cache(app)
computed = []


@app.route("/add/<item>")
def add(item):
    flask.session.setdefault("basket", []).append(item)
    flask.session.modified = True
    return flask.jsonify(flask.session["basket"])


@app.route("/clear")
def clear():
    flask.session.clear()
    return "cleared"


@app.route("/page/<name>")
@cache.cached(timeout=50)
def page(name):
    computed.append(name)
    return f"{name} {len(computed)}"


@cache.memoize(timeout=50)
def square(number):
    computed.append(number)
    return number * number


@case()
def a_session_is_kept_on_the_server():
    alice, bob = app.test_client(), app.test_client()
    same(alice.get("/add/tea").json, ["tea"])
    same(alice.get("/add/milk").json, ["tea", "milk"])
    same(bob.get("/add/coffee").json, ["coffee"])
    keys = store.keys("s:*")
    same(len(keys), 2)
    assert all(95 <= store.ttl(key) <= 100 for key in keys)
    same(alice.get("/clear").text, "cleared")
    same(len(store.keys("s:*")), 1)
    same(alice.get("/add/bread").json, ["bread"])


@case()
def a_page_is_made_once():
    one = app.test_client()
    same([one.get("/page/a").text, one.get("/page/a").text, one.get("/page/b").text], ["a 1", "a 1", "b 2"])


@case()
def a_result_is_computed_once_for_each_argument():
    computed.clear()
    with app.app_context():
        same([square(3), square(3), square(4)], [9, 9, 16])
        same(computed, [3, 4])
        cache.delete_memoized(square, 3)
        same([square(3), square(4)], [9, 16])
        same(computed, [3, 4, 3])


@case()
def the_cache_itself():
    with app.app_context():
        same(cache.set("k", {"a": 1}, timeout=10), True)
        same(cache.get("k"), {"a": 1})
        same(cache.add("k", 2), False)
        same(cache.has("k"), True)
        assert 8 <= store.ttl("c:k") <= 10
        same(cache.get_many("k", "none"), [{"a": 1}, None])
        same(bool(cache.set_many({"x": 1, "y": 2})), True)
        same(cache.get_dict("x", "y"), {"x": 1, "y": 2})
        same(cache.cache.inc("n", 5), 5)
        same(cache.cache.dec("n", 2), 3)
        same(bool(cache.delete_many("x", "y")), True)
        same(cache.get_many("x", "y"), [None, None])
        cache.set("short", 1, timeout=1)
        until(lambda: cache.get("short") is None)
        store.set("other", 1)
        same(bool(cache.clear()), True)
        same(cache.get("k"), None)


finish()
