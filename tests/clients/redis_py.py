"""redis-py, blocking and asyncio: the areas of its interface that strings, keys, messages and operators need."""

import asyncio
import datetime
import threading
import time

import redis
import redis.asyncio

from suite import HOST, PORT, URL, case, connect, finish, raises, same, until

r = connect()
text = connect(decode_responses=True)
r.flushall()


@case()
def it_connects_and_answers():
    same(r.ping(), True)
    same(r.echo("hello"), b"hello")
    same(redis.from_url(URL + "/3").connection_pool.connection_kwargs["db"], 3)
    same(redis.from_url(URL + "/3").ping(), True)


@case()
def set_takes_all_its_options():
    same(r.set("s", "1"), True)
    same(r.set("s", "2", nx=True), None)
    same(r.set("s", "2", xx=True, ex=100), True)
    assert 98 <= r.ttl("s") <= 100
    same(r.set("s", "3", keepttl=True), True)
    assert r.ttl("s") > 90
    same(r.set("s", "4", get=True), b"3")
    same(r.ttl("s"), -1)
    same(r.set("s", "5", px=datetime.timedelta(seconds=50)), True)
    assert 49000 <= r.pttl("s") <= 50000
    same(r.set("s", "6", exat=int(time.time()) + 60), True)
    assert r.ttl("s") in (58, 59, 60)
    same(r.set("s", "7", pxat=int(time.time() * 1000) + 60000), True)
    same(r.set("s2", "1", nx=True, get=True), None)
    raises(redis.ResponseError, r.execute_command, "SET", "s", "v", "EX", "0", text="invalid expire")


@case()
def values_of_any_bytes_come_back():
    for value in (b"", b"\0\r\n\xff", bytes(range(256)) * 300, "grüße"):
        r.set(b"bytes\0\r\n", value)
        same(r.get(b"bytes\0\r\n"), value if isinstance(value, bytes) else value.encode())
    same(text.set("u", "grüße ☃"), True)
    same(text.get("u"), "grüße ☃")
    same(r.get("nothing"), None)


@case()
def counters_count():
    r.delete("n", "f")
    same(r.incr("n"), 1)
    same(r.incr("n", 41), 42)
    same(r.decr("n", 2), 40)
    same(r.incrbyfloat("f", "1.5"), 1.5)
    same(r.incrbyfloat("f", -3), -1.5)
    r.set("n", "no number")
    raises(redis.ResponseError, r.incr, "n", text="not an integer")
    r.set("n", 2**63 - 1)
    raises(redis.ResponseError, r.incr, "n", text="overflow")


@case()
def parts_of_strings():
    r.set("p", "Hello World")
    same(r.getrange("p", 0, 4), b"Hello")
    same(r.substr("p", -5), b"World")
    same(r.setrange("p", 6, "Redis"), 11)
    same(r.append("p", "!"), 12)
    same(r.strlen("p"), 12)
    same(r["p"], b"Hello Redis!")
    same(r.getset("p", "x"), b"Hello Redis!")
    same(r.getdel("p"), b"x")
    same(r.exists("p"), 0)
    r.mset({"l1": "ohmytext", "l2": "mynewtext"})
    same(r.execute_command("LCS", "l1", "l2"), b"mytext")


@case()
def many_keys_at_once():
    same(r.mset({f"m{i}": i for i in range(200)}), True)
    same(r.mget([f"m{i}" for i in range(0, 200, 50)] + ["none"]), [b"0", b"50", b"100", b"150", None])
    same(r.exists(*[f"m{i}" for i in range(200)]), 200)
    same(r.touch("m1", "m2", "none"), 2)
    same(r.unlink(*[f"m{i}" for i in range(100)]), 100)
    same(r.delete(*[f"m{i}" for i in range(200)]), 100)


@case(needs="msetnx")
def msetnx_sets_all_or_none():
    r.delete("x1", "x2")
    same(r.msetnx({"x1": 1, "x2": 2}), True)
    same(r.msetnx({"x2": 3, "x3": 4}), False)
    same(r.get("x3"), None)


