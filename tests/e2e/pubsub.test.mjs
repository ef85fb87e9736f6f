// Topics: who gets what, in which form and order, on one worker and on several.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { notifyFrame, parse, requestFrame, V0_1 } from './lib/frames.mjs';
import { cancela, start, within } from './lib/gateway.mjs';
import { connect, wsUrl } from './lib/ws.mjs';

async function serve(t, flags = []) {
  const gateway = await start('pubsub.lua', flags);
  t.after(() => gateway.signal('SIGKILL'));
  return gateway;
}

// Whatever was sent to a peer before has come: its own call has been answered.
async function settled(peer) {
  return (await peer.call('where', {}, `settled ${Math.random()}`)).result;
}

const notices = (peer, method) =>
  peer.texts.filter((text) => text.method === method).map(({ params }) => params);

async function subscriber(t, gateway, topic, options) {
  const peer = await connect(t, gateway, options);
  const { result } = await peer.call('subscribe', { topic });
  assert.equal(result[0], true);
  peer.worker = result[1];
  return peer;
}

// Resolves when the peer has so many notifications of a topic.
async function has(peer, topic, count) {
  const deadline = Date.now() + 20_000;
  while (notices(peer, topic).length < count) {
    assert.ok(Date.now() < deadline, `${notices(peer, topic).length} of ${count} came`);
    await once(peer.ws, 'message');
  }
  return notices(peer, topic);
}

const numbers = (count) => Array.from({ length: count }, (_, i) => i + 1);

test('a subscriber gets what is published on its topics, until it unsubscribes, and nobody else does', async (t) => {
  const gateway = await serve(t);
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => connect(t, gateway)));
  await a.call('subscribe', { topic: 'tea' });
  await a.call('subscribe', { topic: 'pub' }, 1);
  await b.call('subscribe', { topic: 'tea' });
  assert.equal((await c.call('publish', { topic: 'tea', data: { n: 1 } })).result, 2);
  assert.equal((await c.call('publish', { topic: 'pub', data: { n: 2 } })).result, 1);
  assert.equal((await c.call('publish', { topic: 'nothing', data: {} })).result, 0);
  assert.equal((await b.call('unsubscribe', { topic: 'tea' })).result, true);
  assert.equal((await b.call('unsubscribe', { topic: 'tea' }, 1)).result, false);
  assert.equal((await c.call('publish', { topic: 'tea', data: { n: 3 } })).result, 1);
  for (const peer of [a, b, c]) await settled(peer);
  assert.deepEqual(notices(a, 'tea'), [{ n: 1 }, { n: 3 }]);
  assert.deepEqual(notices(a, 'pub'), [{ n: 2 }]);
  assert.deepEqual(notices(b, 'tea'), [{ n: 1 }]);
  assert.equal(c.texts.filter(({ method }) => method).length, 0);
  await gateway.stop();
});

test('who subscribes twice gets everything once', async (t) => {
  const gateway = await serve(t);
  const peer = await subscriber(t, gateway, 'tea');
  assert.equal((await peer.call('subscribe', { topic: 'tea' }, 2)).result[0], true);
  assert.equal((await peer.call('publish', { topic: 'tea', data: {} })).result, 1);
  await settled(peer);
  assert.equal(notices(peer, 'tea').length, 1);
  await gateway.stop();
});

test('a subscription made in on_connect counts, and ends with the connection', async (t) => {
  const gateway = await serve(t);
  const ws = new WebSocket(`${wsUrl(gateway)}?topic=tea`);
  const got = once(ws, 'message');
  await once(ws, 'open');
  const other = await connect(t, gateway);
  assert.equal((await other.call('publish', { topic: 'tea', data: { n: 1 } })).result, 1);
  const [text] = await within(got, () => 'the notification');
  assert.deepEqual(JSON.parse(text), { jsonrpc: '2.0', method: 'tea', params: { n: 1 } });
  ws.terminate();
  await once(ws, 'close');
  for (let i = 0; (await other.call('publish', { topic: 'tea', data: {} }, i)).result > 0; i++);
  await gateway.stop();
});

