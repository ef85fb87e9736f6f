// Clients that behave at random, many at a time: whatever they do, no call is left behind, each
// clean-up has run, and the gateway goes on. SEED=… repeats a run.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { start } from './lib/gateway.mjs';
import { postText } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';
import { CLOSE, PING, frame, upgradeText } from './lib/ws.mjs';

const CLIENTS = 300;
const AT_A_TIME = 50;
const seed = Number(process.env.SEED ?? Date.now() % 1e9);

// mulberry32
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

let gateway;
async function serve(workers) {
  gateway = await start('app.lua', ['--access-log', 'all', '--header-timeout', '1s', '--body-timeout', '1s',
    '--workers', String(workers)]);
}

let labels = 0;
const label = () => `c${labels++}`;
const slow = () => request('slow', { label: label(), seconds: random() * 0.02 }, labels);
const closing = () => request('slow_to_close', { label: label() }, labels);

const REQUESTS = [
  () => postText(gateway, request('add', { a: 1, b: 1 })),
  () => postText(gateway, slow()),
  () => postText(gateway, closing()),
  () => postText(gateway, [slow(), closing(), request('fail'), { jsonrpc: '2.0', method: 'note', params: { label: 'n' } }]),
  () => postText(gateway, request('timed', { label: label() })),
  () => postText(gateway, request('echo', ['x'.repeat(below(20_000))])), // three are less than is read ahead,
  () => postText(gateway, '{"jsonrpc":"2.0",'),
  () => `GET /rpc/version HTTP/1.1\r\nHost: ${gateway.address}\r\n\r\n`,
  () => 'nonsense\r\n\r\n',
];

const cancel = (id) => ({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } });

const FRAMES = [
  () => frame(request('add', { a: 1, b: 1 }, labels)),
  () => frame(slow()),
  () => frame(closing()),
  () => frame(closing()) + frame(cancel(labels)),
  () => frame([slow(), closing(), request('fail'), cancel(labels)]),
  () => frame(request('echo', ['x'.repeat(below(20_000))])),
  () => frame('{"jsonrpc":', { fin: false }) + frame('', { opcode: PING }) + frame('"2.0"}', { opcode: 0 }),
  () => frame('{"jsonrpc":"2.0",'),
  () => frame('there?', { opcode: PING }),
  () => (random() < 0.3 ? frame(Buffer.from([3, 232]), { opcode: CLOSE }) : ''),
  () => (random() < 0.2 ? 'nonsense' : ''),
];

const several = (list, most) => Array.from({ length: 1 + below(most) }, () => pick(list)()).join('');
const conversation = () => (random() < 0.5 ? several(REQUESTS, 3)
  : (random() < 0.2 ? several(REQUESTS, 1) : '') + upgradeText(gateway) + several(FRAMES, 8));

// Sends some requests or messages in pieces, the last perhaps cut short, and leaves one way or the other.
async function misbehave() {
  const socket = connect({ host: '127.0.0.1', port: gateway.port });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}).resume();
  await Promise.race([closed, once(socket, 'connect').catch(() => {})]);
  let text = conversation();
  if (random() < 0.4) text = text.slice(0, below(text.length));
  while (text.length > 0 && !socket.destroyed) {
    const size = 1 + below(pick([10, 1000, text.length]) || 1);
    socket.write(text.slice(0, size), 'latin1');
    text = text.slice(size);
    if (random() < 0.05) await pause(below(5));
  }
  await pause(below(30));
  if (random() < 0.5) socket.resetAndDestroy();
  else socket.end();
  if (random() < 0.5) socket.destroy();
  await closed;
}

// Lets 'count' clients do their worst, some of them at a time.
async function misbehaving(count, onClient = () => {}) {
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    while (count-- > 0) {
      await misbehave();
      onClient(count);
    }
  }));
}

// Requires that every call that was started has cleaned up.
async function assertAllClosed() {
  const started = gateway.lines.map((line) => line.match(/ started (c\d+)$/)?.[1]).filter(Boolean);
  assert.ok(started.length > 20, `${started.length} calls started`);
  for (const name of started) await gateway.log(new RegExp(` closed ${name}( last)?$`));
}

// Requires that no line of the log has another in its middle.
function assertWholeLines() {
  for (const line of gateway.lines) assert.match(line, /^(20[-0-9]{8}T[:.0-9]{12}Z (DEBUG|INFO |WARN |ERROR) | {4})/);
  const calls = gateway.lines.filter((line) => / call id=/.test(line));
  for (const line of calls) assert.match(line, / call id=\d+ .* (request_id=(\d+|null)|notification=true)$/);
  assert.equal(new Set(calls.map((line) => line.match(/ id=(\d+) /)[1])).size, calls.length);
}

for (const workers of [1, 4]) {
  test(`no client leaves anything behind (workers=${workers} SEED=${seed})`, async () => {
    await serve(workers);
    await misbehaving(CLIENTS);
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
    await assertAllClosed();
    await gateway.stop();
    const drains = gateway.lines.filter((line) => / draining calls=0 /.test(line));
    assert.equal(drains.length, workers);
    assertWholeLines();
  });

  test(`SIGTERM amid all that ends with 0, and every call has cleaned up (workers=${workers} SEED=${seed})`, async () => {
    await serve(workers);
    const enough = 50 + below(150);
    let clients;
    await new Promise((resolve) => {
      clients = misbehaving(CLIENTS, (left) => left <= enough && resolve());
    });
    await gateway.stop();
    await clients;
    await assertAllClosed();
    assertWholeLines();
  });
}
