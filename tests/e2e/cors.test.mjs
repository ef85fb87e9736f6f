// Connect called by the pages of other sites: the fields of CORS, and Chromium that goes by them.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as dial, createServer as createProxy } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { binary, start } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';

const PAGE = 'https://page.example', ELSEWHERE = 'https://elsewhere.example';
const SAY = '/rpc/eliza.v1.ElizaService/Say', LOOK = '/rpc/eliza.v1.ElizaService/Look';
const FAIL = '/rpc/eliza.v1.ElizaService/Fail';
const list = (value) => value.toLowerCase().split(',').map((item) => item.trim());

const gateway = await start('connect.lua', ['--origins', PAGE, '--body-bytes', '2KiB']);
after(() => gateway.hangUp().stop());

const JSON_TYPE = { 'content-type': 'application/json' };

// Sends what a page of 'origin' sends; resolves to the response, its body read.
async function from(origin, path, { method = 'POST', body = '{}', headers = JSON_TYPE, of = gateway } = {}) {
  const response = await fetch(of.url + path, {
    method, headers: { ...headers, ...(origin && { origin }) }, ...(method === 'POST' && { body }),
  });
  await response.text();
  return response;
}
const preflight = (path, asked = {}, { origin = PAGE, of } = {}) => from(origin, path, {
  method: 'OPTIONS', of, headers: { 'access-control-request-method': 'POST', ...asked },
});

describe('a preflight request', () => {
  test('is told the methods that the path takes', async () => {
    const methods = async (path) => list((await preflight(path)).headers.get('access-control-allow-methods'));
    assert.deepEqual(await methods(SAY), ['post', 'options']);
    assert.deepEqual(await methods(LOOK), ['get', 'head', 'post', 'options']);
    assert.deepEqual(await methods('/rpc'), ['post', 'options']);
  });

  test('is told that the headers of the protocol may be sent, and those that it asks for', async () => {
    const headers = async (asked) => list((await preflight(SAY, asked)).headers.get('access-control-allow-headers'));
    const own = ['authorization', 'content-type', 'connect-protocol-version', 'connect-timeout-ms'];
    for (const name of own) assert.ok((await headers({})).includes(name), name);
    const all = await headers({ 'access-control-request-headers': 'content-type, x-tenant,traceparent' });
    for (const name of [...own, 'x-tenant', 'traceparent']) {
      assert.equal(all.filter((one) => one === name).length, 1, `${name} in ${all}`);
    }
    const odd = await headers({ 'access-control-request-headers': 'x-tenant, no token' });
    assert.deepEqual(odd, await headers({}));
  });

  test('may be remembered for two hours, by what it depends on', async () => {
    const { status, headers } = await preflight(SAY);
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-max-age'), '7200');
    assert.deepEqual(list(headers.get('vary')).sort(),
      ['access-control-request-headers', 'access-control-request-private-network', 'origin']);
  });

  test('of a procedure that there is not is answered, so that the page gets the error', async () => {
    const { status, headers } = await preflight('/rpc/eliza.v1.ElizaService/Shout');
    assert.deepEqual([status, headers.get('access-control-allow-origin')], [204, PAGE]);
    assert.equal((await from(PAGE, '/rpc/eliza.v1.ElizaService/Shout', { method: 'OPTIONS', headers: {} })).status, 404);
  });

  test('for a private network is granted to sites listed by name, not to any', async (t) => {
    const asked = { 'access-control-request-private-network': 'true' };
    const granted = async (options) => (await preflight(SAY, asked, options)).headers.get('access-control-allow-private-network');
    assert.equal(await granted(), 'true');
    assert.equal((await preflight(SAY)).headers.get('access-control-allow-private-network'), null);
    const open = await start('connect.lua', ['--origins', '*']);
    t.after(() => open.stop());
    assert.equal((await preflight(SAY, asked, { of: open })).headers.get('access-control-allow-origin'), PAGE);
    assert.equal(await granted({ of: open }), null);
  });

  test('of a site that is not listed is told nothing', async () => {
    const { status, headers } = await preflight(SAY, {}, { origin: ELSEWHERE });
    assert.equal(status, 403);
    assert.ok(![...headers.keys()].some((name) => name.startsWith('access-control-')));
  });
});