@case(needs="rename")
def keys_are_renamed():
    r.delete("to")
    r.set("from", "v", ex=100)
    same(r.rename("from", "to"), True)
    same(r.get("to"), b"v")
    assert r.ttl("to") > 90
    raises(redis.ResponseError, r.rename, "from", "to", text="no such key")
    r.set("from", "w")
    same(r.renamenx("from", "to"), False)


@case(needs="copy")
def keys_are_copied():
    r.set("from", "v")
    r.delete("to")
    same(r.copy("from", "to"), True)
    same(r.copy("from", "to"), False)
    same(r.copy("from", "to", replace=True), True)


@case()
def keys_expire():
    r.set("e", "v")
    same(r.expire("e", 100), True)
    same(r.expire("e", 50, gt=True), False)
    same(r.expire("e", 50, lt=True), True)
    same(r.expire("e", 60, nx=True), False)
    same(r.persist("e"), True)
    same(r.expire("e", 60, xx=True), False)
    when = datetime.datetime.now() + datetime.timedelta(seconds=70)
    same(r.expireat("e", when), True)
    assert 68 <= r.ttl("e") <= 70
    same(r.getex("e", persist=True), b"v")
    same(r.ttl("e"), -1)
    same(r.getex("e", px=20), b"v")
    until(lambda: r.get("e") is None)
    same(r.ttl("e"), -2)
    r.psetex("e", 20, "v")
    until(lambda: r.exists("e") == 0)
    same(r.setex("e", 60, "v"), True)
    assert 58 <= r.execute_command("EXPIRETIME", "e") - time.time() <= 61


@case()
def bits_and_bitfields():
    r.delete("b", "b2", "bd")
    same(r.setbit("b", 7, 1), 0)
    same(r.getbit("b", 7), 1)
    r.set("b", b"\xff\xf0\x00")
    same(r.bitcount("b"), 12)
    same(r.bitcount("b", 1, 1), 4)
    same(r.bitpos("b", 0), 12)
    r.set("b2", b"\x0f\x0f\x0f")
    same(r.bitop("AND", "bd", "b", "b2"), 3)
    same(r.get("bd"), b"\x0f\x00\x00")
    same(r.bitfield("bf").set("u8", "#1", 200).incrby("u8", "#1", 100, "SAT").get("u8", 8).execute(), [0, 255, 255])


@case()
def hyperloglogs_count():
    r.delete("h1", "h2", "h3")
    same(r.pfadd("h1", *range(1000)), 1)
    assert 960 < r.pfcount("h1") < 1040
    r.pfadd("h2", *range(500, 1500))
    same(r.pfmerge("h3", "h1", "h2"), True)
    assert 1440 < r.pfcount("h3") < 1560


@case()
def scan_finds_every_key_once_or_more():
    r.flushdb()
    keys = {f"scan:{i}".encode() for i in range(500)}
    r.mset({key: 1 for key in keys})
    r.set("other", 1)
    same(set(r.scan_iter(match="scan:*", count=50)), keys)
    same(set(r.scan_iter(match="scan:*", _type="string")), keys)
    same(list(r.scan_iter(_type="list")), [])
    same(set(r.keys("scan:1?")), {f"scan:1{i}".encode() for i in range(10)})
    same(r.dbsize(), 501)
    assert r.randomkey() in keys | {b"other"}
    same(r.type("other"), b"string")
    same(r.type("none"), b"none")


@case()
def a_transaction_looks_at_all_keys_and_sees_its_own():
    r.flushdb()
    r.mset({f"scan:{i}": 1 for i in range(300)})
    with r.pipeline() as pipe:
        pipe.set("scan:new", 1).delete("scan:7").scan(0, match="scan:*", count=100000).dbsize()
        pipe.delete("scan:new").set("scan:late", 1).keys("scan:*")
        _, _, (cursor, some), size, _, _, keys = pipe.execute()
    wanted = {f"scan:{i}".encode() for i in range(300)} - {b"scan:7"}
    found = set(some)
    while cursor != 0:
        with r.pipeline() as pipe:
            pipe.scan(cursor, match="scan:*", count=100000)
            ((cursor, some),) = pipe.execute()
        found |= set(some)
    assert wanted <= found <= wanted | {b"scan:new", b"scan:late"}
    same(size, 300)
    same(set(keys), wanted | {b"scan:late"})
    with r.pipeline() as pipe:
        same(pipe.flushdb().execute(), [True])
    same(r.dbsize(), 0)
    r.set("behind the flush", 1)


