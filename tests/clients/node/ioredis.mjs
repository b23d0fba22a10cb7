// ioredis: connections, commands, pipelines, messages and errors, as far as strings, keys and messages need them.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { check, finish, has, host, port, sleep, until, url } from './suite.mjs';

const redis = new Redis({ host, port, maxRetriesPerRequest: 3 });
await redis.flushall();

await check('it becomes ready after its checks', async () => {
  const other = new Redis(url, { connectionName: 'named', db: 2, lazyConnect: true });
  await other.connect();
  assert.equal(other.status, 'ready');
  assert.equal(await other.client('GETNAME'), 'named');
  assert.match(await other.client('INFO'), / db=2 /);
  assert.equal(await other.quit(), 'OK');
});

await check('set and get with their options', async () => {
  assert.equal(await redis.set('k', 'v', 'EX', 100, 'NX'), 'OK');
  assert.equal(await redis.set('k', 'w', 'NX'), null);
  assert.equal(await redis.set('k', 'w', 'KEEPTTL', 'GET'), 'v');
  const ttl = await redis.ttl('k');
  assert.ok(ttl > 95 && ttl <= 100);
  assert.equal(await redis.getex('k', 'PERSIST'), 'w');
  assert.equal(await redis.ttl('k'), -1);
  assert.equal(await redis.getdel('k'), 'w');
  assert.equal(await redis.get('k'), null);
});

await check('buffers come back as they are', async () => {
  const bytes = Buffer.from([0, 13, 10, 255, 254, 128]);
  await redis.set(bytes, Buffer.concat(Array(5000).fill(bytes)));
  assert.deepEqual(await redis.getBuffer(bytes), Buffer.concat(Array(5000).fill(bytes)));
  assert.equal(await redis.strlen(bytes), 30000);
});

await check('numbers, ranges and bits', async () => {
  assert.equal(await redis.incrby('n', 5), 5);
  assert.equal(await redis.decr('n'), 4);
  assert.equal(await redis.incrbyfloat('f', 0.5), '0.5');
  assert.equal(await redis.append('s', 'hello'), 5);
  assert.equal(await redis.setrange('s', 1, 'a'), 5);
  assert.equal(await redis.getrange('s', 0, -1), 'hallo');
  assert.equal(await redis.setbit('bits', 3, 1), 0);
  assert.equal(await redis.bitcount('bits'), 1);
  assert.equal(await redis.bitpos('bits', 1), 3);
  assert.deepEqual(await redis.bitfield('bf', 'SET', 'u4', 0, 9, 'GET', 'u4', 0), [0, 9]);
  assert.equal(await redis.pfadd('hll', 'a', 'b', 'c'), 1);
  assert.equal(await redis.pfcount('hll'), 3);
});

await check('many keys: mset with a Map, mget, exists, unlink', async () => {
  assert.equal(await redis.mset(new Map([['m1', '1'], ['m2', '2']])), 'OK');
  assert.equal(await redis.mset({ m3: 3, m4: 4 }), 'OK');
  assert.deepEqual(await redis.mget('m1', 'none', 'm4'), ['1', null, '4']);
  assert.equal(await redis.exists('m1', 'm2', 'm3', 'none'), 3);
  assert.equal(await redis.unlink('m1', 'm2'), 2);
  assert.equal(await redis.del(['m3', 'm4']), 2);
});

await check('a stream scans all keys', async () => {
  const keys = Array.from({ length: 300 }, (_, i) => `scan:${i}`);
  await redis.mset(keys.flatMap((key) => [key, 1]));
  const found = new Set();
  for await (const some of redis.scanStream({ match: 'scan:*', count: 40, type: 'string' })) {
    some.forEach((key) => found.add(key));
  }
  assert.equal(found.size, 300);
});

await check('a pipeline answers in order, with its errors in their places', async () => {
  const results = await redis.pipeline().set('p', 'x').incr('p').get('p').exec();
  assert.deepEqual(results[0], [null, 'OK']);
  assert.match(results[1][0].message, /not an integer/);
  assert.deepEqual(results[2], [null, 'x']);
});

await check('commands of one turn go out together', async () => {
  const auto = new Redis({ host, port, enableAutoPipelining: true });
  const answers = await Promise.all(Array.from({ length: 2000 }, (_, i) => auto.set(`auto:${i}`, i)
    .then(() => auto.get(`auto:${i}`))));
  assert.deepEqual(answers, Array.from({ length: 2000 }, (_, i) => String(i)));
  auto.disconnect();
});

await check('multi runs all or nothing', async () => {
  assert.deepEqual(await redis.multi().set('t', 1).incr('t').exec(), [[null, 'OK'], [null, 2]]);
}, 'multi');

