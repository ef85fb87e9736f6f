// Where it listens: several addresses, unix sockets, and what each connection knows of its own.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { appPath, cancela, start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { request } from './lib/rpc.mjs';

// A folder of the test's own, and the path of a socket in it.
async function socketPath(t) {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-e2e-'));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, 'gateway.sock');
}

async function serve(t, flags, app = 'app.lua') {
  const gateway = await start(app, flags);
  t.after(() => gateway.signal('SIGKILL'));
  return gateway;
}

const about = (gateway, host = gateway.address) =>
  postText({ address: host }, request('about')).replace(/Host: .*/, `Host: ${host}`);

// The answer to 'about' on a new connection.
async function ask(t, gateway, how, host) {
  const { status, body } = await (await open(t, gateway, how)).send(about(gateway, host)).response();
  return { status, peer: status === 200 ? JSON.parse(body).result.peer : undefined };
}

const listening = (gateway) =>
  gateway.lines.map((line) => line.match(/ listening address=(\S+)/)?.[1]).filter(Boolean);

test('it serves on every address, and logs a line for each', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--listen', '127.0.0.1:0', '--listen', `http://127.0.0.1:0/,unix:${path}`]);
  await gateway.log(/ listening address=unix:/);
  const addresses = listening(gateway);
  assert.equal(addresses.length, 3);
  assert.equal(addresses[2], `unix:${path}`);
  const ports = addresses.slice(0, 2).map((address) => Number(address.split(':')[1]));
  assert.notEqual(ports[0], ports[1]);
  for (const how of [{ port: ports[0] }, { port: ports[1] }, { path }]) {
    assert.equal((await ask(t, gateway, how, 'localhost')).status, 200);
  }
  await gateway.stop();
});

test('the file and the environment take lists too', async (t) => {
  const path = await socketPath(t);
  const file = `${path}.lua`;
  await writeFile(file, `return { listen = { "127.0.0.1:0", "unix:${path} mode=0666" } }`);
  const { stdout } = await cancela('config', '--config', file);
  assert.ok(stdout.includes(`listen = "127.0.0.1:0,unix:${path} mode=0666"`), stdout);
});

test('an address that stands twice is refused, with 2', async () => {
  const { code, stderr } = await cancela('run', appPath('app.lua'), '--listen', '127.0.0.1:4711', '--listen', '127.0.0.1:4711');
  assert.equal(code, 2);
  assert.match(stderr, /twice/);
});

test('if one address cannot be listened on, none is, with 3', async (t) => {
  const path = await socketPath(t);
  const { code, stderr } = await cancela('run', appPath('app.lua'), '--listen', `unix:${path}`, '--listen', 'unix:/nowhere/at/all');
  assert.equal(code, 3);
  assert.equal(stderr.trim(), 'cancela: cannot listen on unix:/nowhere/at/all: there is no such folder');
  assert.ok(!existsSync(path));
});

test('a unix socket: its mode, its peer, no Host rule; the file goes with the gateway', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--listen', '127.0.0.1:0', '--listen', `unix:${path} mode=0660`]);
  assert.equal((await stat(path)).mode & 0o777, 0o660);
  assert.deepEqual(await ask(t, gateway, { path }, 'evil.example'), { status: 200, peer: 'unix:' });
  assert.equal((await ask(t, gateway, {}, 'evil.example')).status, 403);
  const { code, stdout } = await cancela('call', `unix:${path}`, 'add', '{"a":1,"b":2}');
  assert.deepEqual([code, stdout], [0, '3\n']);
  await gateway.stop();
  assert.ok(!existsSync(path));
  const late = await cancela('call', `unix:${path}`, 'add');
  assert.equal(late.code, 3);
  assert.ok(late.stderr.includes(path), late.stderr);
});

test('a client of a unix socket that leaves cancels its call', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--listen', `unix:${path}`]);
  const raw = await open(t, gateway, { path });
  raw.send(postText({ address: 'localhost' }, request('slow', { label: 'local' })));
  await gateway.log(/started local/);
  raw.destroy();
  await gateway.log(/on_cancel local disconnect/);
  await gateway.stop();
});

test('the file of a gateway that was killed is replaced, that of one that lives is not', async (t) => {
  const path = await socketPath(t);
  const killed = await serve(t, ['--listen', `unix:${path}`]);
  killed.signal('SIGKILL');
  await killed.exited();
  assert.ok(existsSync(path));
  const gateway = await serve(t, ['--listen', `unix:${path}`]);
  const { code, stderr } = await cancela('run', appPath('app.lua'), '--listen', `unix:${path}`);
  assert.equal(code, 3);
  assert.match(stderr, /is in use/);
  assert.equal((await ask(t, gateway, { path }, 'localhost')).status, 200);
  await gateway.stop();
});

test('a file that is no socket is left alone, with 3', async (t) => {
  const path = await socketPath(t);
  await writeFile(path, 'precious');
  await chmod(path, 0o600);
  assert.equal((await cancela('run', appPath('app.lua'), '--listen', `unix:${path}`)).code, 3);
  assert.equal((await stat(path)).size, 8);
});

