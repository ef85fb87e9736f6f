// WebSocket handlers of scripts, the clients they and procedures see, on_connect and on_disconnect.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import WebSocket from 'ws';
import { start, within } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';
import { call } from './lib/rpc.mjs';
import { CLOSE, closeFrame, connect, frame, nextFrame, nextText, upgradeText } from './lib/ws.mjs';

const gateway = await start('sockets.lua');
after(() => gateway.stop());

async function serve(t, ...flags) {
  const own = await start('sockets.lua', flags);
  t.after(() => own.hangUp().stop());
  return own;
}

// A connection of npm's ws whose messages are taken one by one.
class Socket {
  #messages = [];
  #wake = () => {};

  constructor(ws) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    ws.on('error', () => {}); // a 'close' follows
    ws.on('message', (data, binary) => {
      this.#messages.push({ text: data.toString(binary ? 'latin1' : 'utf8'), binary });
      this.#wake();
    });
  }

  send(...messages) {
    messages.forEach((message) => this.ws.send(message));
    return this;
  }

  async next() {
    while (this.#messages.length === 0) {
      const more = new Promise((resolve) => (this.#wake = resolve));
      await within(more, () => 'the next message');
    }
    return this.#messages.shift();
  }

  async text() {
    return (await this.next()).text;
  }

  end() {
    return within(this.closed, () => 'the close of the WebSocket');
  }
}

const url = (own, path) => own.url.replace('http', 'ws') + path;

async function dial(t, path, { own = gateway, protocols = [], ...options } = {}) {
  const ws = new WebSocket(url(own, path), protocols, { perMessageDeflate: false, ...options });
  t.after(() => ws.terminate());
  const socket = new Socket(ws);
  await once(ws, 'open');
  return socket;
}

// Resolves to {status, body} of an upgrade that is refused.
async function refused(t, path, own = gateway) {
  const raw = await open(t, own);
  const { status, body } = await raw.send(upgradeText(own, {}, `GET ${path} HTTP/1.1`)).response();
  return { status, body };
}

// Upgrades by hand.
async function raw(t, path, own = gateway) {
  const connection = await open(t, own);
  const { status } = await connection.send(upgradeText(own, {}, `GET ${path} HTTP/1.1`)).response();
  assert.equal(status, 101);
  return connection;
}

// The id of the client in the next log line 'what', of those that come from now on.
const idIn = async (own, what) => Number((await own.log(new RegExp(` ${what} .*\\bid=(\\d+)`)))[1]);
const disconnected = (own, id) => own.log(new RegExp(` disconnected .*\\bid=${id}\\b.*`));

describe('a handler', () => {
  test('gets messages of either kind, in order, and sends them', async (t) => {
    const socket = await dial(t, '/echo');
    socket.send('olá', Buffer.from([0, 255]), '');
    assert.deepEqual(await socket.next(), { text: 'olá', binary: false });
    assert.deepEqual(await socket.next(), { text: '\0\xff', binary: true });
    assert.deepEqual(await socket.next(), { text: '', binary: false });
  });

  test('reads what came before the close, then its loop ends, and then awaits raise', async (t) => {
    const own = await serve(t);
    const socket = await dial(t, '/slow', { own });
    socket.send('1', '2', '3').ws.close(1000, 'bye');
    assert.deepEqual(await socket.end(), { code: 1000, reason: '' });
    await own.log(/after the end: false cancelled: disconnect \(bye\)/);
    assert.deepEqual(own.lines.filter((l) => /handled/.test(l)).map((l) => l.at(-1)), ['1', '2', '3']);
  });

  test('that does not read is cancelled by the close', async (t) => {
    const own = await serve(t);
    const socket = await dial(t, '/sleeper', { own });
    await own.log(/sleeping/);
    socket.ws.close();
    await own.log(/closed sleeper/);
  });

  test('with messages unread has call_timeout to read them', async (t) => {
    const own = await serve(t, '--call-timeout', '50ms');
    const socket = await dial(t, '/stuck', { own });
    await own.log(/stuck id/);
    socket.send('unread').ws.close();
    await own.log(/closed stuck/);
    assert.ok(!own.lines.some((l) => /never/.test(l)));
  });

  for (const [name, lose] of [['FIN', (c) => c.finish()], ['RST', (c) => c.reset()],
    ['a broken frame', (c) => c.send(frame('x', { opcode: 5 }))]]) {
    test(`is cancelled by ${name}, and cleans up`, async (t) => {
      const own = await serve(t);
      const connection = await raw(t, '/sleeper', own);
      await own.log(/sleeping/);
      lose(connection);
      await own.log(/closed sleeper/);
      await own.log(/disconnected .*kind=disconnect/);
    });
  }

  test('of another socket that reads this one is woken by its end', async (t) => {
    const own = await serve(t);
    const lender = await dial(t, '/lend', { own });
    assert.equal(await lender.text(), 'lent');
    const borrower = await dial(t, '/borrow', { own });
    assert.equal(await borrower.text(), 'borrowing');
    lender.ws.terminate();
    assert.equal(await borrower.text(), 'nil closed');
  });

  test('that returns closes with 1000', async (t) => {
    const socket = await dial(t, '/once');
    assert.equal(await socket.send('x').text(), 'x');
    assert.deepEqual(await socket.end(), { code: 1000, reason: '' });
  });

  test('that raises closes with 1011; only the log knows why', async (t) => {
    const own = await serve(t);
    assert.deepEqual(await (await dial(t, '/fault', { own })).end(), { code: 1011, reason: 'internal error' });
    await own.log(/error in a socket handler .*path=\/fault: .*sockets.lua:\d+: secret detail/);
  });

  test('that raises a typed error closes with 1011 and its message', async (t) => {
    assert.deepEqual(await (await dial(t, '/typed')).end(), { code: 1011, reason: 'no such room' });
  });

  test('is told what is wrong with what it does', async (t) => {
    const socket = await dial(t, '/misuse');
    const expected = [/this text is not UTF-8: send it as "binary"/, /invalid option 'frame'/, /use socket:send\(\)/,
      /not a code that may be sent/, /at most 123 bytes/, /client:set\('name', value\)/, /only plain data .*: function/];
    for (const regex of expected) assert.match(await socket.text(), regex);
    await socket.end();
  });

  test('has a subprotocol only if it is on its list', async (t) => {
    assert.equal((await dial(t, '/limited', { protocols: ['three', 'two', 'one'] })).ws.protocol, 'two');
    assert.equal((await raw(t, '/limited')).ended, false);
  });
});

describe('limits of a route', () => {
  test('message_bytes: one more closes with 1009', async (t) => {
    const socket = await dial(t, '/limited');
    assert.equal(await socket.send('x'.repeat(1024)).text(), '1024');
    assert.equal((await socket.send('x'.repeat(1025)).end()).code, 1009);
  });

  test('message_fragments: one more closes with 1008', async (t) => {
    const pieces = (n) => Array.from({ length: n }, (_, i) => frame('x', { fin: i === n - 1, opcode: i === 0 ? 1 : 0 }));
    const connection = await raw(t, '/limited');
    connection.send(...pieces(3));
    assert.equal((await nextFrame(connection)).payload.toString(), '3');
    assert.equal((await closeFrame(connection.send(...pieces(4)))).code, 1008);
  });

  test('pipeline_bytes: a handler that does not read stops the reading, not the seeing of the end', async (t) => {
    const own = await serve(t, '--pipeline-bytes', '16KiB');
    const connection = await raw(t, '/sink', own);
    const piece = frame('x'.repeat(8192)).repeat(64);
    let written = 0;
    await new Promise((resolve) => {
      const more = () => {
        written += piece.length;
        if (connection.socket.write(piece, 'latin1') && written < 64 << 20) setImmediate(more);
        else resolve();
      };
      more();
    });
    assert.ok(written < 64 << 20, 'it was read without end');
    connection.reset();
    await own.log(/disconnected .*kind=disconnect/);
  });
});

describe('requests of a handler\'s path', () => {
  test('without an upgrade are answered 426', async () => {
    const response = await fetch(`${gateway.url}/echo`);
    assert.equal(response.status, 426);
    assert.equal(response.headers.get('upgrade'), 'websocket');
    await response.text();
  });

  test('of another method are answered 405', async () => {
    const response = await fetch(`${gateway.url}/echo`, { method: 'POST', body: 'x' });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET');
    await response.text();
  });
});

describe('events', () => {
  test('run one after the other, in order', async (t) => {
    const own = await serve(t);
    const socket = await dial(t, '/events', { own });
    socket.send('a', Buffer.from('b'), 'c');
    const texts = [];
    for (let i = 0; i < 4; i++) texts.push(await socket.text());
    assert.deepEqual(texts, ['open', 'text a', 'binary b', 'text c']);
    socket.ws.close(3999);
    await own.log(/on_close code=3999 .*kind=disconnect/);
  });

  test('under way are cancelled by the loss of the connection; on_close runs then', async (t) => {
    const own = await serve(t);
    const socket = await dial(t, '/events', { own });
    socket.send('sleep');
    await own.log(/event sleeps/);
    socket.ws.terminate();
    await own.log(/closed event/);
    await own.log(/on_close code=1006/);
  });

  test('that raise close with 1011; on_close runs once', async (t) => {
    const own = await start('sockets.lua');
    const socket = await dial(t, '/events', { own });
    assert.equal((await socket.send('fault').end()).code, 1011);
    await own.log(/ disconnected /);
    await own.stop();
    assert.equal(own.lines.filter((l) => / on_close /.test(l)).length, 1);
  });

  test('have call_timeout', async (t) => {
    const own = await serve(t, '--call-timeout', '50ms');
    const socket = await dial(t, '/events', { own });
    assert.equal((await socket.send('sleep').end()).code, 1011);
    await own.log(/closed event/);
  });

  test('may close with a code and a reason', async (t) => {
    const socket = await dial(t, '/events');
    assert.deepEqual(await socket.send('bye').end(), { code: 3001, reason: 'bye' });
  });
});

describe('on_connect', () => {
  const cases = [['no', 403, 'not you'], ['who', 401, 'who are you?'], ['fault', 403, 'refused'], ['false', 403, 'refused']];
  for (const [as, status, body] of cases) {
    for (const path of ['/rpc', '/echo']) {
      test(`refuses ${path} with ${status} (${as})`, async (t) => {
        assert.deepEqual(await refused(t, `${path}?as=${as}`), { status, body });
      });
    }
  }

  test('may await; what comes behind the request waits', async (t) => {
    const connection = await open(t, gateway);
    connection.send(upgradeText(gateway, {}, 'GET /echo?as=wait HTTP/1.1'), frame('early'));
    assert.equal((await connection.response()).status, 101);
    assert.equal((await nextFrame(connection)).payload.toString(), 'early');
  });

  test('is cancelled when the client leaves, and on_disconnect does not run', async (t) => {
    const own = await serve(t);
    for (const leave of ['finish', 'reset']) {
      const connection = await open(t, own);
      connection.send(upgradeText(own, {}, 'GET /rpc?as=slow HTTP/1.1'));
      await own.log(/asked/);
      connection[leave]();
      await own.log(/closed on_connect/);
    }
    assert.ok(!own.lines.some((l) => /disconnected/.test(l)));
  });

  test('has handshake_timeout: 503', async (t) => {
    const own = await serve(t, '--handshake-timeout', '1s');
    assert.equal((await refused(t, '/rpc?as=slow', own)).status, 503);
    await own.log(/closed on_connect/);
    const { status } = await (await open(t, own)).send(upgradeText(own, {}, 'GET /rpc?as=wait HTTP/1.1')).response();
    assert.equal(status, 101);
  });

  test('is cancelled by a shutdown: 503', async (t) => {
    const own = await start('sockets.lua', ['--drain-timeout', '10ms']);
    const connection = await open(t, own);
    connection.send(upgradeText(own, {}, 'GET /rpc?as=slow HTTP/1.1'));
    await own.log(/asked/);
    own.signal('SIGTERM');
    assert.equal((await connection.response()).status, 503);
    await own.stop();
    assert.ok(own.lines.some((l) => /closed on_connect/.test(l)));
  });
});

describe('on_disconnect', () => {
  const ways = [
    ['a close frame', 1000, 'disconnect', 'ciao', (s) => s.ws.close(1000, 'ciao')],
    ['no close frame', 1006, 'disconnect', undefined, (s) => s.ws.terminate()],
  ];
  for (const [name, code, kind, message, leave] of ways) {
    test(`knows the code and reason of ${name}, and what was set`, async (t) => {
      const own = await serve(t);
      leave(await dial(t, '/rpc?as=kept', { own }));
      const [line] = await own.log(/ disconnected .*/);
      assert.match(line, new RegExp(`as=kept closed=true code=${code} .*kind=${kind}`));
      assert.equal(/message=(\w+)/.exec(line)?.[1], message);
    });
  }

  test('is cancelled by call_timeout', async (t) => {
    const own = await serve(t, '--call-timeout', '50ms');
    (await dial(t, '/rpc?as=late', { own })).ws.close();
    await own.log(/closed on_disconnect/);
  });

  test('is waited for at shutdown, and cancelled at its end', async (t) => {
    const own = await start('sockets.lua', ['--drain-timeout', '50ms']);
    const socket = await dial(t, '/rpc?as=late', { own });
    socket.ws.close();
    await own.log(/disconnected/);
    await own.stop();
    assert.ok(own.lines.some((l) => /closed on_disconnect/.test(l)));
  });
});

describe('call.client', () => {
  test('says who it is; over HTTP there is none', async (t) => {
    const peer = await connect(t, gateway, { headers: { 'X-Agent': 'test' } });
    const { result } = await peer.call('me');
    assert.equal(result.agent, 'test');
    assert.equal(result.path, '/rpc');
    assert.match(result.address, /^127\.0\.0\.1:\d+$/);
    assert.equal((await peer.call('me', {}, 'again')).result.id, result.id);
    assert.notEqual((await (await connect(t, gateway)).call('me')).result.id, result.id);
    assert.equal((await call(gateway, 'me')).result, null);
  });

  test('keeps data of any plain kind, for its connection only', async (t) => {
    const [peer, other] = [await connect(t, gateway), await connect(t, gateway)];
    const value = { list: [1, 2.5, 'três', [], {}], deep: { er: { yes: true, no: false } }, big: 9007199254740993n };
    peer.send(JSON.stringify({ jsonrpc: '2.0', id: 'set', method: 'set', params: { key: 'k', value: { ...value, big: 1 } } }));
    assert.equal((await peer.reply('set')).result, null);
    assert.deepEqual((await peer.call('get', { key: 'k' })).result, { ...value, big: 1 });
    assert.equal((await other.call('get', { key: 'k' })).result, null);
    await peer.call('set', { key: 'k' });
    assert.equal((await peer.call('get', { key: 'k' }, 'get 2')).result, null);
  });

  test('keeps at most 64 KiB', async (t) => {
    const own = await serve(t, '--expose-errors');
    const peer = await connect(t, own);
    const most = 65536 - 'fill'.length - 1 - 8; // a string is its bytes, a tag and a length
    assert.equal((await peer.call('fill', { bytes: most })).result, null);
    assert.match((await peer.call('fill', { bytes: most + 1 }, 2)).error.message, /more than 65536/);
    assert.equal((await peer.call('get', { key: 'fill' })).result.length, most);
  });

  test('is notified: a table as it is, other values in an array', async (t) => {
    const peer = await connect(t, gateway);
    for (const [data, params] of [[{ a: 1 }, { a: 1 }], [[1, 2], [1, 2]], ['x', ['x']], [7, [7]], [undefined, undefined]]) {
      const { result } = await peer.call('notify', { event: 'news', data }, `n ${JSON.stringify(data)}`);
      assert.deepEqual(result, [true]);
      const text = peer.texts.findLast((m) => m.method === 'news');
      assert.deepEqual(text, { jsonrpc: '2.0', method: 'news', ...(params && { params }) });
    }
    await peer.call('notify_bytes');
    assert.deepEqual(peer.texts.findLast((m) => m.method === 'bytes').params, ['/wA=']);
  });

  test('is told what cannot be sent, and how else', async (t) => {
    const own = await serve(t, '--expose-errors');
    const peer = await connect(t, own);
    assert.match((await peer.call('notify_bad')).error.message, /data.f: cannot encode a function/);
    assert.match((await peer.call('send')).error.message, /use client:notify\(\)/);
  });

  test('can be closed, which cancels its calls, the one that closes too', async (t) => {
    const own = await serve(t);
    const peer = await connect(t, own);
    peer.call('hold').catch(() => {});
    await own.log(/holding/);
    peer.send({ jsonrpc: '2.0', method: 'close', params: { code: 4004, reason: 'até logo' } });
    assert.deepEqual(await peer.end(), { code: 4004, reason: 'até logo' });
    await own.log(/close returned true/);
    await own.log(/close returned false/);
    await own.log(/closed closer/);
    await own.log(/on_cancel hold user/);
    await own.log(/disconnected .*code=4004 .*kind=user/);
  });

  test('outlives its connection: it still answers, and writing returns closed', async (t) => {
    const own = await serve(t);
    const [peer, other] = [await dial(t, '/rpc?as=gone', { own }), await connect(t, own)];
    peer.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'keep' }));
    const id = JSON.parse(await peer.text()).result;
    assert.deepEqual((await other.call('kept', { id })).result, { as: 'gone', closed: false, sent: true });
    peer.ws.terminate();
    await own.log(/disconnected/);
    assert.deepEqual((await other.call('kept', { id }, 2)).result, { as: 'gone', closed: true, why: 'closed' });
  });
});

