"""Django Channels' layer over messages, channels_redis.pubsub: what websocket servers tell each other."""

import asyncio

from channels_redis.pubsub import RedisPubSubChannelLayer

from suite import URL, case, connect, finish, same


def layer():
    return RedisPubSubChannelLayer(hosts=[URL], prefix="layer")


def in_a_loop(scenario):
    asyncio.run(asyncio.wait_for(scenario, 15))


async def subscribed(pattern, count):
    """The layer sends SUBSCRIBE and does not wait for the answer: what overtakes it is lost with any server."""
    server = connect(decode_responses=True)
    names = []
    while not names or server.pubsub_numsub(names[0])[0][1] < count:
        await asyncio.sleep(0.01)
        names = server.pubsub_channels(pattern)
    server.close()


async def alone():
    one = layer()
    channel = await one.new_channel()
    await subscribed("layer*", 1)
    await one.send(channel, {"type": "hello", "bytes": b"\0\xff", "n": 1})
    same(await one.receive(channel), {"type": "hello", "bytes": b"\0\xff", "n": 1})
    await one.flush()


@case()
def a_message_reaches_its_channel():
    in_a_loop(alone())


async def group():
    servers = [layer() for _ in range(3)]
    channels = [await server.new_channel() for server in servers]
    for server, channel in zip(servers, channels):
        await server.group_add("room", channel)
    await subscribed("*room", len(servers))
    for i in range(20):
        await servers[i % 3].group_send("room", {"type": "chat", "n": i})
    for server, channel in zip(servers, channels):
        same(sorted([(await server.receive(channel))["n"] for _ in range(20)]), list(range(20)))
    await servers[0].group_discard("room", channels[0])
    await servers[1].group_send("room", {"type": "chat", "n": "later"})
    same((await servers[2].receive(channels[2]))["n"], "later")
    await servers[1].send(channels[0], {"type": "direct"})
    same((await servers[0].receive(channels[0]))["type"], "direct")
    for server in servers:
        await server.flush()


@case()
def a_group_is_reached_at_all_servers():
    in_a_loop(group())


async def late():
    one = layer()
    channel = await one.new_channel()
    reader = asyncio.create_task(one.receive(channel))
    await asyncio.sleep(0.05)
    await layer().send(channel, {"type": "woken"})
    same((await reader)["type"], "woken")
    await one.flush()


@case()
def a_reader_that_waits_is_woken_by_another_server():
    in_a_loop(late())


finish()
