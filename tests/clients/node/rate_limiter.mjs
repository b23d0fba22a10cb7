// Limits of requests: rate-limiter-flexible's limiter without scripts, which reads and writes in transactions, over
// ioredis.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { RateLimiterRedisNonAtomic } from 'rate-limiter-flexible';
import { check, finish, host, port, sleep } from './suite.mjs';

const redis = new Redis({ host, port });
await redis.flushall();
const limiter = new RateLimiterRedisNonAtomic({ storeClient: redis, points: 3, duration: 2, keyPrefix: 'limit' });

await check('a limit needs the counter alone', async () => {
  // What the classic limiter does by hand: count in a window, and let the window end by itself.
  const taken = [];
  for (let i = 0; i < 5; i += 1) {
    await redis.set('window', 0, 'PX', 1000, 'NX');
    taken.push(await redis.incr('window') <= 3);
  }
  assert.deepEqual(taken, [true, true, true, false, false]);
  await sleep(1050);
  assert.equal(await redis.get('window'), null);
});

await check('after the last point it refuses and says for how long', async () => {
  assert.equal((await limiter.consume('alice')).remainingPoints, 2);
  await limiter.consume('alice');
  await limiter.consume('alice');
  const refused = await limiter.consume('alice').then(() => null, (reason) => reason);
  if (refused instanceof Error || refused === null) throw refused ?? new Error('not refused');
  assert.equal(refused.remainingPoints, 0);
  assert.ok(refused.msBeforeNext > 0 && refused.msBeforeNext <= 2000);
}, 'multi');

await check('somebody else is not meant', async () => {
  assert.equal((await limiter.consume('bob')).remainingPoints, 2);
}, 'multi');

await check('the next window begins anew', async () => {
  await limiter.consume('alice').catch((reason) => { if (reason instanceof Error) throw reason; });
  await sleep(2050);
  assert.equal((await limiter.consume('alice')).consumedPoints, 1);
}, 'multi');

finish();
