// What a service manager is told, and what it passes on, with stand-ins that speak its protocols.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { appPath, binary, cancela, finish, spawnBinary, start } from './lib/gateway.mjs';
import { skip, until } from './lib/load.mjs';
import { folder, hear, now, passing } from './lib/manager.mjs';
import { call } from './lib/rpc.mjs';
import { call as callTls, certificateFlags, file } from './lib/tls.mjs';

// What 'skip' skips computes: ThreadSanitizer holds back the signals that end slices.

const environment = (variables) => ({ env: { ...process.env, ...variables } });

async function serve(t, { flags = [], variables = {}, address } = {}) {
  const own = await folder(t);
  const path = address ?? join(own, 'notify.sock');
  const manager = await hear(t, path);
  const admin = join(own, 'admin.sock');
  const gateway = await start('service.lua', ['--access-log', 'all', '--admin', admin, ...flags],
    environment({ NOTIFY_SOCKET: path, ...variables }));
  gateway.ask = (...args) => cancela(...args, '--admin', admin);
  t.after(() => gateway.hangUp().stop());
  return { manager, gateway };
}

// Kills the one call that runs.
async function kill(gateway) {
  const { calls: [{ id }] } = JSON.parse((await gateway.ask('ps', '--json')).stdout);
  assert.equal((await gateway.ask('kill', String(id))).code, 0);
}

describe('the service manager is told', () => {
  test('that the gateway is ready, when it is', async (t) => {
    const { manager, gateway } = await serve(t);
    const ready = await manager.nth('READY');
    assert.equal(ready.READY, '1');
    assert.equal(ready.STATUS, `serving 7 procedures on 127.0.0.1:${gateway.port}, generation 1`);
    assert.deepEqual(Object.keys(ready), ['READY', 'STATUS', 'at']);
    assert.equal((await call(gateway, 'add', { a: 1, b: 2 })).result, 3);
    assert.equal(manager.messages.length, 1);
  });

  test('at a name without a file, too, and of further addresses how many there are', async (t) => {
    const { manager, gateway } = await serve(t, {
      address: `@cancela-test-${process.pid}`,
      flags: ['--listen', '127.0.0.1:0', '--listen', '[::1]:0'],
    });
    const { STATUS } = await manager.nth('READY');
    assert.equal(STATUS, `serving 7 procedures on 127.0.0.1:${gateway.port} and 1 more, generation 1`);
  });

  test('of a script that does not load nothing', async (t) => {
    const path = join(await folder(t), 'notify.sock');
    const manager = await hear(t, path);
    const { code } = await finish(spawnBinary(['run', appPath('no-such.lua')], environment({ NOTIFY_SOCKET: path })));
    assert.equal(code, 1);
    assert.deepEqual(manager.messages, []);
  });

  test('that it reloads, and when, and that it is ready again', async (t) => {
    const { manager, gateway } = await serve(t);
    await manager.nth('READY');
    for (let i = 1; i <= 3; i++) {
      const from = now();
      gateway.signal('SIGHUP');
      const reloading = await manager.nth('RELOADING', i);
      const ready = await manager.nth('READY', i + 1);
      assert.equal(reloading.RELOADING, '1');
      assert.ok(from <= Number(reloading.MONOTONIC_USEC), `${from} ${reloading.MONOTONIC_USEC}`);
      assert.ok(Number(reloading.MONOTONIC_USEC) <= reloading.at);
      assert.ok(reloading.at <= ready.at);
      assert.match(ready.STATUS, new RegExp(`^serving 7 procedures on [\\d.:]+, generation ${i + 1}$`));
    }
  });

  test('that it goes on with the old certificates where the new ones are wrong', async (t) => {
    const own = await folder(t);
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(own, name));
    await copyFile(file('server.pem'), cert);
    await copyFile(file('server.key'), key);
    const { manager, gateway } = await serve(t, {
      flags: ['--listen', 'https://127.0.0.1:0', '--tls-cert', cert, '--tls-key', key],
    });
    await writeFile(cert, 'nonsense');
    gateway.signal('SIGHUP');
    const { STATUS } = await manager.nth('READY', 2);
    assert.match(STATUS, /^serving 7 .*; certificates not reloaded: see the log$/);
    await copyFile(file('server.pem'), cert);
    gateway.signal('SIGHUP');
    assert.match((await manager.nth('READY', 3)).STATUS, /generation 3$/);
  });

  test('that it drains, and how long that may take, once', async (t) => {
    for (const ask of ['SIGTERM', 'drain']) {
      const { manager, gateway } = await serve(t, { flags: ['--drain-timeout', '100s', '--shutdown-grace', '20s'] });
      const answer = call(gateway, 'wait', { seconds: 25 });
      await gateway.log(/ waits$/);
      if (ask === 'drain') await gateway.ask('drain');
      else gateway.signal(ask);
      const stopping = await manager.nth('STOPPING');
      assert.equal(stopping.STOPPING, '1');
      assert.ok(Number(stopping.EXTEND_TIMEOUT_USEC) > 120e6, stopping.EXTEND_TIMEOUT_USEC);
      assert.ok(Number(stopping.EXTEND_TIMEOUT_USEC) < 130e6, stopping.EXTEND_TIMEOUT_USEC);
      gateway.signal('SIGHUP'); // no reload is told of any more
      gateway.signal('SIGTERM');
      await kill(gateway);
      assert.equal((await answer).error.data.code, 'aborted');
      gateway.hangUp();
      await gateway.exited();
      assert.deepEqual(manager.messages.map((message) => Object.keys(message)[0]), ['READY', 'STOPPING']);
    }
  });

  test('only by the gateway: programs that it starts know nothing of it', async (t) => {
    const { gateway } = await serve(t, { variables: { WATCHDOG_USEC: '60000000' } });
    const { result } = await call(gateway, 'environment');
    assert.match(result, /^PATH=/m);
    assert.doesNotMatch(result, /NOTIFY_SOCKET|WATCHDOG/);
    assert.equal((await call(gateway, 'getenv', { name: 'NOTIFY_SOCKET' })).result, 'none');
  });

  test('nothing where it cannot be, and the gateway serves', async (t) => {
    const cases = [
      ['vsock:2:1', /WARN .*is not told anything: NOTIFY_SOCKET is 'vsock:2:1', which is no path/],
      [`/${'x'.repeat(108)}`, /WARN .*is not told anything/],
      ['/nowhere/at/all', /WARN .*\(NOTIFY_SOCKET\) cannot be told 'serving 7 .*': No such file/],
    ];
    for (const [address, warning] of cases) {
      const gateway = await start('service.lua', [], environment({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '40000' }));
      t.after(() => gateway.stop());
      await gateway.log(warning);
      assert.equal((await call(gateway, 'add', { a: 1, b: 2 })).result, 3);
    }
  });
});

