// HTTP/1.1 by hand: pipelining, framing, what is refused and how.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';

const gateway = await start('app.lua', ['--header-timeout', '300ms', '--body-timeout', '300ms']);
after(() => gateway.stop());

const add = (id, a = id) => postText(gateway, request('add', { a, b: 0 }, id));

test('an answer of the script has no fields of refusals that are not its own', async (t) => {
  const own = await start('connect.lua');
  t.after(() => own.stop());
  for (const status of [405, 415, 426]) {
    const { status: answered, headers } = await fetch(`${own.url}/status/${status}`);
    assert.deepEqual([answered, ...['allow', 'accept-post', 'accept-encoding', 'upgrade'].map((name) => headers.get(name))],
      [status, null, null, null, null]);
  }
});

test('keep-alive: call after call on one connection', async (t) => {
  const raw = await open(t, gateway);
  for (const id of [1, 2, 3]) {
    const { status, version, body } = await raw.send(add(id)).response();
    assert.deepEqual([status, version, JSON.parse(body).result], [200, 'HTTP/1.1', id]);
  }
});

test('pipelined calls that do not wait are answered in order, in one write', async (t) => {
  const raw = await open(t, gateway);
  const ids = Array.from({ length: 16 }, (_, i) => i);
  raw.send(...ids.map((id) => add(id)));
  for (const id of ids) assert.equal(JSON.parse((await raw.response()).body).id, id);
  assert.equal(raw.reads, 1);
});

test('pipelined calls run one at a time and in order, even if the first is slow', async (t) => {
  const raw = await open(t, gateway);
  raw.send(postText(gateway, request('slow', { seconds: 0.05, label: 'pipelined' }, 1)), add(2));
  assert.equal(JSON.parse((await raw.response()).body).result, 'done!');
  assert.equal(JSON.parse((await raw.response()).body).id, 2);
});

test('a notification has no body, and the next reply follows at once', async (t) => {
  const raw = await open(t, gateway);
  raw.send(postText(gateway, { jsonrpc: '2.0', method: 'note', params: { label: 'raw' } }), add(2));
  const { status, headers, body } = await raw.response();
  assert.equal(status, 204);
  assert.equal(body, '');
  assert.ok(!headers.has('content-length') && !headers.has('transfer-encoding'));
  assert.equal(JSON.parse((await raw.response()).body).id, 2);
});

test('bytes may come one at a time', async (t) => {
  const raw = await open(t, gateway);
  for (const byte of add(7)) raw.send(byte);
  assert.equal(JSON.parse((await raw.response()).body).id, 7);
});

test('a chunked body is put together, its extensions and trailers ignored', async (t) => {
  const raw = await open(t, gateway);
  const body = JSON.stringify(request('add', { a: 40, b: 2 }));
  raw.send(`POST /rpc HTTP/1.1\r\nHost: ${gateway.address}\r\nContent-Type: application/json\r\n`,
    'Transfer-Encoding: chunked\r\n\r\n', `a;note=1\r\n${body.slice(0, 10)}\r\n`,
    `${(body.length - 10).toString(16)}\r\n${body.slice(10)}\r\n0\r\nX-Trailer: 1\r\n\r\n`, add(2));
  assert.equal(JSON.parse((await raw.response()).body).result, 42);
  assert.equal(JSON.parse((await raw.response()).body).id, 2);
});

test('HTTP/1.0 closes after the reply, unless asked to keep alive', async (t) => {
  const body = request('add', { a: 1, b: 1 });
  const plain = (await open(t, gateway)).send(postText(gateway, body, { version: '1.0' }));
  assert.equal((await plain.response()).status, 200);
  assert.equal(await plain.rest(), '');
  const kept = (await open(t, gateway)).send(
    postText(gateway, body, { version: '1.0', lines: ['Connection: keep-alive'] }), add(2));
  const { headers } = await kept.response();
  assert.match(headers.get('connection'), /keep-alive/i);
  assert.equal(JSON.parse((await kept.response()).body).id, 2);
});

test('Connection: close is answered and obeyed', async (t) => {
  const raw = await open(t, gateway);
  raw.send(postText(gateway, request('add', { a: 1, b: 1 }), { lines: ['Connection: close'] }), add(2));
  assert.match((await raw.response()).headers.get('connection'), /close/i);
  assert.equal(await raw.rest(), '', 'what was pipelined behind it is not answered');
});

test('Expect: 100-continue is answered before the body is sent', async (t) => {
  const raw = await open(t, gateway);
  const text = postText(gateway, request('add', { a: 1, b: 1 }), { lines: ['Expect: 100-continue'] });
  const head = text.slice(0, text.indexOf('\r\n\r\n') + 4);
  assert.equal((await raw.send(head).response()).status, 100);
  assert.equal(JSON.parse((await raw.send(text.slice(head.length)).response()).body).result, 2);
});