test('params are made as by notify, and binary frames carry strings as they are', async (t) => {
  const gateway = await serve(t);
  const text = await subscriber(t, gateway, 'raw');
  await text.call('subscribe', { topic: 'tea' }, 2);
  const ws = new WebSocket(wsUrl(gateway), [V0_1]);
  t.after(() => ws.terminate());
  const frames = [];
  ws.on('message', (data) => frames.push(parse(data)));
  await once(ws, 'open');
  ws.send(requestFrame(1, 'subscribe', '{"topic":"raw"}'));
  ws.send(requestFrame(2, 'subscribe', '{"topic":"tea"}'));
  while (frames.length < 2) await within(once(ws, 'message'), () => 'a response');
  frames.length = 0;
  assert.equal((await text.call('raw')).result, 2);
  for (const data of [[1, 2], 7, 'héllo', null]) await text.call('publish', { topic: 'tea', data });
  await settled(text);
  assert.deepEqual(notices(text, 'raw'), [['/wA=']]);
  assert.deepEqual(notices(text, 'tea'), [[1, 2], [7], ['héllo'], undefined]);
  while (frames.length < 5) await within(once(ws, 'message'), () => 'a notify');
  assert.deepEqual(frames.map(({ name }) => name), ['raw', 'tea', 'tea', 'tea', 'tea']);
  assert.deepEqual(frames.map(({ payload }) => payload.toString('latin1')),
    ['\xff\0', '[1,2]', '7', Buffer.from('héllo').toString('latin1'), '']);
  await gateway.stop();
});

test('long messages are compressed for those who offer it', async (t) => {
  const gateway = await serve(t);
  const plain = await subscriber(t, gateway, 'tea');
  const packed = await subscriber(t, gateway, 'tea', { perMessageDeflate: true });
  const data = { text: 'tea for two '.repeat(100) };
  await plain.call('publish', { topic: 'tea', data });
  await Promise.all([settled(plain), settled(packed)]);
  assert.deepEqual(notices(plain, 'tea'), [data]);
  assert.deepEqual(notices(packed, 'tea'), [data]);
  assert.ok(packed.ws._socket.bytesRead < plain.ws._socket.bytesRead - 900);
  await gateway.stop();
});

test('a broadcast reaches every client that makes calls, in its language, and no handler of its own', async (t) => {
  const gateway = await serve(t);
  const peers = await Promise.all([1, 2, 3].map(() => connect(t, gateway)));
  const own = new WebSocket(wsUrl(gateway).replace('/rpc', '/own'));
  t.after(() => own.terminate());
  const heard = [];
  own.on('message', (data) => heard.push(data.toString()));
  const ws = new WebSocket(wsUrl(gateway), [V0_1]);
  t.after(() => ws.terminate());
  const frame = once(ws, 'message');
  await Promise.all([once(own, 'open'), once(ws, 'open')]);
  assert.equal((await peers[0].call('broadcast', { event: 'news', data: { n: 1 } })).result, 4);
  for (const peer of peers) {
    await settled(peer);
    assert.deepEqual(notices(peer, 'news'), [{ n: 1 }]);
  }
  const [data] = await within(frame, () => 'the frame');
  assert.deepEqual(data, notifyFrame('news', '{"n":1}'));
  assert.equal(heard.length, 1);
  assert.match(heard[0], /handler of its own.*socket:send/);
  await gateway.stop();
});

