// https:// and wss://: unmodified clients, what is refused, and what scanners find.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as tcpConnect } from 'node:net';
import { Agent } from 'node:https';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { finish, within } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { request } from './lib/rpc.mjs';
import { ca, call, file, openTls, requireOk, sClient, serve } from './lib/tls.mjs';
import { connect } from './lib/ws.mjs';

const run = promisify(execFile);
const gateway = await serve({ after });

test('curl calls with the authority given', async () => {
  const { stdout } = await run('curl', ['-sS', '--cacert', file('ca.pem'), gateway.rpcUrl, '-H', 'Content-Type: application/json',
    '-d', JSON.stringify(request('add', { a: 40, b: 2 }))]);
  assert.equal(JSON.parse(stdout).result, 42);
});

for (const [version, option] of [['1.2', '--tls-max'], ['1.3', '--tlsv1.3']]) {
  test(`curl calls over TLS ${version}`, async () => {
    const args = option === '--tls-max' ? [option, version] : [option];
    const { stdout } = await run('curl', ['-sS', '--cacert', file('ca.pem'), ...args, `${gateway.url}/rpc/version`]);
    assert.equal(JSON.parse(stdout).version, 1);
  });
}

test('curl does not trust it without', async () => {
  await assert.rejects(run('curl', ['-sS', gateway.rpcUrl]), /self.signed|unable to get local issuer/);
});

test('many calls go over one connection', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ports = new Set();
  for (let i = 0; i < 50; i++) {
    const { socket, reply } = await call(gateway, 'add', { a: i, b: 1 }, { agent });
    assert.equal(reply.result, i + 1);
    ports.add(socket.localPort);
  }
  assert.equal(ports.size, 1);
});

test('a session is resumed by its ticket', async (t) => {
  const first = await openTls(t, gateway);
  const session = once(first.socket, 'session');
  first.send(postText(gateway, request('add', { a: 1, b: 1 })));
  await first.response();
  const [ticket] = await within(session, () => 'a ticket');
  const second = await openTls(t, gateway, { session: ticket });
  assert.ok(second.socket.isSessionReused());
  assert.equal((await second.send(postText(gateway, request('add', { a: 1, b: 1 }))).response()).status, 200);
});

test('a megabyte goes both ways whole', async () => {
  const text = 'ü'.repeat(400_000);
  const { reply } = await call(gateway, 'echo', { text });
  assert.equal(reply.result.text, text);
  assert.equal((await call(gateway, 'big', { bytes: 5_000_000 })).reply.result.length, 5_000_000);
});

test('pipelined requests are answered in order', async (t) => {
  const raw = await openTls(t, gateway);
  raw.send(...[1, 2, 3].map((id) => postText(gateway, request('add', { a: id, b: 0 }, id))));
  for (const id of [1, 2, 3]) assert.deepEqual(JSON.parse((await raw.response()).body), { jsonrpc: '2.0', id, result: id });
});

test('a request may come a byte at a time', async (t) => {
  const raw = await openTls(t, gateway);
  for (const byte of postText(gateway, request('add', { a: 1, b: 2 }))) raw.send(byte);
  assert.equal(JSON.parse((await raw.response()).body).result, 3);
});

test("npm's ws calls over wss://, compressed too", async (t) => {
  for (const perMessageDeflate of [false, true]) {
    const peer = await connect(t, gateway, { ca, perMessageDeflate });
    assert.equal((await peer.call('add', { a: 1, b: 2 })).result, 3);
    assert.equal((await peer.call('big', { bytes: 300_000 })).result.length, 300_000);
    const slow = peer.call('slow', { label: `wss ${perMessageDeflate}` }, 'slow');
    await gateway.log(new RegExp(`started wss ${perMessageDeflate}$`));
    peer.cancel('slow');
    assert.equal((await slow).error.code, -32800);
    peer.ws.close(1000);
    assert.equal((await peer.end()).code, 1000);
  }
});

// --- What is refused. ---

