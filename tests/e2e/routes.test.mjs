// Plain HTTP: the routes of a script, and files of a folder.
import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, openSync, closeSync, ftruncateSync, rmSync, symlinkSync, truncateSync, writeFileSync }
  from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cancela, start } from './lib/gateway.mjs';
import { rss, sanitized, skip, MIB } from './lib/load.mjs';
import { open } from './lib/raw.mjs';

const folder = mkdtempSync(join(tmpdir(), 'cancela-routes-'));
const files = join(folder, 'public');
mkdirSync(join(files, 'sub'), { recursive: true });
mkdirSync(join(files, '.git'));
writeFileSync(join(folder, 'secret.txt'), 'secret');
writeFileSync(join(files, 'index.html'), '<h1>hello</h1>');
writeFileSync(join(files, 'sub', 'index.html'), 'sub');
writeFileSync(join(files, 'n.txt'), '0123456789');
writeFileSync(join(files, '.git', 'config'), 'secret');
writeFileSync(join(files, 'empty.css'), '');
symlinkSync('../secret.txt', join(files, 'out.txt'));
symlinkSync('n.txt', join(files, 'in.txt'));
const big = (name, bytes) => {
  const fd = openSync(join(files, name), 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
};
big('big.bin', 1024 * MIB);
big('shrinks.bin', 64 * MIB);

const gateway = await start('routes.lua', ['--access-log', 'all', '--origins', 'https://page.example'],
  { env: { ...process.env, ROUTES_STATIC: files } });
after(async () => {
  await gateway.hangUp().stop();
  rmSync(folder, { recursive: true });
});

const get = (path, options) => fetch(gateway.url + path, { redirect: 'manual', ...options });
const text = async (path, options) => (await get(path, options)).text();
const line = (method, path, ...lines) => [`${method} ${path} HTTP/1.1`, `Host: ${gateway.address}`, ...lines, '', ''].join('\r\n');

test('a handler gets the request, and its table is sent as JSON', async () => {
  const response = await get('/users/a%20b%2Fc?x=1&x=2+3&y=%C3%A9');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.deepEqual(await response.json(), {
    id: 'a b/c', query: { x: '2 3', y: 'é' }, all: ['1', '2 3'], method: 'GET', path: '/users/a%20b%2Fc',
    protocol: 'http', procedure: 'GET /users/:id', body: '',
  });
  await gateway.log(/ call id=\d+ procedure="GET \/users\/:id" outcome=ok /);
});

test('the more specific route wins, and a string is plain text', async () => {
  const response = await get('/users/me');
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(await response.text(), 'me');
});

test('a JSON body is decoded; status, headers and repeated headers are sent', async () => {
  const response = await get('/users', { method: 'POST', body: '{"a":[1,null]}' });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('location'), '/users/9');
  assert.equal(response.headers.get('x-n'), '7');
  assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
  assert.deepEqual(await response.json(), { got: { a: [1, null] } });
});

test('a body that is no JSON is an invalid argument', async () => {
  for (const body of ['', '{', '[1,]', '\xff']) {
    const response = await get('/users', { method: 'POST', body });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).code, 'invalid_argument');
  }
});

test('a body is passed on byte for byte, up to body_bytes', async () => {
  const most = new Uint8Array(MIB).fill(255);
  const echoed = await get('/echo', { method: 'PUT', body: most });
  assert.deepEqual(new Uint8Array(await echoed.arrayBuffer()), most);
  assert.equal((await get('/echo', { method: 'PUT', body: new Uint8Array(MIB + 1) })).status, 413);
});

test('nil is 204; HEAD is GET without its body; 204 and 304 have none', async (t) => {
  const raw = await open(t, gateway);
  raw.send(line('DELETE', '/users/7'), line('HEAD', '/users/me'), line('GET', '/status/304'),
    line('GET', '/status/204'), line('GET', '/status/299'));
  assert.equal((await raw.response()).status, 204);
  const head = await raw.response({ head: true });
  assert.equal(head.headers.get('content-length'), '2');
  for (const status of [304, 204]) {
    const none = await raw.response();
    assert.equal(none.status, status);
    assert.equal(none.headers.get('content-length'), undefined);
    assert.equal(none.headers.get('content-type'), undefined);
  }
  assert.equal((await raw.response()).body, 'text');
});

test('another method is 405 with Allow, OPTIONS 204, an unknown path 404', async () => {
  const other = await get('/users/7', { method: 'PUT' });
  assert.equal(other.status, 405);
  assert.equal(other.headers.get('allow'), 'GET, HEAD, DELETE, OPTIONS');
  const options = await get('/users/7', { method: 'OPTIONS', headers: { origin: 'https://page.example' } });
  assert.equal(options.status, 204);
  assert.equal(options.headers.get('access-control-allow-methods'), 'GET, HEAD, DELETE, OPTIONS');
  assert.equal((await get('/nothing/here')).status, 404);
  assert.equal((await get('/users/')).status, 404);
});