@case()
def databases_are_apart():
    other = connect(db=5)
    other.set("only5", 1)
    same(r.exists("only5"), 0)
    same(other.dbsize(), 1)
    same(other.flushdb(), True)
    same(other.dbsize(), 0)
    assert r.dbsize() > 0


@case(needs="swapdb")
def databases_are_swapped():
    same(r.swapdb(5, 6), True)


@case(needs="move")
def keys_are_moved():
    r.set("moving", 1)
    same(r.move("moving", 7), True)
    same(r.exists("moving"), 0)
    connect(db=7).flushdb()


@case()
def dump_and_restore_move_a_value():
    r.set("d", "value" * 10)
    payload = r.dump("d")
    r.delete("d2")
    same(r.restore("d2", 50000, payload), b"OK")
    same(r.get("d2"), b"value" * 10)
    assert 49000 < r.pttl("d2") <= 50000
    raises(redis.ResponseError, r.restore, "d2", 0, payload, text="BUSYKEY")
    raises(redis.ResponseError, r.restore, "d3", 0, payload[:-1] + b"x", text="checksum")
    same(r.restore("d2", 0, payload, replace=True), b"OK")
    same(r.object("encoding", "d2"), b"raw")
    same(r.object("refcount", "d2"), 1)
    assert r.memory_usage("d2") > 50


@case()
def a_pipeline_answers_in_order_and_keeps_errors_apart():
    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"pipe{i}", i).get(f"pipe{i}")
        answers = pipe.execute()
    same(answers[1::2], [str(i).encode() for i in range(1000)])
    with r.pipeline(transaction=False) as pipe:
        pipe.set("a", "x").incr("a").get("a")
        answers = pipe.execute(raise_on_error=False)
    assert isinstance(answers[1], redis.ResponseError)
    same([answers[0], answers[2]], [True, b"x"])


@case(needs="multi")
def a_transaction_is_all_or_nothing():
    with r.pipeline() as pipe:
        same(pipe.set("t1", 1).incr("t1").get("t1").execute(), [True, 2, b"2"])


@case(needs="watch")
def watch_notices_another_writer():
    r.set("w", 1)
    with r.pipeline() as pipe:
        pipe.watch("w")
        value = int(pipe.get("w"))
        r.set("w", 10)
        pipe.multi()
        pipe.set("w", value + 1)
        raises(redis.WatchError, pipe.execute)
    same(r.transaction(lambda pipe: pipe.multi() or pipe.incr("w"), "w"), [11])


@case(needs="evalsha")
def its_lock_by_script():
    with r.lock("redis-py-lock", timeout=5):
        pass


@case()
def wrong_uses_are_errors_of_its_classes():
    raises(redis.ResponseError, r.execute_command, "NOSUCH", "a", text="unknown command")
    raises(redis.ResponseError, r.execute_command, "GET", text="wrong number of arguments")
    raises(redis.ResponseError, r.execute_command, "SELECT", 99, text="out of range")
    raises(redis.ResponseError, connect(username="nobody", password="x").ping, text="WRONGPASS")
    raises(redis.DataError, r.set, "k", None)


@case()
def messages_reach_channels_and_patterns():
    with r.pubsub(ignore_subscribe_messages=False) as p:
        p.subscribe("news")
        p.psubscribe("new*")
        found = [p.get_message(timeout=5) for _ in range(2)]
        same([(m["type"], m["channel"], m["data"]) for m in found],
             [("subscribe", b"news", 1), ("psubscribe", b"new*", 2)])
        same(r.publish("news", "hello"), 2)
        found = [p.get_message(timeout=5) for _ in range(2)]
        same(sorted((m["type"], m["pattern"], m["data"]) for m in found),
             [("message", None, b"hello"), ("pmessage", b"new*", b"hello")])
        same(r.pubsub_channels(), [b"news"])
        same(r.pubsub_numsub("news", "none"), [(b"news", 1), (b"none", 0)])
        same(r.pubsub_numpat(), 1)
        p.ping("alive")
        same(p.get_message(timeout=5)["data"], b"alive")
        p.unsubscribe()
        p.punsubscribe()
        same([p.get_message(timeout=5)["type"] for _ in range(2)], ["unsubscribe", "punsubscribe"])


