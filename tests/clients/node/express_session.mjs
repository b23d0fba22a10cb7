// A shop with log-in and basket: express, express-session and connect-redis over node-redis; sessions in the store.
import assert from 'node:assert/strict';
import express from 'express';
import session from 'express-session';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import { check, finish, sleep, url } from './suite.mjs';

const client = createClient({ url });
client.on('error', () => {});
await client.connect();
await client.flushAll();

// Two processes behind a balancer: they share nothing but the store.
const store = new RedisStore({ client, prefix: 'shop:' });
function shop() {
  const app = express();
  app.use(session({
    store: new RedisStore({ client, prefix: 'shop:' }),
    secret: 'only for this test',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 60000 },
  }));
  app.get('/login/:user', (request, response) => {
    request.session.regenerate(() => {
      request.session.user = request.params.user;
      request.session.basket = [];
      response.json({ user: request.session.user });
    });
  });
  app.get('/add/:item', (request, response) => {
    if (!request.session.user) return response.status(401).json({});
    request.session.basket.push(request.params.item);
    return response.json(request.session.basket);
  });
  app.get('/basket', (request, response) => response.json(request.session.basket ?? null));
  app.get('/logout', (request, response) => request.session.destroy(() => response.json({})));
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}
const shops = [await shop(), await shop()];

async function browse(base, path, cookie) {
  const response = await fetch(base + path, { headers: cookie ? { cookie } : {} });
  return {
    status: response.status,
    body: await response.json(),
    cookie: response.headers.get('set-cookie')?.split(';')[0] ?? cookie,
  };
}

await check('a stranger has no session and leaves none behind', async () => {
  assert.equal((await browse(shops[0], '/add/tea')).status, 401);
  assert.equal(await client.dbSize(), 0);
});

let alice;
await check('a session lives in the store with its time to live', async () => {
  alice = (await browse(shops[0], '/login/alice')).cookie;
  const keys = await client.keys('shop:*');
  assert.equal(keys.length, 1);
  const ttl = await client.ttl(keys[0]);
  assert.ok(ttl > 50 && ttl <= 60);
  assert.equal(JSON.parse(await client.get(keys[0])).user, 'alice');
});

await check('another process of the shop knows it', async () => {
  assert.deepEqual((await browse(shops[0], '/add/tea', alice)).body, ['tea']);
  assert.deepEqual((await browse(shops[1], '/add/milk', alice)).body, ['tea', 'milk']);
  assert.deepEqual((await browse(shops[0], '/basket', alice)).body, ['tea', 'milk']);
});

await check('a visit prolongs it', async () => {
  const [key] = await client.keys('shop:*');
  await client.expire(key, 5);
  await browse(shops[1], '/basket', alice);
  assert.ok(await client.ttl(key) > 50);
});

await check('a hundred customers are kept apart', async () => {
  const cookies = await Promise.all(Array.from({ length: 100 }, async (_, i) =>
    (await browse(shops[i % 2], `/login/user${i}`)).cookie));
  await Promise.all(cookies.map((cookie, i) => browse(shops[(i + 1) % 2], `/add/item${i}`, cookie)));
  const baskets = await Promise.all(cookies.map((cookie, i) => browse(shops[i % 2], '/basket', cookie)));
  assert.deepEqual(baskets.map((answer) => answer.body), Array.from({ length: 100 }, (_, i) => [`item${i}`]));
  assert.equal(await store.length(), 101);
  assert.equal((await store.all()).length, 101);
  assert.equal((await store.ids()).length, 101);
});

await check('log-out ends it everywhere', async () => {
  await browse(shops[0], '/logout', alice);
  assert.equal((await browse(shops[1], '/basket', alice)).body, null);
  assert.equal(await store.length(), 100);
});

await check('a session that expires is gone', async () => {
  const bob = (await browse(shops[0], '/login/bob')).cookie;
  const keys = await client.keys('shop:*');
  await Promise.all(keys.map((key) => client.pExpire(key, 20)));
  await sleep(50);
  assert.equal((await browse(shops[1], '/basket', bob)).body, null);
});

await check('the store clears itself', async () => {
  await browse(shops[0], '/login/carol');
  await store.clear();
  assert.equal(await store.length(), 0);
});

finish();
