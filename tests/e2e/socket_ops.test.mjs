// Operations of WebSockets: send_op, receive_op and notify_op in cancela.select.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';
import { call } from './lib/rpc.mjs';
import { CLOSE, connect, frame, nextFrame, nextText, upgradeText } from './lib/ws.mjs';

const gateway = await start('socket_ops.lua');
after(() => gateway.stop());

async function serve(t, ...flags) {
  const own = await start('socket_ops.lua', flags);
  t.after(() => own.hangUp().stop());
  return own;
}

async function raw(t, path, own = gateway) {
  const connection = await open(t, own);
  const { status } = await connection.send(upgradeText(own, {}, `GET ${path} HTTP/1.1`)).response();
  assert.equal(status, 101);
  return connection;
}

const text = async (connection) => (await nextFrame(connection)).payload.toString();
const close = (code) => frame(Buffer.from([code >> 8, code & 255]), { opcode: CLOSE });

describe('socket:receive_op()', () => {
  test('takes no message when it loses: each comes once, in order', async (t) => {
    const connection = await raw(t, '/impatient');
    for (let i = 0; i < 50; i++) connection.send(frame(`alone ${i}`));
    for (let i = 0; i < 50; i++) assert.equal(await text(connection), `alone ${i}`);
    for (let i = 0; i < 50; i++) {
      connection.send(frame(`answered ${i}`));
      assert.equal(await text(connection), `answered ${i}`);
    }
  });

  test('tells the end of the socket', async (t) => {
    const connection = await raw(t, '/impatient');
    connection.send(frame('last') + close(1000));
    assert.equal(await text(connection), 'last');
    await gateway.log(/impatient saw the end: closed$/);
  });

  test('waits beside a channel; whichever comes first is taken', async (t) => {
    const connection = await raw(t, '/news');
    for (let i = 0; i < 20; i++) {
      connection.send(frame('hello'));
      assert.equal(await text(connection), 'you: hello');
      await call(gateway, 'publish', { text: 'it rains' });
      assert.equal(await text(connection), 'news: it rains');
    }
    connection.send(close(1000));
    await gateway.log(/no more news$/);
  });

  test('that a timeout ends leaves the message to the next', async (t) => {
    const connection = await raw(t, '/timeouts');
    assert.equal(await text(connection), 'ready');
    connection.send(frame('kept'));
    assert.equal(await text(connection), 'kept');
  });

  test('is an error while another task waits, which goes on waiting', async (t) => {
    const lender = await raw(t, '/lend');
    const borrower = await raw(t, '/borrow');
    assert.equal(await text(borrower), 'another task waits for the next message of this socket');
    lender.send(frame('for the lender'));
    await gateway.log(/lender: 2 for the lender text$/);
  });

  test('beside the token that its end cancels is the one that is done', async (t) => {
    const connection = await raw(t, '/both');
    connection.send(frame('first'));
    assert.equal(await text(connection), 'first');
    connection.send(close(1000));
    await gateway.log(/both: 2 disconnect$/);
  });

  test('of another socket is woken by its end', async (t) => {
    const idle = await raw(t, '/idle');
    await gateway.log(/ idle$/);
    const watcher = await raw(t, '/watch');
    idle.reset();
    assert.equal(await text(watcher), '2 nil closed');
  });
});

describe('socket:send_op()', () => {
  test('sends when it wins, and nothing when it loses', async (t) => {
    const own = await serve(t, '--out-bytes', '64KiB');
    const connection = await raw(t, '/offer', own);
    connection.socket.pause();
    const [, list] = await own.log(/offered ([\d,]+)$/);
    connection.socket.resume();
    const got = [];
    for (let next = await text(connection); next !== 'end'; next = await text(connection)) got.push(next.trim());
    assert.equal(got.join(','), list);
  });

  test('gives its turn to the next if it loses', async (t) => {
    const own = await serve(t, '--out-bytes', '1KiB');
    const connection = await raw(t, '/crowd', own);
    const got = new Map();
    let count = 0, last = await text(connection);
    for (; !last.startsWith('sent'); last = await text(connection), count++) {
      const [at, i] = last.trim().split(':').map(Number);
      assert.ok(i > (got.get(at) ?? 0), `${at}:${i} comes behind ${at}:${got.get(at)}`);
      got.set(at, i);
    }
    assert.equal(last, `sent ${count}`);
    for (let at = 2; at <= 20; at += 2) assert.equal(got.get(at), 30);
  });

  test('on a socket that is over is done at once, with "closed"', async (t) => {
    const connection = await raw(t, '/gone');
    await gateway.log(/waits for its end$/);
    connection.send(close(1000));
    await gateway.log(/late: nil closed$/);
  });
});

describe('client:notify_op()', () => {
  test('notifies', async (t) => {
    const connection = await raw(t, '/rpc');
    connection.send(frame({ jsonrpc: '2.0', id: 1, method: 'notify', params: { event: 'e', data: [1] } }));
    assert.deepEqual(await nextText(connection), { jsonrpc: '2.0', method: 'e', params: [1] });
    assert.deepEqual((await nextText(connection)).result, [1, true]);
  });

  test('may be used again', async (t) => {
    const connection = await raw(t, '/rpc');
    connection.send(frame({ jsonrpc: '2.0', id: 1, method: 'twice' }));
    for (let i = 0; i < 2; i++) assert.equal((await nextText(connection)).method, 'again');
    assert.deepEqual((await nextText(connection)).result, [1, 1]);
  });

  test('raises where it is made what cannot be done', async (t) => {
    const peer = await connect(t, gateway);
    assert.deepEqual((await peer.call('misuse')).result, [
      'client:notify: data.f: cannot encode a function',
      'this client speaks JSON-RPC: use client:notify()',
      'this client speaks JSON-RPC: its messages are calls',
    ]);
  });
});