describe('the watchdog of the service manager', () => {
  const watched = { variables: { WATCHDOG_USEC: '400000' } };

  test('is told that the gateway lives, four times in its interval', async (t) => {
    const { manager } = await serve(t, watched);
    const { at } = await manager.nth('READY');
    const tenth = await manager.nth('WATCHDOG', 10);
    assert.equal(tenth.WATCHDOG, '1');
    assert.deepEqual(Object.keys(tenth), ['WATCHDOG', 'at']);
    assert.ok(tenth.at - at > 500_000, `${tenth.at - at} us`);
  });

  test('is told so for the process that it means only', async (t) => {
    const { manager, gateway } = await serve(t, { variables: { WATCHDOG_USEC: '4000', WATCHDOG_PID: '1' } });
    await call(gateway, 'wait', { seconds: 0.2 });
    assert.equal(manager.having('WATCHDOG').length, 0);
  });

  test('is told nothing where it did not ask, or not for a time', async (t) => {
    for (const WATCHDOG_USEC of ['', '0', '-1', '4000x', '99999999999999999999999']) {
      const { manager, gateway } = await serve(t, { variables: { WATCHDOG_USEC } });
      await call(gateway, 'wait', { seconds: 0.1 });
      assert.equal(manager.having('WATCHDOG').length, 0, WATCHDOG_USEC);
    }
  });

  test('is content with calls that compute, preemptible or not', { skip }, async (t) => {
    const { manager, gateway } = await serve(t, { ...watched, flags: ['--hold-limit', '0'] });
    for (const name of ['spin', 'hold']) {
      const answer = call(gateway, name);
      assert.ok(await until(() => gateway.lines.filter((line) => / computes$/.test(line)).length === 1 + (name === 'hold'), 10_000));
      await manager.alive(8);
      await kill(gateway);
      assert.equal((await answer).error.data.code, 'aborted');
    }
  });

  test('hears nothing while nothing can interrupt what one worker of several computes, and then again', async (t) => {
    const { manager, gateway } = await serve(t, { ...watched, flags: ['--workers', '3', '--hold-limit', '0'] });
    await manager.alive(2);
    const answer = call(gateway, 'stuck', { seconds: 3 });
    await gateway.log(/ stuck$/);
    await gateway.log(/WARN .*a worker does not answer: the service manager is not told .* ends it in 0\.[0-3] s/);
    const heard = manager.having('WATCHDOG').length;
    await gateway.log(/ free$/);
    await answer;
    await manager.alive(3);
    const signs = manager.having('WATCHDOG').map(({ at }) => at);
    const gap = signs[heard] - signs[heard - 1];
    assert.ok(gap > 1_500_000, `a gap of ${gap} us`);
  });

  test('hears of a gateway that drains while some of its workers have ended', async (t) => {
    const { manager, gateway } = await serve(t, { ...watched, flags: ['--workers', '3'] });
    const answer = call(gateway, 'wait', { seconds: 25 });
    await gateway.log(/ waits$/);
    gateway.signal('SIGTERM');
    await manager.nth('STOPPING');
    await manager.alive(5);
    const ps = JSON.parse((await gateway.ask('ps', '--json')).stdout);
    assert.equal(ps.calls.length, 1);
    assert.deepEqual(ps.silent_workers, []);
    assert.equal(JSON.parse((await gateway.ask('status', '--json')).stdout).generation, 1);
    await kill(gateway);
    assert.equal((await answer).error.data.code, 'aborted');
  });
});

