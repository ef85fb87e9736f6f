// cancela call --stream: items as they come, progress, the result; streams that fail or are cut off.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { binary, cancela, finish, spawnBinary, start } from './lib/gateway.mjs';
import { Terminal } from './lib/terminal.mjs';
import { file, serve } from './lib/tls.mjs';

const gateway = await start('streams.lua');
after(() => gateway.stop());

const URLS = { HTTP: gateway.url, WebSocket: gateway.url.replace('http', 'ws') };
const call = (url, ...args) => cancela('call', '--stream', url, ...args);

// Spawns a call whose first 'count' lines of stdout are awaited: {child, end, lines}.
async function begun(url, count, ...args) {
  const child = spawnBinary(['call', '--stream', url, ...args]);
  const end = finish(child);
  let text = '';
  child.stdout.on('data', (more) => { text += more; });
  while (text.split('\n').length <= count) await once(child.stdout, 'data');
  return { child, end };
}

for (const [way, url] of Object.entries(URLS)) {
  describe(way, () => {
    test('each item is a line, and then the result', async () => {
      assert.deepEqual(await call(url, 'count', 'n=2', 'result={"all": [1, 2]}', 'progress=true'),
        { code: 0, signal: null, stdout: '{"n":1}\n{"n":2}\n{"all":[1,2]}\n', stderr: '' });
    });

    test('without a result there is no line for it', async () => {
      assert.equal((await call(url, 'count', 'n=1')).stdout, '{"n":1}\n');
      assert.deepEqual(await call(url, 'nothing'), { code: 0, signal: null, stdout: '', stderr: '' });
    });

    test('items of any kind', async () => {
      assert.equal((await call(url, 'values')).stdout, '1\n"two\\n\u2028"\ntrue\n[3]\n{"four":4}\nnull\n');
    });

    test('a large item comes whole', async () => {
      const { stdout } = await call(url, 'flood', 'items=40', `label=cli-${way}`);
      const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
      assert.deepEqual(lines.slice(0, -1).map(({ n, padding }) => [n, padding.length]), Array.from({ length: 40 }, (_, i) => [i + 1, 65536]));
      assert.equal(lines.at(-1), 'all');
    });

    test('a procedure that does not stream', async () => {
      assert.equal((await call(url, 'add', 'a=1', 'b=2')).stdout, '3\n');
    });

    test('array params, and names with a dot', async () => {
      assert.equal((await call(url, 'words', '["a b"]')).stdout, '"a"\n"b"\n"A B"\n');
      assert.match((await call(url, 'no.such/name?')).stderr, /^error: unimplemented \(-32601\): no such procedure/);
    });

    test('an error behind the items ends with 1', async () => {
      const { code, stdout, stderr } = await call(url, 'count', 'n=1', 'fail=true');
      assert.deepEqual([code, stdout], [1, '{"n":1}\n']);
      assert.match(stderr, /^error: not_found \(-32005\): no more\ndata: \{.*"after":1.*\}\n$/);
    });

    test('params that do not fit', async () => {
      const { code, stderr } = await call(url, 'declared', 'size=big');
      assert.equal(code, 1);
      assert.match(stderr, /^error: invalid_argument \(-32602\): .*size/);
    });

    test('items are printed as they come, and Ctrl-C ends the stream', async () => {
      const { child, end } = await begun(url, 3, 'endless', 'every=0.01', `label=interrupted-${way}`);
      child.kill('SIGINT');
      const { code, stdout, stderr } = await end;
      assert.equal(code, 130);
      assert.match(stdout, /^\{"n":1\}\n\{"n":2\}\n\{"n":3\}\n/);
      assert.match(stderr, /^cancelled after [\d.]+ s/);
      await gateway.log(new RegExp(`on_cancel interrupted-${way} (disconnect|reset)`));
      await gateway.log(new RegExp(`closed interrupted-${way}`));
    });

    test('--timeout ends the stream with 4, on both sides', async () => {
      const { code, stdout, stderr } = await call(url, 'endless', 'every=0.02', `label=late-${way}`, '--timeout', '200ms');
      assert.equal(code, 4);
      assert.match(stdout, /^\{"n":1\}\n/);
      assert.match(stderr, /^error: deadline_exceeded \(-32004\)/);
      await gateway.log(new RegExp(`on_cancel late-${way} timeout`));
    });

    test('nobody reads the items any more: the stream is cancelled, with 1', async () => {
      const { child, end } = await begun(url, 1, 'endless', 'every=0.01', `label=unread-${way}`);
      child.stdout.destroy();
      const { code, stderr } = await end;
      assert.equal(code, 1);
      assert.equal(stderr, 'cancela: cannot write the items to stdout\n');
      await gateway.log(new RegExp(`closed unread-${way}`));
    });

    test('the end of the gateway is said: unavailable, with 1', async () => {
      const one = await start('streams.lua', ['--drain-timeout', '50ms']);
      const { end } = await begun(way === 'HTTP' ? one.url : one.url.replace('http', 'ws'), 2, 'endless', 'every=0.01', 'label=x');
      one.signal('SIGTERM');
      const { code, stderr } = await end;
      assert.equal(code, 1);
      assert.match(stderr, /^error: unavailable \(-?\d+\)/);
      await one.exited();
    });

    test('a gateway that dies cuts the stream off, with 3', async () => {
      const one = await start('streams.lua');
      const { end } = await begun(way === 'HTTP' ? one.url : one.url.replace('http', 'ws'), 2, 'endless', 'every=0.01', 'label=x');
      one.signal('SIGKILL');
      const { code, stderr } = await end;
      assert.equal(code, 3);
      assert.match(stderr, way === 'HTTP' ? /^cancela: the stream was cut off: the connection ended\n$/ : /^cancela: the (connection broke|server ended the connection)/);
      await one.exited();
    });

    test('the calls of a file', async () => {
      const child = spawnBinary(['call', '--stream', url, '--file', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
      const end = finish(child);
      child.stdin.end('count n=2 result=one\nadd a=1 b=1\ncount n=1 fail=true\nnothing\ncount n=1\n');
      const { code, stdout, stderr } = await end;
      assert.deepEqual([code, stdout], [1, '{"n":1}\n{"n":2}\n"one"\n2\n{"n":1}\n{"n":1}\n']);
      assert.match(stderr, /at stdin:3\n$/);
    });

    test('in a terminal progress is shown', async (t) => {
      const terminal = new Terminal(t, binary, 'call', '--stream', url, 'count', 'n=2', 'progress=true');
      await terminal.shows(/^progress: \{"done":0\}\r\n\{"n":1\}\r\nprogress: \{"done":1\}\r\n\{"n":2\}\r\n/);
      assert.equal(await terminal.code(), 0);
    });

    test('without --stream such a procedure is refused, and it is said what to do', async () => {
      const { code, stdout, stderr } = await cancela('call', url, 'count', 'n=1');
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^error: failed_precondition \(-32009\): this procedure streams/);
    });
  });
}

test('over TLS', async (t) => {
  const secure = await serve(t, [], 'streams.lua');
  for (const url of [secure.url, secure.url.replace('https', 'wss')]) {
    const { code, stdout } = await call(url, 'count', 'n=2', '--cacert', file('ca.pem'));
    assert.deepEqual([code, stdout], [0, '{"n":1}\n{"n":2}\n']);
  }
});

// A server that answers every request with what 'answer' does; resolves to its URL.
async function fake(t, answer) {
  const server = createServer((request, response) => request.resume().on('end', () => answer(response, request)));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8' };

describe('other servers', () => {
  test('the request: where it goes, and what it asks for', async (t) => {
    const seen = [];
    const url = await fake(t, (response, { method, url: target, headers }) => {
      seen.push([method, target, headers.accept, headers['connect-timeout-ms'] > 1000]);
      response.writeHead(200, EVENTS).end('event: end\ndata: {}\n\n');
    });
    await call(url, 'a.b', '--timeout', '30s');
    await call(`${url}/api/v1?key=x%20y`, 'ä b/c', '--timeout', '30s');
    await call(`${url}/api/`, 'n', '--timeout', '30s');
    assert.deepEqual(seen, [
      ['POST', '/rpc/a.b', 'text/event-stream', true],
      ['POST', '/api/v1/%C3%A4%20b%2Fc?key=x%20y', 'text/event-stream', true],
      ['POST', '/api/n', 'text/event-stream', true],
    ]);
  });

  test('events as others write them: CR LF, comments, several lines of data, unknown types', async (t) => {
    const url = await fake(t, (response) => response.writeHead(200, EVENTS)
      .end('\ufeff: hello\r\n\r\nid: 7\r\nretry: 10\r\ndata: {\r\ndata:"a": 1}\r\n\r\nevent: other\ndata: x\n\nevent: message\rdata: 2\r\revent: end\ndata: {"x":1}\n\n'));
    assert.deepEqual(await call(url, 'p'), { code: 0, signal: null, stdout: '{"a":1}\n2\n', stderr: '' });
  });

  for (const [what, answer, said] of [
    ['the end is missing', (r) => r.end('data: 1\n\n'), /^cancela: the stream was cut off: its end is missing\n$/],
    ['the last chunk is missing', (r) => { r.write('data: 1\n\n'); setImmediate(() => r.destroy()); }, /^cancela: the stream was cut off: the connection ended\n$/],
    ['an item is no JSON', (r) => r.end('data: 1\n\ndata: {\n\nevent: end\ndata: {}\n\n'), /^cancela: an event of the stream is not JSON\n$/],
    ['the end makes no sense', (r) => r.end('data: 1\n\nevent: end\ndata: []\n\n'), /^cancela: the end of the stream makes no sense\n$/],
  ]) {
    test(`${what}: that is said, with 3, behind what came`, async (t) => {
      const { code, stdout, stderr } = await call(await fake(t, (response) => answer(response.writeHead(200, EVENTS))), 'p');
      assert.deepEqual([code, stdout], [3, '1\n']);
      assert.match(stderr, said);
    });
  }

  test('an answer that is no stream', async (t) => {
    const plain = await call(await fake(t, (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('hello')), 'p');
    assert.equal(plain.code, 3);
    assert.match(plain.stderr, /not a stream of events/);
    const status = await call(await fake(t, (response) => response.writeHead(502).end('bad gateway')), 'p');
    assert.equal(status.code, 1);
    assert.match(status.stderr, /^error: HTTP 502 Bad Gateway\nbad gateway\n$/);
  });

  test('parts of other calls, and of nobody, are not taken for items', async (t) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    t.after(() => server.close());
    await once(server, 'listening');
    server.on('connection', (ws) => ws.on('message', (data) => {
      const { id, params } = JSON.parse(data);
      const { itemToken, progressToken } = params._meta;
      assert.notEqual(itemToken, progressToken);
      const part = (token, value) => ws.send(JSON.stringify({ jsonrpc: '2.0', method: '$/progress', params: { token, value } }));
      part(itemToken, 1);
      part(itemToken.replace(/\d+/, '99'), 2);
      part('somebody', 3);
      part(progressToken, 4);
      part(itemToken, 5);
      ws.send(JSON.stringify({ jsonrpc: '2.0', id, result: null }));
    }));
    const { code, stdout, stderr } = await call(`ws://127.0.0.1:${server.address().port}`, 'p', 'a=1');
    assert.deepEqual([code, stdout], [0, '1\n5\n']);
    assert.equal(stderr, '<- $/progress {"token":"somebody","value":3}\n');
    assert.match(await cancela('call', '--help').then((help) => help.stdout), /--stream/);
  });
});