@case()
def a_thread_handles_messages():
    found = []
    with r.pubsub() as p:
        p.subscribe(**{"worker": lambda message: found.append(message["data"])})
        thread = p.run_in_thread(sleep_time=0.01)
        until(lambda: r.publish("worker", "first") == 1)
        for i in range(100):
            r.publish("worker", i)
        until(lambda: b"99" in found)
        same(found[-100:], [str(i).encode() for i in range(100)])
        thread.stop()
        thread.join()


@case()
def keyspace_events_are_published():
    before = r.config_get("notify-keyspace-events")["notify-keyspace-events"]
    r.config_set("notify-keyspace-events", "KEA")
    with r.pubsub(ignore_subscribe_messages=True) as p:
        p.psubscribe("__keyevent@0__:*")
        until(lambda: r.pubsub_numpat() == 1)
        r.set("ev", 1)
        r.expire("ev", 100)
        r.delete("ev")
        found = []
        until(lambda: found.append(p.get_message(timeout=0.1)) or len([m for m in found if m]) == 3)
        same([m["channel"] for m in found if m],
             [b"__keyevent@0__:set", b"__keyevent@0__:expire", b"__keyevent@0__:del"])
    r.config_set("notify-keyspace-events", before)


@case()
def keys_that_expire_are_told_once_though_nobody_touches_them():
    before = r.config_get("notify-keyspace-events")["notify-keyspace-events"]
    r.config_set("notify-keyspace-events", "Kx")
    with r.pubsub(ignore_subscribe_messages=True) as p:
        p.psubscribe("__keyspace@*__:expiring:*")
        until(lambda: r.pubsub_numpat() == 1)
        wanted = set()
        for i in range(50):
            connect(db=i % 4).set(f"expiring:{i}", i, px=50 + i)
            wanted.add(f"__keyspace@{i % 4}__:expiring:{i}".encode())
        r.set("expiring:persistent", 1, px=3000)
        r.persist("expiring:persistent")
        found = []
        until(lambda: found.append(p.get_message(timeout=0.1)) or len([m for m in found if m]) == 50, 20)
        same({m["channel"] for m in found if m}, wanted)
        same({m["data"] for m in found if m}, {b"expired"})
        same(p.get_message(timeout=0.3), None)
    r.config_set("notify-keyspace-events", before)


@case()
def clients_are_listed_named_and_killed():
    other = connect(client_name="victim")
    other.ping()
    rows = [row for row in r.client_list() if row["name"] == "victim"]
    same(len(rows), 1)
    for field in ("id", "addr", "fd", "age", "idle", "flags", "db", "sub", "psub", "multi", "qbuf", "obl", "oll",
                  "omem", "tot-mem", "cmd", "user", "redir", "resp"):
        assert field in rows[0], f"no {field}"
    same(int(rows[0]["id"]), other.client_id())
    same(r.client_kill_filter(_id=rows[0]["id"]), 1)
    until(lambda: all(row["name"] != "victim" for row in r.client_list()))
    same(other.client_getname(), "victim")  # connected again by itself
    assert r.client_info()["cmd"].startswith("client")
    same(r.client_setname("me"), True)
    same(r.client_getredir(), -1)
    same(r.client_no_evict("ON"), b"OK")
    same(r.client_no_evict("OFF"), b"OK")
    raises(redis.ResponseError, r.client_kill, "1.2.3.4:5", text="No such client")


@case()
def a_pause_holds_writers_back():
    r.client_pause(1000, all=False)
    began = time.monotonic()
    same(text.get("none"), None)
    assert time.monotonic() - began < 0.9, "a reader was paused"
    text.set("paused", 1)
    assert time.monotonic() - began > 0.5, "a writer was not paused"
    r.client_pause(60000, all=False)
    same(r.client_unpause(), b"OK")
    text.set("paused", 1)


@case()
def info_parses():
    info = r.info()
    assert info["redis_version"].startswith("7.") and info["redis_mode"] == "standalone"
    for field in ("connected_clients", "used_memory", "total_commands_processed", "role", "uptime_in_seconds",
                  "maxmemory_policy", "keyspace_hits", "keyspace_misses", "loading"):
        assert field in info, f"no {field}"
    assert r.info("commandstats")["cmdstat_set"]["calls"] > 0
    assert set(r.info("server", "clients")) >= {"redis_version", "connected_clients"}