describe('an answer', () => {
  const allowed = ({ headers }) => [
    'access-control-allow-origin', 'access-control-expose-headers', 'vary', 'access-control-allow-credentials',
  ].map((name) => headers.get(name));

  test('says that the site may read it and its headers, without credentials', async () => {
    assert.deepEqual(allowed(await from(PAGE, SAY)), [PAGE, '*', 'Origin', null]);
  });

  test('to no page says on what it depends, for caches', async () => {
    assert.deepEqual(allowed(await from(null, LOOK, { method: 'GET', headers: {} })), [null, null, 'Origin', null]);
  });

  test('says nothing of it where no site is listed', async (t) => {
    const alone = await start('connect.lua');
    t.after(() => alone.stop());
    assert.equal((await from(null, SAY, { of: alone })).headers.get('vary'), null);
  });

  for (const [what, path, options, status] of [
    ['an unknown procedure', '/rpc/nope', {}, 404],
    ['an unknown path', '/nope', {}, 404],
    ['another content type', SAY, { headers: { 'content-type': 'text/plain' } }, 415],
    ['another method', SAY, { method: 'PUT' }, 405],
    ['a malformed timeout', SAY, { headers: { ...JSON_TYPE, 'connect-timeout-ms': 'x' } }, 400],
    ['a body that is too large', SAY, { body: 'x'.repeat(4096) }, 413],
    ['a failed call', FAIL, { body: '{"sentence":"internal"}' }, 500],
    ['an expired call', SAY, { headers: { ...JSON_TYPE, 'connect-timeout-ms': '0' } }, 504],
    ['a refused caller', FAIL, { body: '{"sentence":"unauthenticated"}' }, 401],
    ['what a busy server says', FAIL, { body: '{"sentence":"unavailable"}' }, 503],
    ['a call that the script gave up', FAIL, { body: '{"sentence":"canceled"}' }, 499],
  ]) {
    test(`to ${what} (${status}) may be read by the site, too`, async () => {
      const response = await from(PAGE, path, options);
      assert.equal(response.status, status);
      assert.deepEqual(allowed(response), [PAGE, '*', 'Origin', null]);
    });
  }

  test('to a body that never comes (408) may be read by the site, too', async (t) => {
    const hasty = await start('connect.lua', ['--origins', PAGE, '--body-timeout', '50ms']);
    t.after(() => hasty.hangUp().stop());
    const raw = await open(t, hasty);
    raw.send(`POST ${SAY} HTTP/1.1\r\nHost: ${hasty.address}\r\nOrigin: ${PAGE}\r\nContent-Type: application/json\r\n`,
      'Content-Length: 9\r\n\r\n{');
    const { status, headers } = await raw.response();
    assert.deepEqual([status, headers.get('access-control-allow-origin')], [408, PAGE]);
  });
});

// --- Chromium. ---

const program = ['chromium', 'chromium-headless-shell', 'chromium-browser'].map((name) => `/usr/bin/${name}`).find(existsSync);
const skip = !program ? 'Chromium is not installed: run scripts/setup --tests'
  : /\/build\/(release|tsan)\//.test(binary) ? 'the browser is driven on the dev build only' : false;

const listening = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

// Passes bytes on, and keeps the first line of every request that a browser sends (one a packet).
async function watch(target) {
  const sockets = new Set();
  const server = createProxy((from_) => {
    const to = dial(target.port, '127.0.0.1');
    for (const [a, b] of [[from_, to], [to, from_]]) {
      sockets.add(a);
      a.on('error', () => b.destroy()).on('close', () => b.destroy());
    }
    from_.on('data', (bytes) => {
      const line = bytes.toString('latin1').match(/^([A-Z]+) (\S+) HTTP\/1.1\r\n/);
      if (line) server.requests.push(`${line[1]} ${line[2].split('?')[0]}`);
      to.write(bytes);
    });
    to.on('data', (bytes) => from_.write(bytes));
  });
  server.requests = [];
  server.url = `http://127.0.0.1:${await listening(server)}`;
  server.end = () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  };
  return server;
}

// What pages call with. It runs in the browser.
function inPage() {
  globalThis.ask = async (url, { method = 'POST', body = '{}', headers = {}, ...options } = {}) => {
    const sent = method === 'POST' ? { 'Content-Type': 'application/json', 'Connect-Protocol-Version': '1', ...headers } : headers;
    try {
      const response = await fetch(url, { method, headers: sent, ...(method === 'POST' && { body }), ...options });
      const text = await response.text();
      let value = text;
      try { value = JSON.parse(text); } catch { /* a line of text */ }
      return { status: response.status, value, names: [...response.headers.keys()] };
    } catch (error) {
      return { failed: error.name };
    }
  };
}

