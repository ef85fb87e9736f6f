// WebSockets: what is refused or closed, with which status or code, and that the gateway goes on.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { start, within } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';
import {
  PING, closeFrame, connect, frame, nextFrame, nextText, upgrade, upgradeText,
} from './lib/ws.mjs';

// Starts a gateway that is stopped, and looked over, when the test ends.
async function serve(t, ...flags) {
  const gateway = await start('app.lua', flags);
  t.after(() => gateway.hangUp().stop());
  return gateway;
}

const alive = async (gateway) => assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);

describe('the upgrade', async () => {
  const cases = [
    ['no key', 400, { 'Sec-WebSocket-Key': null }],
    ['a key that is too short', 400, { 'Sec-WebSocket-Key': 'AAAA' }],
    ['a version that is not 13', 426, { 'Sec-WebSocket-Version': '8' }],
    ['no version', 426, { 'Sec-WebSocket-Version': null }],
    ['a malformed list of subprotocols', 400, { 'Sec-WebSocket-Protocol': 'a b' }],
    ['a malformed list of extensions', 400, { 'Sec-WebSocket-Extensions': 'permessage-deflate; =' }],
    ['a foreign Origin', 403, { Origin: 'https://elsewhere.example' }],
    ['a foreign Host on a loopback address', 403, { Host: 'elsewhere.example' }],
    ['another path', 404, {}, 'GET /elsewhere HTTP/1.1'],
    ['another method', 405, {}, 'DELETE /rpc HTTP/1.1'],
    ['HTTP/1.0', 405, {}, 'GET /rpc HTTP/1.0'],
    ['no Connection: Upgrade', 405, { Connection: 'keep-alive' }],
  ];
  for (const [name, status, fields, line] of cases) {
    test(`is refused with ${status}: ${name}`, async (t) => {
      const gateway = await serve(t);
      const raw = (await open(t, gateway)).send(upgradeText(gateway, fields, line));
      const answer = await raw.response();
      assert.equal(answer.status, status, answer.body);
      assert.equal(answer.headers.get('sec-websocket-version'), status === 426 ? '13' : undefined);
      await alive(gateway);
    });
  }

  test('is accepted from the own host and from listed origins, and without a known subprotocol', async (t) => {
    const gateway = await serve(t, '--origins', 'https://app.example');
    for (const Origin of [gateway.url, 'https://app.example']) {
      const raw = await open(t, gateway);
      raw.send(upgradeText(gateway, { Origin, 'Sec-WebSocket-Protocol': 'other' }));
      const { status, headers } = await raw.response();
      assert.equal(status, 101);
      assert.equal(headers.get('sec-websocket-protocol'), undefined);
      assert.equal(headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    }
  });
});

describe('is closed', () => {
  const add = request('add', { a: 1, b: 1 });
  const pieces = (n) => Array.from({ length: n }, (_, i) => frame(i === 0 ? '{' : ' ', { fin: false, opcode: i === 0 ? 1 : 0 }));
  const cases = [
    ['a frame that is not masked', 1002, [frame(add, { masked: false })]],
    ['an opcode that there is not', 1002, [frame(add, { opcode: 5 })]],
    ['a bit of no extension', 1002, [frame(add, { rsv: 0x40 })]],
    ['a continuation of nothing', 1002, [frame(add, { opcode: 0 })]],
    ['a ping in fragments', 1002, [frame('', { opcode: PING, fin: false })]],
    ['a text that is not UTF-8', 1007, [frame(Buffer.from([0x22, 0xff, 0x22]))]],
    ['a message above message_bytes', 1009, [frame('x'.repeat(1025))], ['--message-bytes', '1KiB']],
    ['fragments above message_bytes together', 1009,
      [frame('x'.repeat(600), { fin: false }), frame('x'.repeat(600), { opcode: 0 })], ['--message-bytes', '1KiB']],
    ['more frames than message_fragments', 1008, pieces(4), ['--message-fragments', '3']],
  ];
  for (const [name, code, frames, flags = []] of cases) {
    test(`with ${code}: ${name}`, async (t) => {
      const gateway = await serve(t, ...flags);
      const raw = (await upgrade(t, gateway)).send(...frames);
      assert.equal((await closeFrame(raw)).code, code);
      assert.equal(await raw.rest(), '');
      await gateway.log(new RegExp(` refused .*status=${code} `));
      await alive(gateway);
    });
  }

  test('with 1009: a small message that inflates to a large one', async (t) => {
    const gateway = await serve(t, '--message-bytes', '64KiB');
    const peer = await connect(t, gateway, { perMessageDeflate: true });
    peer.send(JSON.stringify(request('echo', [' '.repeat(1 << 20)])));
    assert.equal((await peer.end()).code, 1009);
    await alive(gateway);
  });

  test('with 1013: a client that takes nothing, whose calls are cancelled', async (t) => {
    const gateway = await serve(t, '--write-timeout', '200ms');
    const peer = await connect(t, gateway);
    peer.ws.pause();
    peer.send(request('slow', { label: 'starved' }, 'slow'));
    // Kernels hold up to tcp_rmem + tcp_wmem for a reader that is slow: 36 MiB on some machines.
    for (let id = 0; id < 24; id++) peer.send(request('big', { bytes: 2 << 20 }, id));
    await gateway.log(/on_cancel starved slow_consumer/);
    peer.ws.resume();
    assert.equal((await peer.end()).code, 1013);
    await alive(gateway);
  });

  test('with 1013: a client that pings and never reads', async (t) => {
    const gateway = await serve(t, '--out-bytes', '64KiB');
    const raw = await upgrade(t, gateway);
    raw.socket.pause();
    const pings = frame('x'.repeat(125), { opcode: PING }).repeat(500);
    const flood = () => { if (!raw.socket.destroyed) raw.socket.write(pings, 'latin1', flood); };
    raw.send(frame(request('slow', { label: 'pings' })));
    flood();
    await gateway.log(/on_cancel pings slow_consumer/);
    raw.destroy();
    await alive(gateway);
  });
});

test('write_timeout: a client that takes none of an answer is lost, and so are its calls', async (t) => {
  const gateway = await serve(t, '--write-timeout', '100ms');
  const raw = await upgrade(t, gateway);
  raw.socket.pause();
  raw.send(frame(request('slow', { label: 'stuck' }, 1)), frame(request('big', { bytes: 32 << 20 }, 2)));
  await gateway.log(/on_cancel stuck slow_consumer/);
  await alive(gateway);
});

test('calls_per_connection: one more is unavailable, here and not elsewhere, until one has ended', async (t) => {
  const gateway = await serve(t, '--calls-per-connection', '2');
  const [full, other] = [await connect(t, gateway), await connect(t, gateway)];
  const replies = [1, 2].map((id) => full.call('slow', { label: `slot${id}` }, id));
  await gateway.log(/started slot2/);
  const { error } = await full.call('add', { a: 1, b: 1 });
  assert.equal(error.data.code, 'unavailable');
  assert.match(error.message, /calls_per_connection/);
  assert.equal((await other.call('add', { a: 1, b: 1 })).result, 2);
  full.cancel(1);
  await replies[0];
  await gateway.log(/closed slot1/);
  assert.equal((await full.call('add', { a: 1, b: 1 })).result, 2);
  full.cancel(2);
  await replies[1];
});

test('pong_timeout: a client that answers no ping is lost, and so are its calls', async (t) => {
  const gateway = await serve(t, '--ping-interval', '50ms', '--pong-timeout', '50ms');
  const raw = await upgrade(t, gateway);
  raw.send(frame(request('slow', { label: 'silent' })));
  assert.equal((await nextFrame(raw)).opcode, PING);
  await gateway.log(/on_cancel silent disconnect/);
  await within(raw.closed, () => 'the connection to be closed');
});

test('pong_timeout: it counts from the ping, whatever ping_interval is', async (t) => {
  const gateway = await serve(t, '--ping-interval', '50ms', '--pong-timeout', '60s');
  const raw = await upgrade(t, gateway);
  assert.equal((await nextFrame(raw)).opcode, PING);
  raw.send(frame(request('slow', { label: 'heard', seconds: 0.2 })));
  assert.equal((await nextFrame(raw)).opcode, PING);
  assert.equal((await nextText(raw)).result, 'done!');
});

test('ping_interval: a client that answers pings stays', async (t) => {
  const gateway = await serve(t, '--ping-interval', '20ms', '--pong-timeout', '5s');
  const peer = await connect(t, gateway);
  let pings = 0;
  peer.ws.on('ping', () => pings++);
  assert.equal((await peer.call('slow', { label: 'patient', seconds: 0.3 })).result, 'done!');
  assert.ok(pings >= 3, `${pings} pings`);
});

test('compression = false: it is not agreed on', async (t) => {
  const gateway = await serve(t, '--compression=false');
  const peer = await connect(t, gateway, { perMessageDeflate: true });
  assert.equal(peer.ws.extensions, '');
  assert.equal((await peer.call('add', { a: 1, b: 1 })).result, 2);
});