@case()
def settings_are_read_and_set():
    same(r.config_get("maxmemory-policy"), {"maxmemory-policy": "noeviction"})
    before = r.config_get("slowlog-log-slower-than")["slowlog-log-slower-than"]
    same(r.config_set("slowlog-log-slower-than", 0), True)
    r.get("slow one")
    entries = r.slowlog_get(10)
    assert any(b"slow one" in entry["command"] for entry in entries), entries
    assert r.slowlog_len() > 0
    same(r.config_set("slowlog-log-slower-than", before), True)
    same(r.slowlog_reset(), True)
    same(r.config_resetstat(), True)
    raises(redis.ResponseError, r.config_set, "nosuchsetting", 1, text="Unknown option")


@case()
def commands_describe_themselves():
    commands = r.command()
    same(commands["get"]["arity"], 2)
    same(commands["set"]["first_key_pos"], 1)
    assert "readonly" in commands["get"]["flags"]
    assert r.command_count() == len(commands)
    same(r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"])
    same(len(r.execute_command("COMMAND DOCS", "get", "set")), 4)


@case()
def users_have_rights():
    same(text.acl_whoami(), "default")
    same(r.acl_setuser("reader", enabled=True, passwords=["+pw"], categories=["+@read"], commands=["+ping"],
                       keys=["app:*"]), True)
    reader = connect(username="reader", password="pw")
    same(reader.ping(), True)
    same(reader.get("app:1"), None)
    raises(redis.exceptions.NoPermissionError, reader.get, "elsewhere")
    raises(redis.exceptions.NoPermissionError, reader.set, "app:1", "v")
    assert "reader" in r.acl_users()
    same(r.acl_getuser("reader")["enabled"], True)
    assert len(r.acl_log()) >= 2
    same(r.acl_log_reset(), True)
    same(r.acl_deluser("reader"), 1)


@case()
def it_watches_commands():
    with r.monitor() as monitor:
        text.set("watched", "a b")
        for command in monitor.listen():
            if "watched" in command["command"]:
                break
        same(command["command"], "SET watched a b")
        same(command["client_type"], "tcp")


@case()
def operators_ask_the_rest():
    same(r.role()[0], b"master")
    same(r.wait(0, 10) >= 0, True)
    seconds, microseconds = r.time()
    assert abs(seconds - time.time()) < 3 and 0 <= microseconds < 1000000
    assert text.lolwut()
    same(r.execute_command("LATENCY", "LATEST"), [])
    same(r.execute_command("LATENCY", "RESET"), 0)
    same(r.memory_purge(), True)
    assert "peak.allocated" in r.memory_stats()
    same(r.module_list(), [])
    same(r.replicaof("NO", "ONE"), b"OK")


@case()
def many_threads_share_a_pool():
    pool = redis.BlockingConnectionPool(host=HOST, port=PORT, max_connections=8, timeout=20)
    shared = redis.Redis(connection_pool=pool)
    shared.delete("shared")

    def work():
        for _ in range(200):
            shared.incr("shared")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(shared.get("shared"), b"3200")


async def use_asyncio():
    client = redis.asyncio.Redis(host=HOST, port=PORT, decode_responses=True)
    await client.set("async", 0)
    await asyncio.gather(*(client.incr("async") for _ in range(200)))
    same(await client.get("async"), "200")
    async with client.pipeline(transaction=False) as pipe:
        same(await pipe.set("a", 1).get("a").execute(), [True, "1"])
    subscriber = client.pubsub(ignore_subscribe_messages=True)
    await subscriber.subscribe("async channel")
    while await client.publish("async channel", "m") == 0:
        await asyncio.sleep(0.01)
    message = None
    while message is None:
        message = await subscriber.get_message(timeout=5)
    same((message["channel"], message["data"]), ("async channel", "m"))
    found = [key async for key in client.scan_iter(match="async")]
    same(found, ["async"])
    await subscriber.close()
    await client.close()


@case()
def asyncio_works_the_same():
    asyncio.run(asyncio.wait_for(use_asyncio(), 15))


finish()
