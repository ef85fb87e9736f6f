// Headless Chromium: fetch and WebSocket of a page of another origin, aborted, left and closed.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { binary, start, within } from './lib/gateway.mjs';

const program = ['chromium', 'chromium-headless-shell', 'chromium-browser'].map((name) => `/usr/bin/${name}`).find(existsSync);
const skip = !program ? 'Chromium is not installed: run scripts/setup --tests'
  : /\/build\/(release|tsan)\//.test(binary) ? 'the browser is driven on the dev build only' : false;

// What pages call with. It runs in the browser.
function inPage() {
  const texts = (method, params, id) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

  globalThis.post = async (url, body, options) => {
    const response = await fetch(url, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body, ...options,
    });
    const text = await response.text();
    return { status: response.status, reply: text && JSON.parse(text) };
  };
  globalThis.call = (url, method, params, options) => globalThis.post(url, texts(method, params, 1), options);

  // A WebSocket whose replies are sorted by id.
  globalThis.dial = async (url) => {
    const ws = new WebSocket(url), waiting = new Map(), all = [];
    let ids = 0;
    ws.onmessage = ({ data }) => {
      const value = JSON.parse(data);
      all.push(value);
      waiting.get(Array.isArray(value) ? 'batch' : value.id)?.(value);
    };
    await new Promise((resolve, reject) => {
      ws.onopen = resolve;
      ws.onerror = () => reject(new Error('refused'));
    });
    const reply = (id) => new Promise((resolve) => waiting.set(id, resolve));
    return {
      ws, all, reply,
      send: (text) => ws.send(text),
      notify: (method, params) => ws.send(texts(method, params)),
      start(method, params) {
        const id = ++ids, answer = reply(id);
        ws.send(texts(method, params, id));
        return { id, answer };
      },
      call(method, params) { return this.start(method, params).answer; },
      close: () => new Promise((resolve) => {
        ws.onclose = resolve;
        ws.close();
      }),
    };
  };
}

