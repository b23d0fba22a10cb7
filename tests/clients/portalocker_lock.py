"""portalocker's RedisLock: who holds it is who listens to its channel; the holder's death frees it."""

import threading
import time

import portalocker
import portalocker.redis

from suite import HOST, PORT, case, connect, finish, raises, same, until

store = connect()
store.flushdb()


def lock(**options):
    return portalocker.redis.RedisLock("the-lock", redis_kwargs={"host": HOST, "port": PORT}, thread_sleep_time=0.01,
                                       **options)


@case()
def one_holds_it():
    with lock():
        same(store.pubsub_numsub("the-lock"), [(b"the-lock", 1)])
        raises(portalocker.AlreadyLocked, lock(timeout=0.2, fail_when_locked=True).acquire)
    until(lambda: store.pubsub_numsub("the-lock") == [(b"the-lock", 0)])


@case()
def the_next_gets_it_when_it_is_free():
    first, second = lock(), lock(timeout=10, check_interval=0.05)
    first.acquire()
    threading.Timer(0.3, first.release).start()
    began = time.monotonic()
    second.acquire()
    assert time.monotonic() - began > 0.25
    second.release()


@case()
def a_holder_that_dies_frees_it():
    dead = connect(client_name="the-lock-lock").pubsub()
    dead.subscribe("the-lock")
    until(lambda: store.pubsub_numsub("the-lock") == [(b"the-lock", 1)])
    raises(portalocker.AlreadyLocked, lock(timeout=0.2).acquire)
    same(store.client_kill_filter(_type="pubsub"), 1)
    mine = lock(timeout=5, check_interval=0.05)
    mine.acquire()
    same(store.pubsub_numsub("the-lock"), [(b"the-lock", 1)])
    mine.release()


finish()
