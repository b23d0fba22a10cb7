"""dogpile.cache: results shared by processes, made by one of those who want them, and never older than allowed."""

import threading
import time

from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE

from suite import HOST, PORT, case, connect, finish, same

store = connect()
store.flushdb()


def region(**arguments):
    return make_region(key_mangler=lambda key: "dp:" + key).configure(
        "dogpile.cache.redis", expiration_time=60, arguments={"host": HOST, "port": PORT, **arguments})


@case()
def values_come_back_elsewhere():
    here, there = region(redis_expiration_time=100), region()
    here.set("a", {"x": [1, 2]})
    same(there.get("a"), {"x": [1, 2]})
    assert 98 <= store.ttl("dp:a") <= 100
    same(there.get("none"), NO_VALUE)
    here.delete("a")
    same(there.get("a"), NO_VALUE)


@case()
def one_makes_it_for_all_who_wait():
    shared = region()
    made = []

    def make():
        made.append(1)
        time.sleep(0.05)
        return "made"

    found = []
    threads = [threading.Thread(target=lambda: found.append(shared.get_or_create("slow", make))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same((found, len(made)), (["made"] * 20, 1))


@case()
def an_invalidated_region_makes_them_again():
    shared = region()
    shared.set("old", 1)
    time.sleep(0.01)
    shared.invalidate()
    same(shared.get_or_create("old", lambda: 2), 2)


@case()
def many_at_once():
    shared = region()
    shared.set_multi({"m1": 1, "m2": 2})
    same(shared.get_multi(["m1", "none", "m2"]), [1, NO_VALUE, 2])
    same(shared.get_or_create_multi(["m1", "m3"], lambda *keys: [f"made {len(keys)}"]), [1, "made 1"])
    shared.delete_multi(["m1", "m2"])
    same(shared.get_multi(["m1", "m2"]), [NO_VALUE, NO_VALUE])


@case(needs="multi")
def many_at_once_with_a_time_to_live():
    shared = region(redis_expiration_time=50)
    shared.set_multi({"e1": 1, "e2": 2})
    assert 48 <= store.ttl("dp:e1") <= 50


finish()