await check('watch makes exec answer null after a foreign write', async () => {
  const other = redis.duplicate();
  await redis.watch('t');
  await other.set('t', 'foreign');
  other.disconnect();
  assert.equal(await redis.multi().set('t', 'mine').exec(), null);
}, 'watch');

await check('a script defined as a command', async () => {
  redis.defineCommand('twice', { numberOfKeys: 1, lua: 'return redis.call("GET", KEYS[1])' });
  await redis.set('script', 'v');
  assert.equal(await redis.twice('script'), 'v');
}, 'eval');

await check('messages reach subscribers in order', async () => {
  const subscriber = redis.duplicate();
  const found = [];
  subscriber.on('message', (channel, message) => found.push(`${channel}:${message}`));
  subscriber.on('pmessage', (pattern, channel, message) => found.push(`${pattern}>${channel}:${message}`));
  assert.equal(await subscriber.subscribe('a', 'b'), 2);
  assert.equal(await subscriber.psubscribe('a*'), 3);
  for (let i = 0; i < 50; i += 1) {
    assert.equal(await redis.publish('a', i), 2);
  }
  await until(() => found.length === 100);
  assert.deepEqual(found.filter((line) => line.startsWith('a:')), Array.from({ length: 50 }, (_, i) => `a:${i}`));
  assert.equal(await subscriber.unsubscribe('a', 'b'), 1);
  assert.equal(await subscriber.punsubscribe('a*'), 0);
  assert.equal(await subscriber.ping(), 'PONG');
  subscriber.disconnect();
});

await check('messages of a shard channel', async () => {
  const subscriber = redis.duplicate();
  const found = [];
  subscriber.on('smessage', (channel, message) => found.push(message));
  assert.equal(await subscriber.ssubscribe('shard'), 1);
  assert.equal(await redis.spublish('shard', 'm'), 1);
  await until(() => found.length === 1);
  subscriber.disconnect();
});

await check('a killed connection comes back with its subscriptions and its queue', async () => {
  const victim = new Redis({ host, port, retryStrategy: () => 20 });
  const found = [];
  victim.on('error', () => {});
  victim.on('message', (channel, message) => found.push(message));
  const id = await victim.client('ID');
  await victim.subscribe('after');
  assert.equal(await redis.client('KILL', 'ID', id), 1);
  await until(async () => {
    await redis.publish('after', 'm');
    return found.length > 0;
  });
  victim.disconnect();
});

await check('monitor sees commands of others', async () => {
  const monitor = await redis.monitor();
  const seen = [];
  monitor.on('monitor', (time, args) => seen.push(args.join(' ')));
  await redis.set('seen', 'by monitor');
  await until(() => seen.some((line) => /^set seen by monitor$/i.test(line)));
  monitor.disconnect();
});

await check('errors are ReplyErrors with the words of Redis', async () => {
  await assert.rejects(redis.call('NOSUCH', 'x'), { name: 'ReplyError', message: /^ERR unknown command/ });
  await assert.rejects(redis.call('GET'), { message: /^ERR wrong number of arguments for 'get' command/ });
  await redis.set('text', 'abc');
  await assert.rejects(redis.incr('text'), { message: 'ERR value is not an integer or out of range' });
  await assert.rejects(redis.pfadd('text', 'x'), { message: /^WRONGTYPE/ });
});

await check('a user of the ACL', async () => {
  await redis.acl('SETUSER', 'io', 'on', '>pw', '~io:*', '+@all', '-@dangerous');
  const user = new Redis({ host, port, username: 'io', password: 'pw', retryStrategy: null, enableReadyCheck: false });
  assert.equal(await user.set('io:1', 'v'), 'OK');
  await assert.rejects(user.set('other', 'v'), { message: /^NOPERM/ });
  await assert.rejects(user.flushall(), { message: /^NOPERM/ });
  user.disconnect();
  await redis.acl('DELUSER', 'io');
});

await check('blocked, expired, and gone', async () => {
  await redis.psetex('gone', 30, 'v');
  await sleep(60);
  assert.equal(await redis.get('gone'), null);
  assert.equal(await redis.pttl('gone'), -2);
  assert.equal(await redis.dbsize() > 0, true);
});

await check('its table of commands knows what the server has', async () => {
  assert.ok(has('get') && has('client|info') === has('client|info'));
  const rows = await redis.call('COMMAND', 'INFO', 'get', 'mset', 'nosuch');
  assert.equal(rows[0][0], 'get');
  assert.equal(rows[0].length, 10);
  assert.equal(rows[1][3], 1);
  assert.equal(rows[2], null);
});

await redis.quit();
finish();
