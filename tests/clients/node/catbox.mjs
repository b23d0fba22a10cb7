// hapi's cache with its Redis engine, @hapi/catbox-redis, which brings an older ioredis of its own.
import assert from 'node:assert/strict';
import { Engine } from '@hapi/catbox-redis';
import Redis from 'ioredis';
import { check, finish, host, port, sleep } from './suite.mjs';

const redis = new Redis({ host, port });
await redis.flushall();
const engine = new Engine({ host, port, partition: 'site' });
await engine.start();
const key = { segment: 'users', id: 'any id: with / odd % characters' };

await check('it is ready', async () => assert.equal(engine.isReady(), true));

await check('an item comes back with when it was stored', async () => {
  const before = Date.now();
  await engine.set(key, { name: 'alice' }, 5000);
  const item = await engine.get(key);
  assert.deepEqual(item.item, { name: 'alice' });
  assert.ok(item.stored >= before && item.stored <= Date.now());
  assert.equal(item.ttl, 5000);
  const ttl = await redis.pttl((await redis.keys('site:users:*'))[0]);
  assert.ok(ttl > 4000 && ttl <= 5000);
});

await check('a missing item is null', async () => {
  assert.equal(await engine.get({ segment: 'users', id: 'nobody' }), null);
});

await check('an item goes when its time has come', async () => {
  await engine.set({ segment: 'users', id: 'short' }, 1, 30);
  await sleep(60);
  assert.equal(await engine.get({ segment: 'users', id: 'short' }), null);
});

await check('a dropped item is gone', async () => {
  await engine.drop(key);
  assert.equal(await engine.get(key), null);
});

await check('rubbish in the store is an error, and no item', async () => {
  await redis.set('site:users:bad', 'no JSON');
  await assert.rejects(engine.get({ segment: 'users', id: 'bad' }), { message: 'Bad envelope content' });
});

await engine.stop();
await redis.quit();
finish();