test('authorize decides about routes too', async () => {
  const response = await get('/users/me', { headers: { 'x-refuse': '1' } });
  assert.equal(response.status, 401);
  assert.equal((await response.json()).code, 'unauthenticated');
});

test('errors become statuses; what a script did not mean to say stays in the log', async () => {
  const typed = await get('/typed');
  assert.equal(typed.status, 404);
  const body = await typed.json();
  assert.equal(body.code, 'not_found');
  assert.deepEqual(body.details[0].debug, { id: 7 });
  const raised = await get('/raises');
  assert.equal(raised.status, 500);
  assert.ok(!(await raised.text()).includes('secret'));
  await gateway.log(/procedure=GET \/raises: .*a secret/);
  const slow = await get('/slow');
  assert.equal(slow.status, 504);
  assert.equal((await slow.json()).code, 'deadline_exceeded');
});

test('what cannot be sent is refused: line breaks, framing headers, odd statuses and bodies', async () => {
  const refused = [
    '/header/X-A?v=a%0D%0AX-B:%20c', '/header/X-A?v=a%0Ab', '/header/a%0D%0Ab?v=c', '/header/a%20b?v=c',
    '/header/Content-Length?v=5', '/header/transfer-encoding?v=chunked', '/header/CONNECTION?v=close', '/header/Date?v=x',
    '/status/199', '/status/600', '/result/number', '/result/stray', '/result/body',
  ];
  for (const path of refused) {
    const response = await get(path);
    assert.equal(response.status, 500, path);
    assert.equal(response.headers.get('x-b'), null);
  }
  await gateway.log(/response.headers\['Content-Length'\]: is the gateway's own/);
  await gateway.log(/unknown member 'stauts'/);
});

test('a client that leaves cancels the handler', async (t) => {
  const raw = await open(t, gateway);
  raw.send(line('GET', '/wait'));
  await gateway.log(/wait has begun/);
  raw.reset();
  await gateway.log(/wait is gone: disconnect/);
});

test('a function as the body is sent in chunks, and the connection goes on', async (t) => {
  const raw = await open(t, gateway);
  raw.send(line('GET', '/stream'), line('GET', '/users/me'));
  const head = await raw.response();
  assert.equal(head.headers.get('transfer-encoding'), 'chunked');
  assert.equal(head.headers.get('content-type'), 'text/plain');
  const body = '8\r\npiece 1\n\r\n8\r\npiece 2\n\r\n8\r\npiece 3\n\r\n0\r\n\r\n';
  assert.equal(await raw.bytes(body.length), body);
  assert.equal((await raw.response()).body, 'me');
});

test('of HEAD there are no chunks; HTTP/1.0 gets the bare body until the end', async (t) => {
  const raw = await open(t, gateway);
  raw.send(line('HEAD', '/stream'), line('GET', '/users/me'));
  assert.equal((await raw.response({ head: true })).headers.get('content-length'), undefined);
  assert.equal((await raw.response()).body, 'me');
  const old = await open(t, gateway);
  old.send('GET /stream HTTP/1.0\r\n\r\n');
  const head = await old.response({ head: true });
  assert.equal(head.headers.get('transfer-encoding'), undefined);
  assert.equal(await old.rest(), 'piece 1\npiece 2\npiece 3\n');
});

test('78: a body that fails, or is late, ends without the last chunk', async (t) => {
  for (const path of ['/breaks', '/late', '/result/piece']) {
    const raw = await open(t, gateway);
    raw.send(line('GET', path));
    assert.equal((await raw.response()).status, 200);
    const rest = await raw.rest();
    assert.ok(rest.startsWith('8\r\npiece 1\n\r\n'), rest);
    assert.ok(!rest.includes('\r\n0\r\n'), rest);
    await assert.rejects(text(path));
  }
});

test('a slow reader of an endless body costs little memory', { skip }, async (t) => {
  const before = rss(gateway);
  const raw = await open(t, gateway);
  raw.send(line('GET', '/flood'));
  await raw.response();
  raw.socket.pause();
  for (let i = 0; i < 20; i++) assert.equal(await text('/users/me'), 'me');
  assert.ok(rss(gateway) - before < (sanitized ? 64 : 16) * MIB);
  raw.reset();
  await gateway.log(/procedure="GET \/flood" outcome=canceled reason=disconnect/);
});

test('paths with dots or broken escapes are refused, and the connection closed', async (t) => {
  for (const path of ['/../secret.txt', '/a/..', '/%2e%2e/secret.txt', '/rest/%2E./x', '/%zz', '/a%00']) {
    const raw = await open(t, gateway);
    raw.send(line('GET', path));
    const { status, headers } = await raw.response();
    assert.equal(status, 400, path);
    assert.equal(headers.get('connection'), 'close', path);
    assert.equal(await raw.rest(), '', path);
  }
});

test('a file has its type, its tag and its date, and is not sent again', async () => {
  const page = await get('/');
  assert.equal(page.status, 200);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(await page.text(), '<h1>hello</h1>');
  const etag = page.headers.get('etag');
  assert.match(etag, /^"[^"]+"$/);
  assert.equal((await get('/', { headers: { 'if-none-match': etag } })).status, 304);
  assert.equal((await get('/', { headers: { 'if-modified-since': page.headers.get('last-modified') } })).status, 304);
  assert.equal((await get('/', { headers: { 'if-none-match': '"other"' } })).status, 200);
  assert.equal((await get('/', { headers: { 'if-match': '"other"' } })).status, 412);
  assert.equal(await text('/empty.css'), '');
  assert.equal(await text('/in.txt'), '0123456789');
  await gateway.log(/ file path=\/in.txt status=200 .* out=10 /);
});

test('a range of a file is sent, or refused', async () => {
  const part = async (range, more) => {
    const response = await get('/n.txt', { headers: { range, ...more } });
    return [response.status, response.headers.get('content-range'), await response.text()];
  };
  assert.deepEqual(await part('bytes=2-4'), [206, 'bytes 2-4/10', '234']);
  assert.deepEqual(await part('bytes=-3'), [206, 'bytes 7-9/10', '789']);
  assert.deepEqual(await part('bytes=10-'), [416, 'bytes */10', '']);
  assert.deepEqual(await part('bytes=0-1', { 'if-range': '"other"' }), [200, null, '0123456789']);
});

test('a folder is its index; without the slash it is a redirect', async () => {
  assert.equal(await text('/sub/'), 'sub');
  const response = await get('/sub?a=b');
  assert.equal(response.status, 301);
  assert.equal(response.headers.get('location'), '/sub/?a=b');
});

test('nothing outside of the folder, or hidden in it, is served', async (t) => {
  const raw = await open(t, gateway);
  for (const path of ['/out.txt', '/.git/config', '/..%2fsecret.txt', '/..%5csecret.txt', '//secret.txt', '/sub//index.html',
    '/sub%2findex.html', '/n.txt/', '/n.txt/x', `/${'a'.repeat(300)}`, `/${'a/'.repeat(3000)}`]) {
    raw.send(line('GET', path));
    const response = await raw.response();
    assert.equal(response.status, 404, path);
    assert.ok(!response.body.includes('secret'));
  }
});

test('a route of another method leaves GET to the file, and HEAD has its length', async (t) => {
  assert.equal(await text('/n.txt'), '0123456789');
  assert.equal(await text('/n.txt', { method: 'POST' }), 'posted');
  assert.equal((await get('/n.txt', { method: 'PUT' })).status, 405);
  const raw = await open(t, gateway);
  raw.send(line('HEAD', '/n.txt'), line('GET', '/n.txt'));
  assert.equal((await raw.response({ head: true })).headers.get('content-length'), '10');
  assert.equal((await raw.response()).body, '0123456789');
});

test('a gigabyte to a client that does not read costs little memory', { skip }, async (t) => {
  const before = rss(gateway);
  const raw = await open(t, gateway);
  raw.send(line('GET', '/big.bin'));
  raw.socket.once('data', () => raw.socket.pause());
  for (let i = 0; i < 20; i++) assert.equal(await text('/n.txt'), '0123456789');
  assert.ok(rss(gateway) - before < (sanitized ? 64 : 16) * MIB);
  raw.reset();
});

test('a file that shrinks meanwhile cuts the connection', async (t) => {
  const raw = await open(t, gateway);
  raw.send(line('GET', '/shrinks.bin'));
  const head = await raw.response({ head: true });
  assert.equal(head.headers.get('content-length'), String(64 * MIB));
  raw.socket.pause();
  truncateSync(join(files, 'shrinks.bin'), 1);
  raw.socket.resume();
  const rest = await raw.rest();
  assert.ok(rest.length < 64 * MIB);
  assert.equal(await text('/n.txt'), '0123456789');
});

test('keys that are wrong, or collide, are errors of the script', async () => {
  const check = async (app) => {
    const path = join(folder, 'check.lua');
    writeFileSync(path, `local cancela = require "cancela"\nlocal function f() end\nreturn cancela.app { procedures = {}, ${app} }`);
    const { code, stderr } = await cancela('check', path);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /check\.lua:\d+: /);
    return stderr;
  };
  assert.match(await check('routes = { ["/x"] = f }'), /routes\['\/x'\]: write a method/);
  assert.match(await check('routes = { ["GET /rpc/x"] = f }'), /\/rpc is the path of procedures/);
  assert.match(await check('routes = { ["GET /socket"] = f }'), /\/socket is the path of binary frames/);
  assert.match(await check('sockets = { ["/e"] = f }, routes = { ["GET /e"] = f }'), /a handler of 'sockets' has this path/);
  assert.match(await check('routes = { ["GET /:a"] = f, ["GET /:b"] = f }'),
    /routes\['GET \/:[ab]'\] and routes\['GET \/:[ab]'\] take the same requests: remove one/);
  assert.match(await check('routes = { ["GET /x"] = 7 }'), /must be a function or a cancela\.route/);
  assert.match(await check('routes = { ["GET /x"] = cancela.route { run = f, timeot = 1 } }'), /did you mean 'timeout'/);
  assert.match(await check('static = "nowhere"'), /static: 'nowhere' is no folder/);
});