describe('sockets that are passed', () => {
  async function serveAt(t, sockets, listen, { more, flags = [], ...options } = {}) {
    const items = listen.flatMap((item) => ['--listen', item]);
    const gateway = await start('service.lua', ['--access-log', 'all', ...items, ...flags],
      { ...passing(sockets, more), ...options });
    t.after(() => gateway.hangUp().stop());
    return gateway;
  }

  // The addresses that are served, once there are so many.
  async function addresses(gateway, count) {
    let found;
    assert.ok(await until(() => {
      found = gateway.lines.map((line) => line.match(/ listening address=(\S+)/)?.[1]).filter(Boolean);
      return found.length === count;
    }, 10_000), gateway.lines.join('\n'));
    return found;
  }

  // Sends a request on a unix socket; resolves to all that is answered.
  async function ask(path, method, params) {
    const socket = connect(path);
    await once(socket, 'connect');
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    socket.end(`POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`);
    return Buffer.concat(await socket.toArray()).toString();
  }

  test('are all served by systemd', async (t) => {
    const gateway = await serveAt(t, [['tcp', 'a'], ['tcp', 'b']], ['systemd']);
    const at = await addresses(gateway, 2);
    for (const address of at) {
      assert.match(address, /^127\.0\.0\.1:\d+$/);
      assert.equal((await call({ url: `http://${address}` }, 'add', { a: 1, b: 2 })).result, 3);
    }
    assert.notEqual(at[0], at[1]);
  });

  test('need no names', async (t) => {
    const gateway = await serveAt(t, [['tcp', null]], ['systemd:unknown']);
    assert.equal((await call(gateway, 'add', { a: 1, b: 2 })).result, 3);
  });

  test('are chosen by their names, with TLS where that is said, beside other addresses', async (t) => {
    const gateway = await serveAt(t, [['tcp', 'plain'], ['tcp', 'secure'], ['tcp', 'plain']],
      ['https://systemd:secure', '127.0.0.1:0', 'systemd:plain'], { flags: certificateFlags() });
    const [secure, ...plain] = await addresses(gateway, 4);
    assert.ok(gateway.lines.some((line) => line.includes(`address=${secure} `) && line.endsWith('tls=true')));
    const port = secure.split(':')[1];
    const { reply } = await callTls({ rpcUrl: `https://localhost:${port}/rpc` }, 'add', { a: 1, b: 2 });
    assert.equal(reply.result, 3);
    for (const address of plain) {
      assert.equal((await call({ url: `http://${address}` }, 'add', { a: 3, b: 2 })).result, 5);
    }
    assert.ok(!gateway.lines.some((line) => line.includes('nobody serves')));
  });

  test('may be unix sockets, whose files stay; connections that wait are served', async (t) => {
    const path = join(await folder(t), 'web.sock');
    const child = spawnBinary(['run', appPath('service.lua'), '--listen', 'systemd', '--access-log', 'all'],
      { ...passing([[`unix:${path}`, 'web']], { wait: true }), stdio: ['pipe', 'pipe', 'pipe'] });
    assert.ok(await until(() => stat(path).then(() => true, () => false), 10_000));
    let answer;
    assert.ok(await until(async () => { // the file is there before somebody listens
      answer = ask(path, 'add', { a: 1, b: 2 });
      return Promise.race([answer.then(() => false, () => false), new Promise((now_) => setTimeout(now_, 50, true))]);
    }, 10_000));
    const ended = finish(child);
    child.stdin.end('\n');
    assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n[^]*"result":3/);
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.ok(stderr.includes(` listening address=unix:${path} `), stderr);
    assert.match(stderr, / call .*peer=unix:/);
    assert.ok((await stat(path)).isSocket());
  });

  test('may have a name without a file', async (t) => {
    const name = `cancela-test-passed-${process.pid}`;
    const gateway = await serveAt(t, [[`unix:@${name}`, 'web']], ['systemd:web']);
    assert.equal(gateway.address, `unix:@${name}`);
    const client = 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect("\\0" + sys.argv[1]); ' +
      's.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"); print(s.recv(999).decode())';
    const { stdout } = await finish(spawn('python3', ['-c', client, name]));
    assert.match(stdout, /^HTTP\/1\.1 404 /);
  });

  test('are nothing that programs inherit, nor what tells of them', async (t) => {
    const gateway = await serveAt(t, [['tcp', 'a'], ['tcp', 'b']], ['systemd:a']);
    const { result } = await call(gateway, 'environment');
    assert.match(result, /^PATH=/m);
    assert.doesNotMatch(result, /LISTEN_/);
    const without = await start('service.lua');
    t.after(() => without.stop());
    const descriptors = (text) => text.match(/^\d+$/gm);
    assert.deepEqual(descriptors(result), descriptors((await call(without, 'environment')).result));
  });

  test('that nobody serves are told of', async (t) => {
    const gateway = await serveAt(t, [['tcp', 'a'], ['tcp', 'b']], ['systemd:b']);
    await gateway.log(/WARN .*nobody serves the socket that was passed as descriptor 3 \(a\): add systemd or systemd:a to 'listen'$/);
    assert.equal(gateway.lines.filter((line) => line.includes('nobody serves')).length, 1);
    const other = await serveAt(t, [['tcp', 'a']], ['127.0.0.1:0']);
    await other.log(/nobody serves the socket that was passed as descriptor 3/);
  });

  const failure = (sockets, item, more) =>
    finish(spawnBinary(['run', appPath('service.lua'), '--listen', item], passing(sockets, more)));

  test('must be there', async () => {
    const cases = [
      [[], 'systemd', {}, /^cancela: listen: no socket was passed for 'systemd': start the gateway by a socket unit \(systemctl/m],
      [[], 'systemd:web', {}, /no socket was passed/],
      [[['tcp', 'a']], 'systemd', { pid: 1 }, /no socket was passed for 'systemd', but some were for another process \(LISTEN_PID\)/],
      [[['tcp', 'a']], 'systemd:b', {}, /none of the 1 sockets that were passed is called 'b': write that as FileDescriptorName=/],
    ];
    for (const [sockets, item, more, why] of cases) {
      const { code, stderr } = await failure(sockets, item, more);
      assert.equal(code, 3, stderr);
      assert.match(stderr, why);
    }
  });

  test('must be stream sockets that listen', async () => {
    for (const address of ['bound', 'datagram']) {
      const { code, stderr } = await failure([['tcp', 'a'], [address, 'b']], 'systemd');
      assert.equal(code, 3, stderr);
      assert.match(stderr, /passed as descriptor 4 \(b\) is no listening stream socket: write ListenStream= and Accept=no/);
    }
  });

  test('are named once, and rightly', async () => {
    const cases = [
      [['systemd', 'systemd:a'], /names an address twice/],
      [['systemd:a', 'https://systemd:a'], /names an address twice/],
      [['systemd:'], /'systemd:' names no socket; write systemd for all sockets of the socket unit, or systemd:NAME/],
      [['systemd:a:b'], /names no socket/],
      [['systemd mode=0660'], /has a wrong mode/],
    ];
    for (const [items, why] of cases) {
      const { code, stderr } = await cancela('config', ...items.flatMap((item) => ['--listen', item]));
      assert.equal(code, 2, stderr);
      assert.match(stderr, why);
    }
  });
});