describe('a client that does not read', () => {
  // How far the log says that a writer has come.
  const reached = (own, what) => Math.max(0, ...own.lines.map((l) => Number(new RegExp(` ${what} (\\d+)$`).exec(l)?.[1] ?? 0)));

  test('suspends who notifies it, without loss', async (t) => {
    const own = await serve(t, '--out-bytes', '64KiB');
    const connection = await raw(t, '/rpc', own);
    connection.socket.pause();
    connection.send(frame({ jsonrpc: '2.0', id: 1, method: 'flood', params: { bytes: 60000, count: 700 } }));
    const other = await connect(t, own);
    await own.log(/flooded 10$/);
    await other.call('me');
    assert.ok(reached(own, 'flooded') < 700);
    connection.socket.resume();
    for (let i = 0; i < 700; i++) assert.equal((await nextText(connection)).method, 'flood');
    assert.equal((await nextText(connection)).result, 700);
  });

  test('suspends a handler that sends; its loss wakes and cancels it', async (t) => {
    const own = await serve(t);
    const connection = await raw(t, '/fast', own);
    connection.socket.pause();
    await own.log(/sent 10$/);
    connection.reset();
    await own.log(/closed fast/);
    assert.ok(reached(own, 'sent') < 5000);
  });

  test('holds up results, not others', async (t) => {
    const own = await serve(t, '--out-bytes', '64KiB');
    const connection = await raw(t, '/rpc', own);
    connection.socket.pause();
    const request = (id) => frame({ jsonrpc: '2.0', id, method: 'big', params: { bytes: 1 << 20 } });
    for (let id = 0; id < 40; id++) connection.send(request(id));
    const other = await connect(t, own);
    assert.equal((await other.call('big', { bytes: 3 })).result, 'xxx');
    connection.socket.resume();
    const ids = [];
    for (let i = 0; i < 40; i++) ids.push((await nextText(connection)).id);
    assert.deepEqual(ids, Array.from({ length: 40 }, (_, i) => i));
  });

  test('for write_timeout is closed with 1013', async (t) => {
    const own = await serve(t, '--write-timeout', '200ms', '--out-bytes', '64KiB');
    const connection = await raw(t, '/rpc', own);
    connection.socket.pause();
    connection.send(frame({ jsonrpc: '2.0', id: 'h', method: 'hold' }));
    connection.send(frame({ jsonrpc: '2.0', id: 1, method: 'flood', params: { bytes: 60000, count: 5000 } }));
    await own.log(/on_cancel hold slow_consumer/);
    await own.log(/disconnected .*code=1013 .*kind=slow_consumer/);
    connection.socket.resume();
    let last;
    do { last = await nextFrame(connection); } while (last.opcode !== CLOSE);
    assert.equal(last.payload.readUInt16BE(), 1013);
  });
});