test('HEAD has the head of GET', async (t) => {
  const raw = await open(t, gateway);
  const ask = (method) => `${method} /rpc/version HTTP/1.1\r\nHost: ${gateway.address}\r\n\r\n`;
  const head = await raw.send(ask('HEAD')).response({ head: true });
  const get = await raw.send(ask('GET')).response();
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
  assert.equal(get.body.length, Number(get.headers.get('content-length')));
});

const H = `Host: ${gateway.address}\r\n`;
const J = 'Content-Type: application/json\r\n';
const REFUSED = [
  ['a bare LF that ends the head', `GET / HTTP/1.1\r\n${H}\n`],
  ['a head ended by CR LF CR X', `GET / HTTP/1.1\r\n${H}\rX`],
  ['white space before the first name', `GET / HTTP/1.1\r\n ${H}\r\n`],
  ['a folded line', `GET / HTTP/1.1\r\n${H}A: b\r\n c\r\n\r\n`],
  ['an empty header name', `GET / HTTP/1.1\r\n${H}: b\r\n\r\n`],
  ['a NUL', `GET / HTTP/1.1\r\n${H}A: b\0\r\n\r\n`],
  ['a bare CR', `GET / HTTP/1.1\r\n${H}A: b\rc\r\n\r\n`],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['two Hosts', `GET / HTTP/1.1\r\n${H}${H}\r\n`],
  ['both lengths', `POST /rpc HTTP/1.1\r\n${H}${J}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['two lengths', `POST /rpc HTTP/1.1\r\n${H}${J}Content-Length: 3\r\nContent-Length: 4\r\n\r\n`],
  ['a negative length', `POST /rpc HTTP/1.1\r\n${H}${J}Content-Length: -1\r\n\r\n`],
  ['an empty Transfer-Encoding', `POST /rpc HTTP/1.1\r\n${H}${J}Transfer-Encoding:\r\n\r\n`],
  ['a huge chunk', `POST /rpc HTTP/1.1\r\n${H}${J}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`],
  ['a chunk size that is none', `POST /rpc HTTP/1.1\r\n${H}${J}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
  ['what is no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
];
for (const [what, text] of REFUSED) {
  test(`${what}: 400, closed, and nothing behind it is read`, async (t) => {
    const raw = await open(t, gateway);
    const { status } = await raw.send(text, add(2)).response();
    assert.equal(status, 400);
    assert.equal(await raw.rest(), '');
  });
}

const TOO_MUCH = [
  [431, 'a header line of a megabyte', `GET / HTTP/1.1\r\n${H}A: ${'a'.repeat(1 << 20)}`],
  [431, 'a thousand headers', `GET / HTTP/1.1\r\n${H}${'A: b\r\n'.repeat(1000)}`],
  [414, 'a target of 32 KiB', `GET /${'a'.repeat(32 << 10)} HTTP/1.1\r\n${H}\r\n`],
  [413, 'a declared length of a terabyte', `POST /rpc HTTP/1.1\r\n${H}${J}Content-Length: 1099511627776\r\n\r\n`],
];
for (const [expected, what, text] of TOO_MUCH) {
  test(`${what} is ${expected}`, async (t) => {
    const { status } = await (await open(t, gateway)).send(text).response();
    assert.equal(status, expected);
  });
}

test('a version that is not spoken is refused and closed', async (t) => {
  for (const version of ['2.0', '1.2', '0.9']) {
    const raw = await open(t, gateway);
    const { status } = await raw.send(`GET / HTTP/${version}\r\n${H}\r\n`).response();
    assert.ok([400, 505].includes(status), String(status));
    await raw.rest();
  }
});

test('a slow head is 408, and closed', async (t) => {
  const raw = await open(t, gateway);
  assert.equal((await raw.send('POST /rpc HT').response()).status, 408);
  await raw.rest();
});

test('a slow body is 408, and closed', async (t) => {
  const raw = await open(t, gateway);
  assert.equal((await raw.send(add(1).slice(0, -5)).response()).status, 408);
  await raw.rest();
});

test('a header that tries to smuggle a line into the log stays one line', async (t) => {
  const raw = await open(t, gateway);
  raw.send(postText(gateway, request('no\n2026-01-01T00:00:00.000Z INFO  forged', {})));
  assert.equal(JSON.parse((await raw.response()).body).error.code, -32601);
  await gateway.log(/procedure=.*forged/);
  assert.ok(!gateway.lines.some((line) => /^2026-01-01.*forged/.test(line)));
});

test('after all that, the gateway answers', async () => {
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});
