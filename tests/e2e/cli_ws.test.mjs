// cancela call on a WebSocket: one call, the calls of a file, calls typed at a prompt.
import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { binary, cancela, finish, spawnBinary, start, within } from './lib/gateway.mjs';
import { file, serve } from './lib/tls.mjs';
import { Terminal } from './lib/terminal.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());
const url = gateway.url.replace('http', 'ws');

const secure = await serve({ after });
const wss = secure.url.replace('https', 'wss');

const call = (...args) => cancela('call', url, ...args);

// A server that answers each text with what 'reply' returns or sends; resolves to its URL.
async function fake(t, reply) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  server.on('connection', (ws) => {
    ws.on('error', () => {});
    ws.on('message', (data) => reply(ws, JSON.parse(data)));
  });
  if (!server.address()) await new Promise((resolve) => server.once('listening', resolve));
  return `ws://127.0.0.1:${server.address().port}`;
}

const answer = (ws, { id }, result) => ws.send(JSON.stringify({ jsonrpc: '2.0', id, result }));

describe('one call', () => {
  test('prints the result as JSON', async () => {
    assert.deepEqual(await call('add', '{"a":2,"b":40}'), { code: 0, signal: null, stdout: '42\n', stderr: '' });
    assert.equal((await cancela('call', `${url}/rpc`, 'add', 'a=2', 'b=40')).stdout, '42\n');
  });

  test('prints a large result whole', async () => {
    const { stdout } = await call('big', 'bytes=500000');
    assert.equal(JSON.parse(stdout).length, 500_000);
  });

  test('that fails ends with 1 and the error', async () => {
    const { code, stdout, stderr } = await call('not_found');
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, 'error: not_found (-32005): no such user\ndata: {"code":"not_found","user":7}\n');
  });

  test('--timeout is enforced by the gateway, and ends with 4', async () => {
    const { code, stderr } = await call('slow', 'label=late-ws', '--timeout', '100ms');
    assert.equal(code, 4);
    assert.match(stderr, /deadline_exceeded \(-32004\)/);
    await gateway.log(/on_cancel late-ws timeout/);
  });

  test('--timeout ends it even if the server does not', async (t) => {
    const { code, stderr } = await cancela('call', await fake(t, () => {}), 'add', '--timeout', '50ms');
    assert.equal(code, 4);
    assert.match(stderr, /no answer within 50ms/);
  });

  test('--timeout is sent as _meta.timeout_ms', async (t) => {
    const seen = [];
    const echo = await fake(t, (ws, request) => { seen.push(request); answer(ws, request, 1); });
    for (const params of [[], ['a=1'], ['[1]']]) await cancela('call', echo, 'add', ...params, '--timeout', '30s');
    const [none, object, array] = seen;
    for (const meta of [none._meta, object.params._meta, array._meta]) {
      assert.ok(meta.timeout_ms > 20_000 && meta.timeout_ms <= 30_000, JSON.stringify(seen));
    }
    assert.equal(object.params.a, 1);
  });

  test('Ctrl-C resets the call, and says when it was answered', async () => {
    const child = spawnBinary(['call', url, 'slow_to_close', 'label=interrupted-ws']);
    const end = finish(child);
    await gateway.log(/started interrupted-ws/);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await end;
    assert.deepEqual([code, stdout], [130, '']);
    assert.match(stderr, /^cancelled after [\d.]+ s; answered [\d.]+ ms after Ctrl-C\n$/);
    await gateway.log(/on_cancel interrupted-ws reset/);
    await gateway.log(/closed interrupted-ws last/);
  });

  test('a result that comes all the same is printed', async (t) => {
    let interrupt;
    const stubborn = await fake(t, (ws, request) => {
      if (request.method === '$/cancelRequest') answer(ws, request.params, 'done');
      else interrupt();
    });
    const child = spawnBinary(['call', stubborn, 'add']);
    interrupt = () => child.kill('SIGINT');
    const { code, stdout, stderr } = await finish(child);
    assert.deepEqual([code, stdout], [0, '"done"\n']);
    assert.match(stderr, /the result came [\d.]+ ms after Ctrl-C/);
  });

  test('a second Ctrl-C ends it at once', async (t) => {
    let interrupt;
    const silent = await fake(t, () => interrupt());
    const child = spawnBinary(['call', silent, 'add']);
    interrupt = () => child.kill('SIGINT');
    assert.equal((await finish(child)).signal, 'SIGINT');
  });

  test('--verbose says how long it took', async () => {
    assert.match((await call('add', 'a=1', 'b=1', '--verbose')).stderr, /^answered after [\d.]+ s\n$/);
  });

  test('--header goes with the upgrade', async () => {
    const { stdout } = await call('about', '--header', 'User-Agent: curious');
    const about = JSON.parse(stdout);
    assert.equal(about.agent, 'curious');
    assert.equal(about.protocol, 'jsonrpc');
  });
});

