// A lock by SET NX PX: the library redis-lock over node-redis, with as many who want it as a stock has items.
import assert from 'node:assert/strict';
import { createClient } from 'redis';
import redisLock from 'redis-lock';
import { check, finish, sleep, url } from './suite.mjs';

const clients = await Promise.all(Array.from({ length: 5 }, () => createClient({ url }).connect()));
await clients[0].flushAll();
clients.forEach((client) => { client.v4 ??= client; }); // it looks for the mark of node-redis 4
const locks = clients.map((client) => redisLock(client, 2));

await check('one at a time is inside', async () => {
  await clients[0].set('stock', '50');
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const client = clients[i % 5];
    const unlock = await locks[i % 5]('stock', 10000);
    inside += 1;
    most = Math.max(most, inside);
    const left = Number(await client.get('stock')); // read, think, write: wrong without a lock
    await sleep(1);
    await client.set('stock', String(left - 1));
    inside -= 1;
    await unlock();
  }));
  assert.equal(most, 1);
  assert.equal(await clients[0].get('stock'), '0');
  assert.equal(await clients[0].exists('lock.stock'), 0);
});

await check('a lock whose owner died ends by itself', async () => {
  await locks[0]('dead', 500);
  const began = Date.now();
  const unlock = await locks[1]('dead', 1000);
  assert.ok(Date.now() - began >= 200);
  await unlock();
});

await check('different locks do not wait for each other', async () => {
  const first = await locks[0]('one', 5000);
  const second = await locks[1]('two', 5000);
  await Promise.all([first(), second()]);
});

finish();
