// JSON-RPC on a WebSocket: calls beside each other, cancels, and how connections end.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';
import {
  BINARY, CLOSE, PING, PONG, closeFrame, connect, frame, nextFrame, nextText, upgrade, upgradeText,
} from './lib/ws.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());

// Starts a gateway that is stopped, and looked over, when the test ends.
async function serve(t, ...flags) {
  const own = await start('app.lua', flags);
  t.after(() => own.stop());
  return own;
}

const cancelOf = (id) => ({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } });

describe('calls', () => {
  test('a hundred fast calls overtake a slow one', async (t) => {
    const peer = await connect(t, gateway);
    const slow = peer.call('slow', { label: 'overtaken', seconds: 0.5 }, 'slow');
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => peer.call('add', { a: i, b: i }, i)));
    assert.deepEqual(replies.map((r) => r.result), Array.from({ length: 100 }, (_, i) => 2 * i));
    assert.ok(!peer.texts.some((r) => r.id === 'slow'));
    assert.equal((await slow).result, 'done!');
  });

  test('a batch is answered in one message, a notification not at all', async (t) => {
    const peer = await connect(t, gateway);
    peer.send([request('add', { a: 1, b: 1 }, 1), { jsonrpc: '2.0', method: 'note', params: { label: 'batched' } },
      request('nowhere', {}, 2)]);
    peer.send({ jsonrpc: '2.0', method: 'note', params: { label: 'alone on a socket' } });
    await gateway.log(/noted alone on a socket true/);
    await gateway.log(/noted batched true/);
    await peer.call('add', { a: 1, b: 1 });
    assert.equal(peer.texts.length, 2);
    assert.deepEqual(peer.texts[0].map((r) => r.result ?? r.error.code).sort(), [-32601, 2]);
  });

  test('what is not a request is answered as over HTTP', async (t) => {
    const peer = await connect(t, gateway);
    for (const [text, code] of [['{', -32700], ['[]', -32600], ['{"id":"not one"}', -32600], ['', -32700]]) {
      peer.send(text);
      await peer.call('add', { a: 1, b: 1 });
      assert.equal(peer.texts.at(-2).error.code, code, text);
    }
    peer.send('{"jsonrpc":"2.0","method":"$/unknown"}');
    assert.equal((await peer.call('$/unknown', {})).error.code, -32601);
  });

  test('a script sees its protocol, its peer and the headers of the upgrade', async (t) => {
    const peer = await connect(t, gateway, { headers: { 'user-agent': 'socket' } });
    const { result } = await peer.call('about', {});
    assert.equal(result.agent, 'socket');
    assert.equal(result.protocol, 'jsonrpc');
    assert.match(result.peer, /^127\.0\.0\.1:\d+$/);
  });

  test('_meta.timeout_ms is the deadline of a call', async (t) => {
    const peer = await connect(t, gateway);
    const { error } = await peer.call('slow', { label: 'metered', _meta: { timeout_ms: 50 } });
    assert.equal(error.data.code, 'deadline_exceeded');
    await gateway.log(/on_cancel metered timeout/);
  });

  test('a binary message that holds JSON is served', async (t) => {
    const peer = await connect(t, gateway);
    const reply = peer.reply(7);
    peer.ws.send(Buffer.from(JSON.stringify(request('add', { a: 3, b: 4 }, 7))), { binary: true });
    assert.equal((await reply).result, 7);
    const raw = await upgrade(t, gateway);
    raw.send(frame(request('add', { a: 1, b: 1 }), { opcode: BINARY }));
    assert.equal((await nextFrame(raw)).first, 0x81); // and answered with text
  });

  test('messages in the segment of the upgrade request are served', async (t) => {
    const raw = await open(t, gateway);
    raw.send(upgradeText(gateway), frame(request('add', { a: 1, b: 2 }, 1)), frame(request('add', { a: 3, b: 4 }, 2)));
    assert.equal((await raw.response()).status, 101);
    assert.deepEqual([(await nextText(raw)).result, (await nextText(raw)).result], [3, 7]);
  });

  test('an upgrade behind a running call waits for it, and so do the messages behind it', async (t) => {
    const raw = await open(t, gateway);
    const body = JSON.stringify(request('slow', { label: 'before the upgrade', seconds: 0.05 }));
    raw.send(`POST /rpc HTTP/1.1\r\nHost: ${gateway.address}\r\nContent-Type: application/json\r\n`,
      `Content-Length: ${body.length}\r\n\r\n${body}`, upgradeText(gateway), frame(request('add', { a: 1, b: 2 })));
    assert.equal(JSON.parse((await raw.response()).body).result, 'done!');
    assert.equal((await raw.response()).status, 101);
    assert.equal((await nextText(raw)).result, 3);
  });

  test('a request may come byte by byte, in fragments, with a ping between them', async (t) => {
    const raw = await upgrade(t, gateway);
    const text = JSON.stringify(request('echo', ['grüße'], 1));
    const bytes = frame(Buffer.from(text).subarray(0, 40), { fin: false }) + frame('p', { opcode: PING })
      + frame(Buffer.from(text).subarray(40), { opcode: 0 });
    for (const byte of bytes) {
      raw.send(byte);
      await new Promise(setImmediate);
    }
    const pong = await nextFrame(raw);
    assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'p']);
    assert.deepEqual((await nextText(raw)).result, ['grüße']);
  });

  test('a ping is answered while a call runs', async (t) => {
    const raw = await upgrade(t, gateway);
    raw.send(frame(request('slow', { label: 'pinged' })));
    await gateway.log(/started pinged/);
    const pong = await nextFrame(raw.send(frame('there?', { opcode: PING })));
    assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'there?']);
  });

  test('thirty connections one after the other', async (t) => {
    for (let i = 0; i < 30; i++) {
      const peer = await connect(t, gateway);
      assert.equal((await peer.call('add', { a: i, b: 1 })).result, i + 1);
      peer.ws.close(1000);
      assert.equal((await peer.end()).code, 1000);
    }
  });
});