describe('the connection', () => {
  test('where nobody listens ends with 3', async () => {
    const gone = await start('table.lua');
    await gone.stop();
    const { code, stderr } = await cancela('call', `ws://${gone.address}`, 'add');
    assert.equal(code, 3);
    assert.match(stderr, /cannot connect to .*connection refused.*cancela run APP/);
  });

  test('an upgrade that is refused ends with 3, and its status and body are printed', async () => {
    const { code, stderr } = await call('add', '--header', 'Origin: http://other.example');
    assert.equal(code, 3);
    assert.match(stderr, /upgrade to WebSocket was refused\nerror: HTTP 403 Forbidden\n.*origins/);
    assert.match((await cancela('call', `${url}/nowhere`, 'add')).stderr, /HTTP 404 Not Found/);
  });

  for (const [what, end, said] of [
    ['a close frame ends with 3, and its code and reason are printed', (ws) => ws.close(1011, 'broken \x1b[31m'),
      /^cancela: the server closed the connection with code 1011: broken \\x1b\[31m\n$/],
    ['a lost connection ends with 3', (ws) => ws.terminate(), /^cancela: the (connection broke|server ended)/],
    ['frames that break the protocol end with 3', (ws) => ws._socket.write(Buffer.from([0x83, 0])),
      /broke the WebSocket protocol/],
  ]) {
    test(what, async (t) => {
      const { code, stdout, stderr } = await cancela('call', await fake(t, end), 'add');
      assert.deepEqual([code, stdout], [3, '']);
      assert.match(stderr, said);
    });
  }

  test('Ctrl-C ends the wait for the upgrade', async (t) => {
    let interrupt;
    const silent = createServer((socket) => socket.on('error', () => {}).once('data', () => interrupt()));
    t.after(() => silent.close());
    await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const child = spawnBinary(['call', `ws://127.0.0.1:${silent.address().port}`, 'add']);
    interrupt = () => child.kill('SIGINT');
    const { code, stderr } = await finish(child);
    assert.equal(code, 130);
    assert.match(stderr, /^cancelled after [\d.]+ s\n$/);
  });

  test('what the server sends by itself is printed to stderr', async (t) => {
    const chatty = await fake(t, (ws, request) => {
      ws.send('{"jsonrpc":"2.0","method":"event","params":{"text":"hi \\u001b"}}');
      ws.send('not JSON \x1b[31m');
      answer(ws, request, 42);
    });
    const { code, stdout, stderr } = await cancela('call', chatty, 'add');
    assert.deepEqual([code, stdout], [0, '42\n']);
    assert.equal(stderr, '<- event {"text":"hi \\u001b"}\n<- not JSON \\x1b[31m\n');
  });
});

const CALLS = `# three that work, two that do not
add a=1 b=2

echo {"text": "x y"}
not_found
add a= b
  echo text='x y'   # a comment
`;

describe('wss://', () => {
  test('calls over TLS, and Ctrl-C resets', async () => {
    assert.equal((await cancela('call', wss, 'add', 'a=2', 'b=40', '--cacert', file('ca.pem'))).stdout, '42\n');
    const child = spawnBinary(['call', wss, 'slow', 'label=interrupted-wss', '--insecure']);
    const end = finish(child);
    await secure.log(/started interrupted-wss/);
    child.kill('SIGINT');
    assert.equal((await end).code, 130);
    await secure.log(/on_cancel interrupted-wss reset/);
  });

  test('ends with 3 where nobody vouches for the server, and where it speaks no TLS', async () => {
    const { code, stderr } = await cancela('call', wss, 'add');
    assert.equal(code, 3);
    assert.match(stderr, /cannot connect to .*TLS failed: certificate verify failed/);
    const plain = await cancela('call', url.replace('ws', 'wss'), 'add');
    assert.equal(plain.code, 3);
    assert.match(plain.stderr, /TLS failed/);
  });
});

describe('several calls', () => {
  let folder, calls;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cancela-'));
    calls = join(folder, 'calls.txt');
    await writeFile(calls, CALLS);
  });
  after(() => rm(folder, { recursive: true }));

  for (const [over, target] of [['a WebSocket', url], ['HTTP', gateway.url]]) {
    test(`of a file, over ${over}: it goes on, and ends with the code of the first that failed`, async () => {
      const { code, stdout, stderr } = await cancela('call', target, '--file', calls);
      assert.deepEqual([code, stdout], [1, '3\n{"text":"x y"}\n{"text":"x y"}\n']);
      assert.equal(stderr, [
        'error: not_found (-32005): no such user', 'data: {"code":"not_found","user":7}', `  at ${calls}:5`,
        "cancela: params are one JSON object or array, or name=value pairs; 'b' is neither", `  at ${calls}:6`, '',
      ].join('\n'));
    });
  }

  test('share one connection', async () => {
    const ports = join(folder, 'ports.txt');
    await writeFile(ports, 'about\n'.repeat(30));
    const { code, stdout } = await call('--file', ports);
    assert.equal(code, 0);
    const peers = stdout.trim().split('\n').map((line) => JSON.parse(line).peer);
    assert.equal(peers.length, 30);
    assert.equal(new Set(peers).size, 1);
  });

  test('go over a unix socket too', async () => {
    const path = join(folder, 'gateway.sock');
    const local = await start('app.lua', ['--listen', `unix:${path}`]);
    const { code, stdout } = await cancela('call', `ws+unix:${path}`, '--file', calls);
    assert.deepEqual([code, stdout.split('\n')[0]], [1, '3']);
    await local.stop();
  });

  test('of a pipe are made as they come', async () => {
    const child = spawnBinary(['call', url, '--file', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
    const end = finish(child);
    for (const line of ['add a=1 b=2\n', 'add a=2 b=', '2\n']) {
      const printed = new Promise((resolve) => child.stdout.once('data', resolve));
      child.stdin.write(line);
      if (line.endsWith('\n')) await within(printed, () => `the result of ${line}`);
    }
    child.stdin.end('add a=3 b=3'); // no line feed
    assert.deepEqual(await end, { code: 0, signal: null, stdout: '3\n4\n6\n', stderr: '' });
  });

  test('Ctrl-C resets the running one, and the rest is not made', async () => {
    const slow = join(folder, 'slow.txt');
    await writeFile(slow, 'add a=1 b=2\nslow label=interrupted-file\nadd a=2 b=2\n');
    const child = spawnBinary(['call', url, '--file', slow]);
    const end = finish(child);
    await gateway.log(/started interrupted-file/);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await end;
    assert.deepEqual([code, stdout], [130, '3\n']);
    assert.match(stderr, /^cancelled after .*\n {2}at .*slow\.txt:2\n$/);
    await gateway.log(/on_cancel interrupted-file reset/);
  });

  test('end with 3 where the connection is lost', async (t) => {
    let count = 0;
    const weak = await fake(t, (ws, request) => (++count < 2 ? answer(ws, request, count) : ws.terminate()));
    const { code, stdout, stderr } = await cancela('call', weak, '--file', calls);
    assert.deepEqual([code, stdout], [3, '1\n']);
    assert.match(stderr, /calls\.txt:4/);
  });

  test('end with 1 where the results cannot be written', async () => {
    const full = await open('/dev/full', 'w');
    const { code, stderr } = await finish(spawnBinary(['call', url, '--file', calls], { stdio: ['ignore', full.fd, 'pipe'] }));
    await full.close();
    assert.equal(code, 1);
    assert.equal(stderr, `cancela: cannot write the result to stdout\n  at ${calls}:2\n`);
  });

  for (const [what, args, said] of [
    ['a file that is not there', ['--file', '/nowhere/calls.txt'], /cannot open \/nowhere\/calls\.txt: No such file/],
    ['a folder', ['--file', '/'], /cannot read \/: Is a directory/],
    ['a file and a call', ['--file', 'x', 'add'], /--file holds the calls: 'add' cannot stand beside it/],
    ['neither call nor terminal', [], /the procedure's name is missing.*--file -/],
  ]) {
    test(`${what} ends with 2`, async () => {
      const { code, stderr } = await call(...args);
      assert.equal(code, 2);
      assert.match(stderr, said);
    });
  }
});

describe('a prompt', () => {
  for (const [over, target, cancelled] of [
    ['a WebSocket', url, /cancelled after [\d.]+ s; answered [\d.]+ ms after Ctrl-C/],
    ['HTTP', gateway.url, /cancelled after [\d.]+ s/],
  ]) {
    test(`over ${over}: calls, a call that Ctrl-C resets, more calls, Ctrl-D`, async (t) => {
      const label = `prompt-${over.length}`;
      const terminal = new Terminal(t, binary, 'call', target);
      await terminal.shows(/one call a line[^]*\n> /);
      await terminal.type('add a=1 b=2\n').shows(/\n3\r\n> /);
      await terminal.type('nowhere\n').shows(/unimplemented[^]*\n> /);
      await terminal.type('add a\n').shows(/name=value pairs[^]*\n> /);
      await terminal.type('\n').shows(/> /);
      terminal.type(`slow label=${label}\n`);
      await gateway.log(new RegExp(`started ${label}`));
      await terminal.type('\x03').shows(cancelled);
      await gateway.log(new RegExp(`on_cancel ${label} (reset|disconnect)`));
      await terminal.shows(/> /);
      await terminal.type('add a=2 b=2\n').shows(/\n4\r\n> /);
      terminal.type('\x04');
      assert.equal(await terminal.code(), 0);
    });
  }

  test('ends with Ctrl-C where nothing runs', async (t) => {
    const terminal = new Terminal(t, binary, 'call', url);
    await terminal.shows(/> /);
    terminal.type('\x03');
    assert.equal(await terminal.code(), 0);
  });

  test('shows what the server sends meanwhile, and comes back', async (t) => {
    const chatty = await fake(t, (ws, request) => {
      answer(ws, request, 1);
      ws.send('{"jsonrpc":"2.0","method":"tick","params":[1]}');
    });
    const terminal = new Terminal(t, binary, 'call', chatty);
    await terminal.shows(/> /);
    await terminal.type('add\n').shows(/<- tick \[1\]\r\n> /);
    terminal.type('\x04');
    assert.equal(await terminal.code(), 0);
  });

  test('ends with 3 when the connection is lost', async (t) => {
    const terminal = new Terminal(t, binary, 'call', await fake(t, (ws, request) => {
      answer(ws, request, 1);
      ws.close(1001, 'going');
    }));
    await terminal.shows(/> /);
    await terminal.type('add\n').shows(/the server closed the connection with code 1001: going/);
    assert.equal(await terminal.code(), 3);
  });
});