test('a bad name of a topic is refused, and said', async (t) => {
  const gateway = await serve(t, ['--expose-errors']);
  const peer = await connect(t, gateway);
  let id = 0;
  const message = async (method, params) => (await peer.call(method, params, id++)).error.message;
  assert.match(await message('subscribe', { topic: '' }), /1 to 255 bytes, this one 0/);
  assert.match(await message('subscribe', { topic: 'x'.repeat(256) }), /this one 256/);
  assert.match(await message('subscribe', { topic: 'news.*' }), /'news\.\*' is a pattern/);
  assert.match(await message('publish', { data: 1 }), /string expected, got nil/);
  assert.match(await message('broadcast', { event: 'é'.repeat(128) }), /1 to 255 bytes, this one 256/);
  const long = 'x'.repeat(255);
  assert.equal((await peer.call('subscribe', { topic: long }, 'last')).result[0], true);
  assert.equal((await peer.call('publish', { topic: long, data: 1 }, 'p')).result, 1);
  await gateway.stop();
});

test('nothing is published while a script loads', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-e2e-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'app.lua');
  for (const name of ['publish', 'broadcast']) {
    await writeFile(path, `require "cancela".${name}("news", 1)\nreturn {}`);
    const { code, stderr } = await cancela('check', path);
    assert.equal(code, 1);
    assert.match(stderr, /app\.lua:1: cannot publish while the script loads/);
  }
});

test('subscriptions_per_connection: one more is resource_exhausted, until one has ended', async (t) => {
  const gateway = await serve(t, ['--subscriptions-per-connection', '2']);
  const peer = await subscriber(t, gateway, 'a');
  await peer.call('subscribe', { topic: 'b' }, 'b');
  assert.equal((await peer.call('subscribe', { topic: 'b' }, 'again')).result[0], true);
  const { error } = await peer.call('subscribe', { topic: 'c' }, 'c');
  assert.equal(error.data.code, 'resource_exhausted');
  assert.match(error.message, /'c'.* 2 .*subscriptions_per_connection/);
  await peer.call('unsubscribe', { topic: 'a' });
  assert.equal((await peer.call('subscribe', { topic: 'c' }, 'c2')).result[0], true);
  await gateway.stop();
});

test('500 messages reach each of 200 subscribers, in order', async (t) => {
  const gateway = await serve(t);
  const peers = [];
  while (peers.length < 200) peers.push(await subscriber(t, gateway, 'tea'));
  const publisher = await connect(t, gateway);
  const { result } = await publisher.call('flood', { topic: 'tea', count: 500, burst: 10 });
  assert.deepEqual(result, { least: 200, most: 200 });
  for (const peer of peers) {
    const got = await has(peer, 'tea', 500);
    assert.deepEqual(got.map(({ i }) => i), numbers(500));
  }
  const { result: stats } = await publisher.call('stats');
  assert.equal(stats.published, 500);
  assert.equal(stats.delivered, 100_000);
  assert.equal(stats.dropped + stats.slow_consumers + stats.suspended, 0);
  await gateway.stop();
});

test('across workers each subscriber gets each publisher\'s messages in order, and all of them', async (t) => {
  const gateway = await serve(t, ['--workers', '3']);
  const peers = [];
  while (peers.length < 6) peers.push(await subscriber(t, gateway, 'tea'));
  const workers = new Set(peers.map(({ worker }) => worker));
  assert.equal(workers.size, 3);
  const done = await Promise.all(peers.map((peer, from) => peer.call('flood', { topic: 'tea', count: 200, from })));
  for (const { result } of done) assert.deepEqual(result, { least: 2, most: 2 }); // of its worker
  for (const peer of peers) {
    const got = await has(peer, 'tea', 6 * 200);
    for (const from of peers.keys()) {
      assert.deepEqual(got.filter((one) => one.from === from).map(({ i }) => i), numbers(200));
    }
  }
  const { result: count } = await peers[0].call('broadcast', { event: 'all', data: { n: 1 } });
  assert.equal(count, 2);
  for (const peer of peers) assert.deepEqual(await has(peer, 'all', 1), [{ n: 1 }]);
  for (const peer of peers) peer.ws.terminate();
  await gateway.stop();
});
