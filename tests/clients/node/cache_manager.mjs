// A cache in two tiers in front of something slow: cache-manager with keyv and @keyv/redis.
import assert from 'node:assert/strict';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import KeyvRedis, { createClient } from '@keyv/redis';
import { check, finish, sleep, url } from './suite.mjs';

const client = createClient({ url });
await client.connect();
await client.flushAll();

const store = () => new Keyv({ store: new KeyvRedis(url), namespace: 'shop', useKeyPrefix: false });
const keyv = store();
const cache = createCache({ stores: [keyv], ttl: 10000 });

await check('what was cached comes back, also elsewhere', async () => {
  await cache.set('a', { deep: [1, 'two', null] });
  assert.deepEqual(await cache.get('a'), { deep: [1, 'two', null] });
  const elsewhere = createCache({ stores: [store()] });
  assert.deepEqual(await elsewhere.get('a'), { deep: [1, 'two', null] });
  assert.equal(await cache.get('none'), undefined);
});

await check('the time to live is that of the store', async () => {
  await cache.set('short', 1, 600);
  const [key] = await client.keys('*short');
  const ttl = await client.pTTL(key);
  assert.ok(ttl > 0 && ttl <= 600);
  await sleep(650);
  assert.equal(await cache.get('short'), undefined);
});

await check('something slow is asked once for many who want it', async () => {
  let asked = 0;
  const slow = async () => {
    asked += 1;
    await sleep(20);
    return 'answer';
  };
  const answers = await Promise.all(Array.from({ length: 50 }, () => cache.wrap('slow', slow, 5000)));
  assert.deepEqual(new Set(answers), new Set(['answer']));
  assert.equal(asked, 1);
  assert.equal(await cache.wrap('slow', slow), 'answer');
  assert.equal(asked, 1);
});

await check('many are read at once', async () => {
  await Promise.all([1, 2, 3].map((n) => cache.set(`many${n}`, n)));
  assert.deepEqual(await keyv.get(['many1', 'none', 'many3']), [1, undefined, 3]);
  assert.deepEqual(await cache.mget(['many2', 'many3']), [2, 3]);
});

await check('many are written at once', async () => {
  await cache.mset([{ key: 'w1', value: 1 }, { key: 'w2', value: 2 }]);
  assert.deepEqual(await cache.mget(['w1', 'w2']), [1, 2]);
}, 'multi');

await check('deleted is deleted', async () => {
  assert.equal(await cache.del('a'), true);
  assert.equal(await cache.get('a'), undefined);
  assert.equal(await keyv.has('a'), false);
  assert.equal(await keyv.has('many1'), true);
});

await check('clear takes this name space only', async () => {
  await client.set('not ours', 'stays');
  await cache.clear();
  assert.equal(await cache.get('many1'), undefined);
  assert.equal(await client.get('not ours'), 'stays');
});

finish();
