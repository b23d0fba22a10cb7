// A chat on two servers: socket.io with @socket.io/redis-adapter, which carries messages between them.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { createClient } from 'redis';
import { check, finish, until, url } from './suite.mjs';

async function chat() {
  const publisher = createClient({ url });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer();
  const io = new Server(http, { adapter: createAdapter(publisher, subscriber, { requestsTimeout: 3000 }) });
  io.on('connection', (socket) => {
    socket.on('join', (room, done) => {
      socket.join(room);
      done();
    });
    socket.on('say', (room, text) => io.to(room).emit('said', text));
    socket.on('tell others', (text) => socket.broadcast.emit('said', text));
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  return { io, address: `http://127.0.0.1:${http.address().port}` };
}
const chats = [await chat(), await chat()];

async function guest(address) {
  const socket = connect(address, { transports: ['websocket'], reconnection: false });
  const heard = [];
  socket.on('said', (text) => heard.push(text));
  await new Promise((resolve, reject) => {
    socket.on('connect', resolve);
    socket.on('connect_error', reject);
  });
  return { socket, heard };
}
const [alice, bob, carol] = [await guest(chats[0].address), await guest(chats[1].address),
  await guest(chats[1].address)];

await check('the servers know of each other', async () => {
  await until(async () => await chats[0].io.of('/').adapter.serverCount() === 2);
});

await check('a message to a room reaches its guests at the other server, in order', async () => {
  await alice.socket.emitWithAck('join', 'tea');
  await bob.socket.emitWithAck('join', 'tea');
  for (let i = 0; i < 100; i += 1) {
    alice.socket.emit('say', 'tea', i);
  }
  await until(() => bob.heard.length === 100 && alice.heard.length === 100);
  assert.deepEqual(bob.heard, Array.from({ length: 100 }, (_, i) => i));
  assert.deepEqual(carol.heard, []);
});

await check('a broadcast reaches all but its sender', async () => {
  alice.socket.emit('tell others', 'hello');
  await until(() => carol.heard.includes('hello') && bob.heard.includes('hello'));
  assert.equal(alice.heard.includes('hello'), false);
});

await check('a server asks all servers who is there', async () => {
  assert.equal((await chats[0].io.fetchSockets()).length, 3);
  assert.equal((await chats[1].io.in('tea').fetchSockets()).length, 2);
});

await check('a server moves guests of the other one', async () => {
  chats[0].io.in('tea').socketsLeave('tea');
  await until(async () => (await chats[1].io.in('tea').fetchSockets()).length === 0);
});

await check('servers acknowledge events to each other', async () => {
  chats[1].io.on('sum', (a, b, done) => done(a + b));
  assert.deepEqual(await chats[0].io.serverSideEmitWithAck('sum', 2, 3), [5]);
});

[alice, bob, carol].forEach((one) => one.socket.disconnect());
finish();