test("half_close is each listener's own", async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--half-close', 'allow', '--listen', `unix:${path}`, '--listen', '127.0.0.1:0 half_close=cancel']);
  await gateway.log(/ listening address=127/);
  const port = Number(listening(gateway)[1].split(':')[1]);
  const allowed = (await open(t, gateway, { path }))
    .send(postText({ address: 'localhost' }, request('slow', { label: 'allowed', seconds: 0.2 }))).finish();
  const cancelled = (await open(t, gateway, { port }))
    .send(postText({ address: 'localhost' }, request('slow', { label: 'cancelled' }))).finish();
  await gateway.log(/on_cancel cancelled disconnect/);
  assert.equal((await allowed.response()).status, 200);
  assert.equal(await cancelled.rest(), '');
  await gateway.stop();
});

// --- Who is let in. ---

test('connections_per_address: one more from there is 503, from elsewhere it is not', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--connections-per-address', '2', '--listen', '127.0.0.1:0', '--listen', `unix:${path}`]);
  const first = await open(t, gateway);
  assert.equal((await first.send(about(gateway)).response()).status, 200);
  assert.equal((await ask(t, gateway)).status, 200);
  const third = await open(t, gateway);
  const { status, body } = await third.response();
  assert.equal(status, 503);
  assert.match(body, /connections_per_address/);
  await gateway.log(/ refused status=503 .*connections_per_address.* peer=127\.0\.0\.1:/);
  assert.equal((await ask(t, gateway, { localAddress: '127.0.0.2' })).status, 200);
  for (let i = 0; i < 4; i++) assert.equal((await ask(t, gateway, { path })).status, 200);
  first.reset();
  while ((await ask(t, gateway)).status !== 200); // as soon as it has gone
  await gateway.stop();
});

test('without files left, connections wait, others go on, and are taken when some have gone', async (t) => {
  const gateway = await start('app.lua', [], { files: 64 });
  t.after(() => gateway.signal('SIGKILL'));
  const clients = [];
  for (let i = 0; i < 80; i++) clients.push((await open(t, gateway)).send(about(gateway)));
  await gateway.log(/ out of file descriptors .* wait/);
  assert.equal((await clients[0].response()).status, 200);
  assert.equal((await clients[0].send(about(gateway)).response()).status, 200);
  clients.slice(1, 60).forEach((client) => client.reset());
  for (const client of clients.slice(60)) assert.equal((await client.response()).status, 200);
  assert.equal((await clients[0].send(about(gateway)).response()).status, 200);
  assert.equal(gateway.lines.filter((line) => / out of file/.test(line)).length, 1);
  await gateway.stop();
});

// --- Proxies. ---

const forwarded = (gateway, ...lines) => postText({ address: 'localhost' }, request('about'), { lines });

async function peerOf(raw, text) {
  return JSON.parse((await raw.send(text).response()).body).result.peer;
}

test('trusted_proxies: the client is whom the proxy names, request by request', async (t) => {
  const gateway = await serve(t, ['--trusted-proxies', '127.0.0.1,10.0.0.0/8', '--access-log', 'all']);
  const raw = await open(t, gateway);
  assert.equal(await peerOf(raw, forwarded(gateway, 'X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.1')), '203.0.113.9');
  await gateway.log(/ call .*procedure=about .* peer=203\.0\.113\.9 /);
  assert.equal(await peerOf(raw, forwarded(gateway, 'Forwarded: for="[2001:db8::9]:4711"', 'X-Forwarded-For: 203.0.113.9')), '[2001:db8::9]:4711');
  assert.equal(await peerOf(raw, forwarded(gateway, 'Forwarded: for=unknown')), `127.0.0.1:${raw.socket.localPort}`);
  assert.equal(await peerOf(raw, forwarded(gateway)), `127.0.0.1:${raw.socket.localPort}`);
  raw.send(`GET /none HTTP/1.1\r\nHost: ${gateway.address}\r\nForwarded: for=203.0.113.7\r\n\r\n`);
  assert.equal((await raw.response()).status, 404);
  await gateway.log(/ refused status=404 .* peer=203\.0\.113\.7$/);
  await gateway.stop();
});

test('trusted_proxies: what others write is not believed', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--trusted-proxies', '10.0.0.0/8', '--listen', '127.0.0.1:0', '--listen', `unix:${path}`]);
  const raw = await open(t, gateway);
  assert.equal(await peerOf(raw, forwarded(gateway, 'X-Forwarded-For: 203.0.113.9')), `127.0.0.1:${raw.socket.localPort}`);
  const local = await open(t, gateway, { path });
  assert.equal(await peerOf(local, forwarded(gateway, 'X-Forwarded-For: 203.0.113.9')), 'unix:');
  await gateway.stop();
});

test('trusted_proxies: unix is whoever connects to a unix socket', async (t) => {
  const path = await socketPath(t);
  const gateway = await serve(t, ['--trusted-proxies', 'unix', '--listen', `unix:${path}`]);
  const local = await open(t, gateway, { path });
  assert.equal(await peerOf(local, forwarded(gateway, 'X-Forwarded-For: 203.0.113.9')), '203.0.113.9');
  await gateway.stop();
});