describe('cancel', () => {
  test('$/cancelRequest ends the call in the script, which is answered once', async (t) => {
    const peer = await connect(t, gateway);
    const reply = peer.call('slow', { label: 'cancelled' }, 5);
    await gateway.log(/started cancelled/);
    peer.cancel(5).cancel(5);
    const { error } = await reply;
    assert.equal(error.code, -32800);
    await gateway.log(/on_cancel cancelled reset/);
    await gateway.log(/closed cancelled$/);
    await gateway.log(/ call .*procedure=slow outcome=canceled reason=reset /);
    await peer.call('add', { a: 1, b: 1 });
    assert.equal(peer.texts.filter((r) => r.id === 5).length, 1);
  });

  test('a cancel of an unknown or finished id, or a malformed one, is ignored', async (t) => {
    const peer = await connect(t, gateway);
    await peer.call('add', { a: 1, b: 1 }, 1);
    peer.cancel(1).cancel('unknown').cancel(null);
    for (const params of ['', ',"params":[1]', ',"params":{}', ',"params":{"id":{}}']) {
      peer.send(`{"jsonrpc":"2.0","method":"$/cancelRequest"${params}}`);
    }
    assert.equal((await peer.call('add', { a: 1, b: 2 })).result, 3);
    assert.equal(peer.texts.length, 2);
  });

  test('a call cancelled in the segment it came with never begins', async (t) => {
    const raw = await upgrade(t, gateway);
    raw.send(frame(request('slow', { label: 'stillborn' }, 1)), frame(cancelOf(1)), frame(request('add', { a: 1, b: 1 }, 2)));
    assert.equal((await nextText(raw)).error.code, -32800);
    assert.equal((await nextText(raw)).result, 2);
    assert.ok(!gateway.lines.some((line) => line.includes('started stillborn')));
  });

  test('one call of a batch is cancelled by the batch itself, under its other name', async (t) => {
    const peer = await connect(t, gateway);
    peer.send([request('slow', { label: 'in a batch' }, 1), request('add', { a: 1, b: 1 }, 2),
      { jsonrpc: '2.0', method: '$/cancel_request', params: { id: 1 } }]);
    await peer.call('slow', { label: 'behind the batch', seconds: 0.01 });
    assert.deepEqual(peer.texts[0].map((r) => r.error?.code ?? r.result), [-32800, 2]);
  });

  test('other connections have ids of their own', async (t) => {
    const [one, two] = [await connect(t, gateway), await connect(t, gateway)];
    const reply = one.call('slow', { label: 'of another', seconds: 0.1 }, 1);
    await gateway.log(/started of another/);
    two.cancel(1);
    assert.equal((await reply).result, 'done!');
  });

  test('an id that is live is refused, and the first call goes on', async (t) => {
    const peer = await connect(t, gateway);
    const first = peer.call('slow', { label: 'twice', seconds: 0.1 }, 'same');
    const refusal = peer.reply(null);
    peer.send(request('add', { a: 1, b: 1 }, 'same'));
    const { error } = await refusal;
    assert.equal(error.code, -32600);
    assert.equal(error.data.id, 'same');
    assert.equal((await first).result, 'done!');
    assert.equal((await peer.call('add', { a: 1, b: 1 }, 'same')).result, 2);
  });
});

