// What the suites for Node share: cases, totals, and where the server is. Not a suite.
import assert from 'node:assert/strict';
import net from 'node:net';

export const host = '127.0.0.1';
export const port = Number(process.env.CLIENTS_PORT);
export const url = `redis://${host}:${port}`;

const counts = { ok: 0, FAIL: 0, absent: 0 };

// The raw answer to one inline command that answers an array of bulk strings.
function ask(words) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, host, () => socket.write(`${words}\r\nQUIT\r\n`));
    socket.on('data', (bytes) => { text += bytes; });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}
const commandsThere = new Set((await ask('COMMAND LIST')).toLowerCase().split('\r\n'));
export const has = (command) => commandsThere.has(command.toLowerCase());

function tell(word, name, why = '') {
  counts[word] += 1;
  console.log(`${word} - ${name}${why ? `: ${why}` : ''}`);
}

// A case: its name says what must hold. `needs`: a command that the server may not have: the case must then fail with
// its name in an "unknown command" error, and is counted as absent.
export async function check(name, body, needs = null) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('not finished after 15 s')), 15000);
  });
  try {
    await Promise.race([body(), late]);
    tell('ok', name);
  } catch (error) {
    const text = [error, ...(error.previousErrors ?? []), ...(error.errors ?? [])].map(String).join(' ');
    const refused = /unknown command '(\w+)'/.exec(text)?.[1].toLowerCase();
    if (needs && !has(needs) && (refused === needs || (needs === 'multi' && refused === 'exec'))) {
      tell('absent', name, `the server has no ${needs.toUpperCase()}`);
    } else {
      tell('FAIL', name, error.stack ?? String(error));
    }
  } finally {
    clearTimeout(timer);
  }
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function until(condition, seconds = 5) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${seconds} s`);
    await sleep(5);
  }
}

export function finish() {
  console.log(`${counts.ok} passed, ${counts.FAIL} failed, ${counts.absent} absent`);
  process.exit(counts.FAIL > 0 || counts.ok === 0 ? 1 : 0);
}