describe('Chromium', { skip }, () => {
  let pages, gateway, browser, context, page, rpc, socket;

  before(async () => {
    pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><p>hi'));
    await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${pages.address().port}`;
    pages.url = origin;
    // The pings come while calls run, and the browser must answer them.
    gateway = await start('app.lua', ['--origins', origin, '--ping-interval', '50ms', '--pong-timeout', '5s']);
    rpc = gateway.rpcUrl;
    socket = rpc.replace('http', 'ws');
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
    context = await browser.newContext();
    await context.addInitScript(inPage);
    page = await context.newPage();
    await page.goto(origin);
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    await gateway?.stop();
  });

  describe('fetch', () => {
    test('calls, and gets errors as errors', async () => {
      const run = (method, params) => page.evaluate(([url, m, p]) => call(url, m, p), [rpc, method, params]);
      assert.deepEqual(await run('add', { a: 2, b: 40 }), { status: 200, reply: { jsonrpc: '2.0', id: 1, result: 42 } });
      const { error } = (await run('not_found', {})).reply;
      assert.deepEqual(error, { code: -32005, message: 'no such user', data: { code: 'not_found', user: 7 } });
    });

    test('notifies, and sends a batch', async () => {
      const run = (body) => page.evaluate(([url, text]) => post(url, text), [rpc, JSON.stringify(body)]);
      const note = { jsonrpc: '2.0', method: 'note', params: { label: 'chromium' } };
      assert.equal((await run(note)).status, 204);
      await gateway.log(/noted chromium true/);
      const { reply } = await run([{ jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 1 } }, note]);
      assert.deepEqual(reply, [{ jsonrpc: '2.0', id: 1, result: 2 }]);
    });

    test('makes a hundred calls at once, and a slow one before them holds up none', async () => {
      const { sums, early } = await page.evaluate(async (url) => {
        let answered = false;
        const controller = new AbortController();
        const slow = call(url, 'slow', { label: 'chromium slow' }, { signal: controller.signal })
          .finally(() => (answered = true)).catch(() => {});
        const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => call(url, 'add', { a: i, b: i })));
        const before = !answered;
        controller.abort();
        await slow;
        return { early: before, sums: replies.map(({ reply }) => reply.result) };
      }, rpc);
      assert.deepEqual(sums, Array.from({ length: 100 }, (_, i) => 2 * i));
      assert.ok(early);
      await gateway.log(/on_cancel chromium slow disconnect/);
    });

    test('is aborted, which the script sees', async () => {
      const aborted = page.evaluate(async (url) => {
        globalThis.controller = new AbortController();
        return call(url, 'slow_to_close', { label: 'chromium aborted' }, { signal: controller.signal })
          .catch((error) => error.name);
      }, rpc);
      await gateway.log(/started chromium aborted/);
      await page.evaluate(() => controller.abort());
      assert.equal(await aborted, 'AbortError');
      await gateway.log(/on_cancel chromium aborted disconnect/);
      await gateway.log(/closed chromium aborted last/);
    });
  });

  describe('WebSocket', () => {
    test('calls, gets errors as errors, notifies, sends a batch', async () => {
      const [sum, wrong, batch] = await page.evaluate(async (url) => {
        const client = await dial(url);
        const answers = [await client.call('add', { a: 2, b: 40 }), await client.call('not_found', {})];
        client.notify('note', { label: 'chromium socket' });
        const replies = client.reply('batch');
        client.send(JSON.stringify([{ jsonrpc: '2.0', id: 'x', method: 'add', params: { a: 1, b: 1 } }]));
        return [...answers, await replies];
      }, socket);
      assert.equal(sum.result, 42);
      assert.deepEqual(wrong.error.data, { code: 'not_found', user: 7 });
      assert.deepEqual(batch, [{ jsonrpc: '2.0', id: 'x', result: 2 }]);
      await gateway.log(/noted chromium socket true/);
    });

    test('makes a hundred calls at once, and a slow one before them holds up none', async () => {
      const { sums, early } = await page.evaluate(async (url) => {
        const client = await dial(url);
        const { answer } = client.start('slow', { seconds: 60, label: 'chromium socket slow' });
        let answered = false;
        answer.then(() => (answered = true));
        const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => client.call('add', { a: i, b: i })));
        const before = !answered;
        await client.close();
        return { early: before, sums: replies.map(({ result }) => result) };
      }, socket);
      assert.deepEqual(sums, Array.from({ length: 100 }, (_, i) => 2 * i));
      assert.ok(early);
      await gateway.log(/on_cancel chromium socket slow disconnect/);
    });

    test('cancels a call: the script sees it, and it is answered once', async () => {
      const id = await page.evaluate(async (url) => {
        globalThis.client = await dial(url);
        globalThis.running = client.start('slow_to_close', { label: 'chromium cancelled' });
        return running.id;
      }, socket);
      await gateway.log(/started chromium cancelled/);
      const { error } = await page.evaluate(() => {
        client.notify('$/cancelRequest', { id: running.id });
        return running.answer;
      });
      assert.equal(error.code, -32800);
      await gateway.log(/on_cancel chromium cancelled reset/);
      await gateway.log(/closed chromium cancelled last/);
      const all = await page.evaluate(() => client.call('add', { a: 1, b: 1 }).then(() => client.all));
      assert.equal(all.filter((text) => text.id === id).length, 1);
    });

    test('answers the pings that come while a call runs', async () => {
      const reply = await page.evaluate(async (url) => (await dial(url)).call('slow', { label: 'pinged', seconds: 0.3 }), socket);
      assert.equal(reply.result, 'done!');
    });

    test('connects again thirty times', async () => {
      const sums = await page.evaluate(async (url) => {
        const results = [];
        for (let i = 0; i < 30; i++) {
          const client = await dial(url);
          results.push((await client.call('add', { a: i, b: 1 })).result);
          await client.close();
        }
        return results;
      }, socket);
      assert.deepEqual(sums, Array.from({ length: 30 }, (_, i) => i + 1));
    });
  });

  for (const [what, leave] of [
    ['leaving a page', async (tab) => tab.goto(`${pages.url}/elsewhere`)],
    ['closing a tab', async (tab) => tab.close()],
  ]) {
    test(`${what} cancels its calls, of fetch and of WebSocket`, async () => {
      const tab = await context.newPage();
      await tab.goto(pages.url);
      const labels = [`${what}, fetch`, `${what}, WebSocket`];
      await tab.evaluate(async ([url, socketUrl, [first, second]]) => {
        call(url, 'slow', { label: first }).catch(() => {});
        const client = await dial(socketUrl);
        client.start('slow', { label: second });
      }, [rpc, socket, labels]);
      await Promise.all(labels.map((label) => gateway.log(new RegExp(`started ${label}$`))));
      await leave(tab);
      await Promise.all(labels.map((label) => gateway.log(new RegExp(`on_cancel ${label} disconnect$`))));
      await Promise.all(labels.map((label) => gateway.log(new RegExp(`closed ${label}$`))));
      await tab.close();
    });
  }

  test('a page of an origin that is not listed is refused', async () => {
    const tab = await context.newPage();
    await tab.goto(pages.url.replace('127.0.0.1', 'localhost'));
    const refused = (run) => within(tab.evaluate(run, [rpc, socket]), () => 'the refusal');
    assert.equal(await refused(([url]) => call(url, 'add', { a: 1, b: 1 }).catch((error) => error.name)), 'TypeError');
    assert.equal(await refused(([, url]) => dial(url).catch((error) => error.message)), 'refused');
    await tab.close();
  });
});