test('plain HTTP is answered 400 in plain text, and logged', async (t) => {
  const raw = await open(t, gateway);
  raw.send(postText(gateway, request('add', { a: 1, b: 2 })));
  const answer = await raw.response();
  assert.equal(answer.status, 400);
  assert.match(answer.body, /speaks HTTPS.*write https:\/\//);
  assert.equal(await raw.rest(), '');
  await gateway.log(/ refused status=400 why="this address speaks HTTPS/);
});

test('TLS 1.1 is refused', async () => {
  assert.match(await sClient(gateway, ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0']), /alert protocol version|no protocols available/);
  await gateway.log(/ tls failed why="unsupported protocol" peer=/);
});

test('a client that offers h2 only is told that there is no such protocol', async () => {
  assert.match(await sClient(gateway, ['-alpn', 'h2']), /alert no application protocol/);
});

test('http/1.1 is chosen among what a client offers', async () => {
  assert.match(await sClient(gateway, ['-alpn', 'h2,http/1.1']), /ALPN protocol: http\/1\.1/);
});

test('a client that asks for a renegotiation is cut', async () => {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${gateway.port}`, '-tls1_2']);
  const said = finish(child);
  child.stdin.on('error', () => {});
  await within(once(child.stdout, 'data'), () => 'the connection');
  child.stdin.write('R\n');
  assert.match((await said).stderr, /RENEGOTIATING[^]*no renegotiation/);
  await gateway.log(/ tls failed why="the peer asked for a renegotiation"/);
});

test('a handshake that takes too long is cut', async (t) => {
  const impatient = await serve(t, ['--handshake-timeout', '50ms']);
  const socket = tcpConnect({ host: '127.0.0.1', port: impatient.port });
  socket.resume();
  await within(once(socket, 'close'), () => 'the close');
  await impatient.log(/ tls failed why="the handshake took too long \(handshake_timeout\)"/);
});

test('a client that takes none of its answers is cut', async (t) => {
  const impatient = await serve(t, ['--write-timeout', '100ms']);
  const raw = await openTls(t, impatient);
  raw.socket.pause();
  const big = postText(impatient, request('echo', ['x'.repeat(500_000)]));
  for (let i = 0; i < 40; i++) raw.send(big); // more than the system's buffers hold
  assert.equal(await within(raw.closed, () => 'the connection to be closed'), 'reset');
  assert.equal((await call(impatient, 'add', { a: 1, b: 1 })).reply.result, 2);
});

test('a slow reader gets all of its answer', async (t) => {
  const raw = await openTls(t, gateway);
  raw.socket.pause();
  raw.send(postText(gateway, request('big', { bytes: 8_000_000 })));
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).reply.result, 2);
  raw.socket.resume();
  assert.equal(JSON.parse((await raw.response()).body).result.length, 8_000_000);
});

// --- What a scanner finds. ---

test('sslscan finds nothing weak in the defaults', async () => {
  const { stdout } = await run('sslscan', ['--xml=-', `127.0.0.1:${gateway.port}`]);
  const elements = (name) => [...stdout.matchAll(new RegExp(`<${name} ([^>]*)/>`, 'g'))].map(([, text]) =>
    Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value])));
  const enabled = elements('protocol').filter((p) => p.enabled === '1').map((p) => `${p.type}${p.version}`);
  assert.deepEqual(enabled, ['tls1.2', 'tls1.3']);
  assert.equal(elements('protocol').length, 6);
  const ciphers = elements('cipher');
  assert.ok(ciphers.length >= 5, stdout);
  for (const { cipher, bits, strength, curve } of ciphers) {
    assert.match(cipher, /GCM|CHACHA20/);
    assert.ok(Number(bits) >= 128 && ['strong', 'acceptable'].includes(strength) && curve, cipher);
  }
  assert.ok(elements('group').every(({ bits }) => Number(bits) >= 112), stdout);
  assert.deepEqual(elements('heartbleed').map((h) => h.vulnerable), ['0', '0']);
  assert.deepEqual(elements('compression').filter((c) => c.supported !== '0'), []);
  assert.deepEqual(elements('renegotiation'), [{ supported: '0', secure: '0' }]);
});

test('s_client sees secure renegotiation announced, no compression and no early data', async () => {
  assert.match(await sClient(gateway, ['-tls1_2']), /Secure Renegotiation IS supported[^]*Compression: NONE/);
  const said = await sClient(gateway, ['-tls1_3']);
  assert.match(said, /Early data was not sent/);
  assert.match(said, /Verification: OK/);
});