describe('the end of a connection cancels every call of it', () => {
  const ways = {
    'a close frame': (raw) => raw.send(frame(Buffer.from([3, 232]), { opcode: CLOSE })),
    FIN: (raw) => raw.finish(),
    RST: (raw) => raw.reset(),
    'a broken frame': (raw) => raw.send(frame('', { opcode: 3 })),
  };
  for (const [name, leave] of Object.entries(ways)) {
    test(name, async (t) => {
      const own = await serve(t);
      const raw = await upgrade(t, own);
      const labels = ['one', 'two', 'three'];
      raw.send(...labels.map((label, id) => frame(request('slow_to_close', { label }, id))));
      for (const label of labels) await own.log(new RegExp(`started ${label}$`));
      leave(raw);
      for (const label of labels) {
        await own.log(new RegExp(`on_cancel ${label} disconnect$`));
        await own.log(new RegExp(`closed ${label} last$`));
      }
      const outcome = / call .*procedure=slow_to_close outcome=canceled reason=disconnect /;
      assert.equal(own.lines.filter((line) => outcome.test(line)).length, 3);
      assert.equal((await call(own, 'add', { a: 1, b: 1 })).result, 2);
    });
  }

  test('the close frame is answered with its code, and nothing else is', async (t) => {
    const raw = await upgrade(t, gateway);
    raw.send(frame(request('slow', { label: 'closed upon' })));
    await gateway.log(/started closed upon/);
    raw.send(frame(Buffer.from([15, 160]), { opcode: CLOSE }), frame(request('add', { a: 1, b: 1 })));
    assert.equal((await closeFrame(raw)).code, 4000);
    assert.equal(await raw.rest(), '');
  });
});

describe('drain', () => {
  test('closes idle sockets at once with 1001, the others when their calls have ended', async (t) => {
    const own = await start('app.lua');
    const [idle, busy] = [await connect(t, own), await connect(t, own)];
    const reply = busy.call('slow', { label: 'last', seconds: 0.3 }, 1);
    await own.log(/started last/);
    own.signal('SIGTERM');
    assert.equal((await idle.end()).code, 1001);
    assert.equal((await busy.call('add', { a: 1, b: 1 })).error.data.code, 'unavailable');
    assert.equal((await reply).result, 'done!');
    assert.equal((await busy.end()).code, 1001);
    assert.deepEqual(await own.exited(), { code: 0, signal: null });
  });

  test('cancels what outlives drain_timeout, and says so', async (t) => {
    const own = await start('app.lua', ['--drain-timeout', '50ms']);
    const peer = await connect(t, own);
    const replies = [1, 2].map((id) => peer.call('slow', { label: `endless${id}` }, id));
    await own.log(/started endless2/);
    own.signal('SIGTERM');
    for (const { error } of await Promise.all(replies)) assert.equal(error.code, -32802);
    assert.equal((await peer.end()).code, 1001);
    assert.deepEqual(await own.exited(), { code: 0, signal: null });
  });
});