describe('a shutdown', () => {
  test('closes a handler that waits for a message at once, with 1001', async (t) => {
    const own = await start('sockets.lua');
    const [echo, events] = [await dial(t, '/echo', { own }), await dial(t, '/events', { own })];
    assert.equal(await events.text(), 'open');
    assert.equal(await echo.send('x').text(), 'x');
    own.signal('SIGTERM');
    assert.equal((await echo.end()).code, 1001);
    assert.equal((await events.end()).code, 1001);
    await own.stop();
  });

  test('lets one that works go on until it waits', async (t) => {
    const own = await start('sockets.lua');
    const socket = await dial(t, '/slow', { own });
    socket.send('1', '2');
    await own.log(/handled 1/);
    own.signal('SIGTERM');
    assert.equal((await socket.end()).code, 1001);
    await own.stop();
    assert.ok(own.lines.some((l) => /handled 2/.test(l)));
  });

  test('cancels one that does not end when the drain is over', async (t) => {
    const own = await start('sockets.lua', ['--drain-timeout', '20ms']);
    const socket = await dial(t, '/sleeper', { own });
    await own.log(/sleeping/);
    own.signal('SIGTERM');
    assert.equal((await socket.end()).code, 1001);
    await own.stop();
    assert.ok(own.lines.some((l) => /closed sleeper/.test(l)));
  });

  test('that is hurried abandons an event, and does not begin the next', async (t) => {
    const own = await start('sockets.lua');
    const socket = await dial(t, '/events', { own });
    socket.send('sleep', 'sleep', 'x').ws.close();
    await own.log(/event sleeps/);
    own.signal('SIGINT');
    await own.log(/draining/);
    await own.stop({ signal: 'SIGINT', code: 5 });
  });

  test('that cancels what runs still lets on_disconnect run', async (t) => {
    const own = await start('sockets.lua', ['--drain-timeout', '20ms']);
    const peers = [await dial(t, '/sleeper?as=handler', { own }), await dial(t, '/rpc?as=caller', { own })];
    peers[1].send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'hold' }));
    await own.log(/sleeping/);
    await own.log(/holding/);
    own.signal('SIGTERM');
    for (const peer of peers) assert.equal((await peer.end()).code, 1001);
    await own.stop();
    for (const as of ['handler', 'caller']) {
      assert.equal(own.lines.filter((l) => l.includes(' disconnected ') && l.includes(` as=${as} `)).length, 1, as);
    }
  });
});