describe('the units', () => {
  const packaging = (name) => fileURLToPath(new URL(`../../packaging/systemd/${name}`, import.meta.url));
  const unknown = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'systemd-analyze is not installed';

  test('are right for systemd', { skip: unknown }, async (t) => {
    const own = await folder(t);
    const service = await readFile(packaging('cancela@.service.in'), 'utf8');
    await writeFile(join(own, 'cancela@.service'), service.replaceAll('@CMAKE_INSTALL_FULL_BINDIR@/cancela', binary));
    await copyFile(packaging('cancela@.socket'), join(own, 'cancela@.socket'));
    for (const unit of ['cancela@web.service', 'cancela@web.socket']) {
      const { code, stderr } = await finish(spawn('systemd-analyze', ['--man=no', 'verify', join(own, unit)]));
      assert.deepEqual([code, stderr], [0, ''], unit);
    }
  });

  test('stop a gateway no sooner than it ends by itself', async () => {
    const { stdout } = await cancela('config');
    const seconds = (text, regex) => Number(text.match(regex)[1]);
    const service = await readFile(packaging('cancela@.service.in'), 'utf8');
    const needs = seconds(stdout, /^ *drain_timeout = "(\d+)s"/m) + seconds(stdout, /^ *shutdown_grace = "(\d+)s"/m) + 2;
    assert.ok(seconds(service, /^TimeoutStopSec=(\d+)s$/m) > needs);
  });
});
