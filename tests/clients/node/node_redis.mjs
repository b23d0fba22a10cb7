// node-redis over RESP3 and RESP2: connections, commands, pipelines, messages and errors, as far as strings, keys and
// messages need them.
import assert from 'node:assert/strict';
import { createClient, createClientPool, ErrorReply } from 'redis';
import { check, finish, host, port, sleep, until, url } from './suite.mjs';

async function suite(RESP) {
  const client = createClient({ url, RESP });
  client.on('error', () => {});
  await client.connect();
  await client.flushAll();
  const named = (name, body, needs) => check(`RESP${RESP}: ${name}`, body, needs);

  await named('it introduces itself', async () => {
    const other = createClient({ url: `${url}/3`, RESP, name: 'introduced' });
    await other.connect();
    assert.equal(await other.clientGetName(), 'introduced');
    const info = await other.clientInfo();
    assert.equal(info.db, 3);
    assert.equal(info.name, 'introduced');
    await other.close();
  });

  await named('set and get with their options', async () => {
    assert.equal(await client.set('k', 'v', { EX: 100, NX: true }), 'OK');
    assert.equal(await client.set('k', 'w', { NX: true }), null);
    assert.equal(await client.set('k', 'w', { KEEPTTL: true, GET: true }), 'v');
    assert.ok(await client.ttl('k') > 95);
    assert.equal(await client.expire('k', 200, 'GT'), 1);
    assert.equal(await client.getEx('k', { type: 'PERSIST' }), 'w');
    assert.equal(await client.getDel('k'), 'w');
    assert.equal(await client.get('k'), null);
  });

  await named('strings of all kinds of commands', async () => {
    assert.equal(await client.incrBy('n', 7), 7);
    assert.equal(await client.incrByFloat('f', 1.25), '1.25');
    assert.equal(await client.append('s', 'hello'), 5);
    assert.equal(await client.getRange('s', 1, 2), 'el');
    assert.equal(await client.setRange('s', 0, 'j'), 5);
    assert.equal(await client.strLen('s'), 5);
    assert.equal(await client.mSet({ a: '1', b: '2' }), 'OK');
    assert.deepEqual(await client.mGet(['a', 'none', 'b']), ['1', null, '2']);
    await client.mSet([['l1', 'ohmytext'], ['l2', 'mynewtext']]);
    assert.equal(await client.lcs('l1', 'l2'), 'mytext');
    assert.equal(await client.lcsLen('l1', 'l2'), 6);
    const parts = await client.lcsIdx('l1', 'l2');
    assert.equal(parts.len, 6);
    assert.equal(parts.matches.length, 2);
  });

  await named('bits, fields and HyperLogLogs', async () => {
    assert.equal(await client.setBit('bits', 9, 1), 0);
    assert.equal(await client.bitCount('bits'), 1);
    assert.equal(await client.bitPos('bits', 1), 9);
    assert.deepEqual(await client.bitField('bf', [
      { operation: 'SET', encoding: 'u8', offset: 0, value: 250 },
      { operation: 'OVERFLOW', behavior: 'SAT' },
      { operation: 'INCRBY', encoding: 'u8', offset: 0, increment: 10 }]), [0, 255]);
    assert.equal(await client.pfAdd('h', ['a', 'b', 'c']), 1);
    assert.equal(await client.pfCount('h'), 3);
  });

  await named('it iterates over keys', async () => {
    const keys = Array.from({ length: 300 }, (_, i) => `scan:${i}`);
    await client.mSet(keys.map((key) => [key, 'v']));
    const found = new Set();
    for await (const some of client.scanIterator({ MATCH: 'scan:*', COUNT: 30, TYPE: 'string' })) {
      some.forEach((key) => found.add(key));
    }
    assert.equal(found.size, 300);
    assert.equal(await client.type('scan:1'), 'string');
    assert.equal(await client.unlink(keys), 300);
  });

  await named('commands of one turn go out together', async () => {
    const answers = await Promise.all(Array.from({ length: 2000 }, (_, i) => [
      client.set(`auto:${i}`, String(i)), client.get(`auto:${i}`)]).flat());
    assert.deepEqual(answers.filter((_, i) => i % 2), Array.from({ length: 2000 }, (_, i) => String(i)));
  });

  await named('multi runs all or nothing', async () => {
    assert.deepEqual(await client.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
  }, 'multi');

  await named('what is not a transaction may still go at once', async () => {
    assert.deepEqual(await client.multi().set('t', '1').incr('t').get('t').execAsPipeline(), ['OK', 2, '2']);
  });

  await named('a script', async () => {
    assert.equal(await client.eval('return 1'), 1);
  }, 'eval');

  await named('messages reach listeners', async () => {
    const subscriber = client.duplicate();
    await subscriber.connect();
    const found = [];
    await subscriber.subscribe('news', (message, channel) => found.push(`${channel}:${message}`));
    await subscriber.pSubscribe('n*', (message, channel) => found.push(`p ${channel}:${message}`));
    await subscriber.sSubscribe('shard', (message) => found.push(`s ${message}`));
    assert.equal(await client.publish('news', 'hello'), 2);
    assert.equal(await client.sPublish('shard', 'hi'), 1);
    await until(() => found.length === 3);
    assert.deepEqual(found.sort(), ['news:hello', 'p news:hello', 's hi']);
    assert.deepEqual(await client.pubSubChannels(), ['news']);
    assert.deepEqual({ ...await client.pubSubNumSub(['news', 'x']) }, { news: 1, x: 0 });
    assert.equal(await client.pubSubNumPat(), 1);
    await subscriber.unsubscribe();
    await subscriber.pUnsubscribe();
    await subscriber.sUnsubscribe();
    assert.equal(String(await subscriber.ping()), 'PONG');
    subscriber.destroy();
  });

  await named('a killed connection comes back with its subscriptions', async () => {
    const victim = createClient({ url, RESP, socket: { reconnectStrategy: () => 20 } });
    victim.on('error', () => {});
    await victim.connect();
    const id = await victim.clientId();
    const found = [];
    await victim.subscribe('after', (message) => found.push(message));
    assert.equal(await client.clientKill({ filter: 'ID', id }), 1);
    await until(async () => {
      await client.publish('after', 'm');
      return found.length > 0;
    });
    victim.destroy();
  });

  await named('a pool of clients', async () => {
    const pool = createClientPool({ url, RESP }, { minimum: 1, maximum: 5 });
    pool.on('error', () => {});
    await pool.connect();
    await client.del('pool');
    await Promise.all(Array.from({ length: 200 }, () => pool.incr('pool')));
    assert.equal(await pool.get('pool'), '200');
    await pool.close();
  });

  await named('errors are ErrorReplies with the words of Redis', async () => {
    await assert.rejects(client.sendCommand(['NOSUCH', 'x']), (error) => error instanceof ErrorReply &&
      error.message.startsWith("ERR unknown command 'NOSUCH'"));
    await client.set('text', 'abc');
    await assert.rejects(client.incr('text'), { message: 'ERR value is not an integer or out of range' });
  });

  await named('a user of the ACL', async () => {
    await client.aclSetUser('nr', ['reset', 'on', '>pw', '~nr:*', '+@all', '-@admin']);
    const user = createClient({ socket: { host, port }, RESP, username: 'nr', password: 'pw' });
    user.on('error', () => {});
    await user.connect();
    assert.equal(await user.aclWhoAmI(), 'nr');
    assert.equal(await user.set('nr:1', 'v'), 'OK');
    await assert.rejects(user.set('other', 'v'), { message: /^NOPERM/ });
    user.destroy();
    const wrong = createClient({ url, RESP, username: 'nr', password: 'no', socket: { reconnectStrategy: false } });
    wrong.on('error', () => {});
    await assert.rejects(wrong.connect(), { message: /^WRONGPASS/ });
    await client.aclDelUser('nr');
  });

  await named('what operators ask', async () => {
    assert.match(await client.info('server'), /redis_version:7\./);
    assert.deepEqual({ ...await client.configGet('maxmemory-policy') }, { 'maxmemory-policy': 'noeviction' });
    assert.equal(await client.configSet('timeout', '0'), 'OK');
    assert.ok((await client.clientList()).length >= 1);
    assert.ok((await client.commandCount()) > 80);
    assert.deepEqual(await client.commandGetKeys(['MSET', 'a', '1', 'b', '2']), ['a', 'b']);
    assert.equal((await client.role()).role, 'master');
    assert.ok((await client.time()) !== null);
    assert.ok(await client.memoryUsage('text') > 0);
    assert.equal(await client.objectEncoding('text'), 'embstr');
    assert.deepEqual(await client.latencyLatest(), []);
    assert.equal(await client.latencyReset(), 0);
    assert.equal(await client.wait(0, 10) >= 0, true);
  });

  await named('keys expire', async () => {
    await client.pSetEx('gone', 30, 'v');
    await sleep(60);
    assert.equal(await client.get('gone'), null);
    assert.equal(await client.ttl('gone'), -2);
  });
  await client.close();
}

await suite(3);
await suite(2);
finish();