describe('a page in Chromium', { skip }, () => {
  let pages, server, proxy, browser, context, page, stranger;
  const ask = (where, path, options) => where.evaluate(([url, o]) => globalThis.ask(url, o), [proxy.url + path, options]);

  before(async () => {
    pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><p>hi'));
    const port = await listening(pages);
    server = await start('connect.lua', ['--origins', `http://127.0.0.1:${port}`, '--body-bytes', '2KiB']);
    proxy = await watch(server);
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
    context = await browser.newContext();
    await context.addInitScript(inPage);
    [page, stranger] = [await context.newPage(), await context.newPage()];
    await page.goto(`http://127.0.0.1:${port}`);
    await stranger.goto(`http://localhost:${port}`);
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    proxy?.end();
    await server?.stop();
  });

  test('of a listed site calls; its browser asks once, and remembers', async () => {
    proxy.requests.length = 0;
    for (const headers of [{}, { 'Connect-Timeout-Ms': '60000' }, { Authorization: 'Bearer x' }]) {
      const { status, value } = await ask(page, SAY, { body: '{"sentence":"hi"}', headers });
      assert.deepEqual([status, value], [200, { sentence: 'You said: hi' }]);
    }
    assert.deepEqual(proxy.requests, [`OPTIONS ${SAY}`, ...Array(3).fill(`POST ${SAY}`)]);
  });

  test('may send headers of its own', async () => {
    const { value } = await ask(page, '/rpc/header', { body: '{"name":"x-tenant"}', headers: { 'X-Tenant': 'acme' } });
    assert.deepEqual(value, { value: 'acme' });
  });

  test('calls with GET without a preflight request', async () => {
    proxy.requests.length = 0;
    const { value } = await ask(page, `${LOOK}?encoding=json&message=${encodeURIComponent('{"sentence":"hi"}')}`, { method: 'GET' });
    assert.deepEqual(value, { sentence: 'hi by GET' });
    assert.deepEqual(proxy.requests, [`GET ${LOOK}`]);
  });

  test('reads errors: of the script, unknown procedures, what is too large, and deadlines', async () => {
    const failed = await ask(page, FAIL, { body: '{"sentence":"not_found"}' });
    assert.deepEqual([failed.status, failed.value.code, failed.value.details[0].debug.user], [404, 'not_found', 7]);
    const unknown = await ask(page, '/rpc/eliza.v1.ElizaService/Shout', {});
    assert.deepEqual([unknown.status, unknown.value.code], [404, 'unimplemented']);
    assert.equal((await ask(page, SAY, { body: 'x'.repeat(4096) })).status, 413);
    const late = await ask(page, '/rpc/eliza.v1.ElizaService/Wait',
      { body: '{"sentence":"page"}', headers: { 'Connect-Timeout-Ms': '40' } });
    assert.deepEqual([late.status, late.value.code], [504, 'deadline_exceeded']);
    await server.log(/on_cancel page timeout/);
  });

  test('reads the other headers of an answer', async () => {
    const { names } = await ask(page, SAY, {});
    assert.ok(names.includes('date'), names.join());
  });

  test('streams: with EventSource, and with fetch, which it aborts', async () => {
    const events = await page.evaluate((url) => new Promise((resolve) => {
      const source = new EventSource(url), heard = [];
      for (const type of ['message', 'progress', 'end']) {
        source.addEventListener(type, ({ data }) => {
          heard.push([type, JSON.parse(data)]);
          if (type !== 'end') return;
          source.close();
          resolve(heard);
        });
      }
      source.onerror = () => resolve([...heard, 'error']);
    }), `${proxy.url}/rpc/watch?message=${encodeURIComponent('{"n":1}')}`);
    assert.deepEqual(events, [['progress', { done: 1 }], ['message', { n: 1, text: 'two\nlines' }], ['message', 'done!'], ['end', {}]]);
    const name = await page.evaluate(async (url) => {
      const controller = new AbortController(), json = '{"sentence":"streamed page"}';
      const response = await fetch(url, {
        method: 'POST', body: `\0\0\0\0${String.fromCharCode(json.length)}${json}`, signal: controller.signal,
        headers: { 'Content-Type': 'application/connect+json', 'Connect-Protocol-Version': '1' },
      });
      const reader = response.body.getReader();
      await reader.read();
      controller.abort();
      return reader.read().catch((error) => error.name);
    }, `${proxy.url}/rpc/eliza.v1.ElizaService/Endless`);
    assert.equal(name, 'AbortError');
    await server.log(/on_cancel streamed page disconnect/);
  });

  test('does not get an answer to a request with credentials', async () => {
    assert.deepEqual(await ask(page, SAY, { credentials: 'include' }), { failed: 'TypeError' });
  });

  test('of a site that is not listed does not get the answer, and its call never runs', async () => {
    assert.deepEqual(await ask(stranger, SAY, {}), { failed: 'TypeError' });
    const simple = { headers: { 'Content-Type': 'text/plain' }, body: '{"sentence":"stranger"}' };
    const wait = '/rpc/eliza.v1.ElizaService/Wait';
    assert.deepEqual(await ask(stranger, wait, simple), { failed: 'TypeError' });
    await stranger.evaluate(([url, body]) => fetch(url, { method: 'POST', mode: 'no-cors', body }), [proxy.url + wait, simple.body]);
    assert.deepEqual(await ask(stranger, LOOK, { method: 'GET' }), { failed: 'TypeError' });
    assert.ok(!server.lines.some((line) => line.includes('started stranger')));
  });
});
