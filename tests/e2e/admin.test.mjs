// The operator's commands, and the socket they speak to.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { appPath, cancela, finish, spawnBinary, start } from './lib/gateway.mjs';
import { skip, until } from './lib/load.mjs';
import { call } from './lib/rpc.mjs';

// What 'skip' skips computes: ThreadSanitizer holds back the signals that end slices.

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'cancela-admin-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function serve(t, ...flags) {
  const path = join(await folder(t), 'admin.sock');
  const gateway = await start('admin.lua', ['--admin', path, '--grace', '20s', ...flags]);
  gateway.admin = path;
  t.after(() => gateway.hangUp().stop());
  return gateway;
}

const ask = (gateway, ...args) => cancela(...args, '--admin', gateway.admin);

async function json(gateway, ...args) {
  const { code, stdout, stderr } = await ask(gateway, ...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

const calls = async (gateway) => (await json(gateway, 'ps')).calls;

// The one call of that procedure, once it is at that phase.
async function found(gateway, procedure, phase) {
  let one;
  assert.ok(await until(async () => {
    one = (await calls(gateway)).find((each) => each.procedure === procedure);
    return one?.phase === phase;
  }), `${procedure} is ${phase}: ${JSON.stringify(one)}`);
  return one;
}

const gone = (gateway) => until(async () => (await calls(gateway)).length === 0);
const where = (line) => `admin.lua:${line}`;

describe('cancela ps', () => {
  test('tells what each call is at, also while one computes', { skip }, async (t) => {
    const gateway = await serve(t);
    const answers = ['wait', 'spin'].map((name) => call(gateway, name).catch(() => {}));
    const waits = await found(gateway, 'wait', 'waiting');
    const spins = await found(gateway, 'spin', 'computing');
    assert.ok(waits.where.endsWith(where(6)), waits.where);
    assert.match(spins.where, /admin\.lua:1[1-3]$/);
    assert.match(waits.peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(waits.protocol, 'jsonrpc');
    assert.equal(waits.generation, 1);
    assert.ok(waits.remaining_ms > 0 && waits.remaining_ms <= 30_000);
    assert.ok(await until(async () => (await found(gateway, 'spin', 'computing')).cpu_ms > 20));
    assert.ok(spins.age_ms < 30_000);
    const { stdout } = await ask(gateway, 'ps');
    assert.match(stdout, /^ *ID  PROCEDURE +PHASE +WHERE +AGE +LEFT +CPU +PEER +PROTOCOL +GEN\n/);
    assert.match(stdout, /^ *\d+  wait +waiting +\S*admin\.lua:6 /m);
    for (const { id } of await calls(gateway)) await ask(gateway, 'kill', String(id), '--now');
    await Promise.all(answers);
  });

  test('answers while a call holds the VM', { skip }, async (t) => {
    const gateway = await serve(t, '--hold-limit', '0');
    const answer = call(gateway, 'hold').catch(() => {});
    const held = await found(gateway, 'hold', 'computing');
    assert.match(held.where, /admin\.lua:1[6-9]$/);
    assert.equal((await ask(gateway, 'kill', String(held.id))).code, 0);
    assert.equal((await answer).error.data.code, 'aborted');
  });

  test('shows a name as the client sent it without what a terminal would obey', async (t) => {
    const gateway = await serve(t);
    const { stdout } = await ask(gateway, 'ps');
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.deepEqual(await json(gateway, 'ps'), { calls: [], silent_workers: [] });
  });

  test('names a worker that nothing can interrupt', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    const answer = call(gateway, 'stuck', { seconds: 3 });
    await gateway.log(/ stuck$/);
    assert.equal((await json(gateway, 'ps')).silent_workers.length, 1);
    assert.match((await ask(gateway, 'ps')).stdout, /^worker [01] does not answer: it computes what nothing/m);
    const { workers } = await json(gateway, 'status');
    assert.deepEqual(workers.map((worker) => worker.answers).sort(), [false, true]);
    const killed = await ask(gateway, 'kill', '4711');
    assert.equal(killed.code, 1);
    assert.match(killed.stderr, /does not answer/);
    await answer;
    assert.ok(await until(async () => (await json(gateway, 'ps')).silent_workers.length === 0));
  });
});

describe('cancela kill', () => {
  test('ends a call that waits: its client is told aborted', async (t) => {
    const gateway = await serve(t);
    const answer = call(gateway, 'wait');
    const { id } = await found(gateway, 'wait', 'waiting');
    assert.deepEqual(await json(gateway, 'kill', String(id)), { killed: true });
    assert.equal((await answer).error.code, -32010);
    await gateway.log(/ call id=\d+ procedure=wait outcome=aborted reason=killed /);
    assert.ok(await gone(gateway));
  });

  test('ends one that computes', { skip }, async (t) => {
    const gateway = await serve(t);
    const answer = call(gateway, 'spin');
    const { id } = await found(gateway, 'spin', 'computing');
    assert.equal((await ask(gateway, 'kill', String(id))).code, 0);
    assert.equal((await answer).error.code, -32010);
    assert.ok(await gone(gateway));
  });

  test('lets it clean up; with --now that may no longer await', async (t) => {
    const gateway = await serve(t);
    const answer = call(gateway, 'clean');
    const { id } = await found(gateway, 'clean', 'waiting');
    await ask(gateway, 'kill', String(id));
    assert.equal((await answer).error.code, -32010);
    await gateway.log(/ cleans up$/);
    const cleans = await found(gateway, 'clean', 'cleaning up');
    assert.ok(cleans.where.endsWith(where(23)), cleans.where);
    assert.equal((await ask(gateway, 'kill', String(id))).code, 0); // once more changes nothing
    await found(gateway, 'clean', 'cleaning up');
    await ask(gateway, 'kill', String(id), '--now');
    assert.ok(await gone(gateway));
  });

  test('says if there is no such call', async (t) => {
    const gateway = await serve(t);
    const { code, stderr } = await ask(gateway, 'kill', '4711');
    assert.equal(code, 1);
    assert.match(stderr, /^cancela: no call with this id is in flight: see ps\n$/);
  });

  test('takes a number', async () => {
    for (const id of ['0', '-1', 'x', '1x', '99999999999999999999']) {
      const { code, stderr } = await cancela('kill', id);
      assert.equal(code, 2, stderr);
    }
    assert.match((await cancela('kill')).stderr, /an argument is missing: 'ID'/);
  });
});

describe('cancela status', () => {
  test('tells what the gateway is and does', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    await call(gateway, 'add', { a: 1, b: 2 });
    const status = await json(gateway, 'status');
    assert.equal(status.pid, gateway.child.pid);
    assert.deepEqual(status.listen, [gateway.address]);
    assert.equal(status.draining, false);
    assert.equal(status.log_level, 'info');
    assert.equal(status.workers.length, 2);
    assert.ok(status.workers.every((worker) => worker.answers && worker.vm_bytes > 10_000 && worker.calls === 0));
    const { stdout } = await ask(gateway, 'status');
    assert.match(stdout, /^version \S+\npid \d+\nuptime \S+\ngeneration 1\nreloads 0\nreloads_failed 0\ndraining no\nlog_level info\nlisten \S+\n/);
    assert.match(stdout, /^worker 1: \d+ connections, 0 calls, scripts use [\d.]+ MiB$/m);
  });
});

describe('cancela drain', () => {
  test('ends the gateway when its calls have ended', async (t) => {
    const gateway = await serve(t);
    const answer = call(gateway, 'wait');
    const { id } = await found(gateway, 'wait', 'waiting');
    assert.equal((await ask(gateway, 'drain')).code, 0);
    await gateway.log(/ draining calls=1 /);
    assert.equal((await json(gateway, 'status')).draining, true);
    await ask(gateway, 'kill', String(id));
    await answer;
    gateway.hangUp();
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
    await assert.rejects(stat(gateway.admin));
  });
});

describe('cancela log-level', () => {
  test('sets what is logged, on all workers', async (t) => {
    const gateway = await serve(t, '--workers', '2', '--access-log', 'all');
    assert.equal((await ask(gateway, 'log-level', 'error')).code, 0);
    assert.equal((await json(gateway, 'status')).log_level, 'error');
    for (let i = 0; i < 4; i++) await call(gateway, 'add', { a: 1, b: 2 });
    assert.equal((await ask(gateway, 'log-level', 'info')).code, 0);
    await json(gateway, 'status'); // the workers have read it then
    await call(gateway, 'add', { a: 3, b: 4 });
    await gateway.log(/ call .*procedure=add/);
    assert.equal(gateway.lines.filter((line) => / call /.test(line)).length, 1);
  });

  test('knows the levels', async () => {
    const { code, stderr } = await cancela('log-level', 'loud');
    assert.equal(code, 2);
    assert.match(stderr, /the levels are debug, info, warn, error and off; this is none: 'loud'/);
  });
});

describe('the admin socket', () => {
  test('is its owner\'s, and the file goes with the gateway', async (t) => {
    const gateway = await serve(t);
    assert.equal((await stat(gateway.admin)).mode & 0o777, 0o600);
    await gateway.stop();
    await assert.rejects(stat(gateway.admin));
  });

  test('is found by itself where there is one gateway', async (t) => {
    const runtime = await folder(t);
    const env = { ...process.env, XDG_RUNTIME_DIR: runtime };
    const first = await start('admin.lua', [], { env });
    t.after(() => first.stop());
    const asks = (...args) => finish(spawnBinary(args, { env }));
    assert.equal((await stat(join(runtime, 'cancela'))).mode & 0o777, 0o700);
    assert.equal((await asks('ps')).code, 0);
    const second = await start('admin.lua', [], { env });
    t.after(() => second.stop());
    const several = await asks('ps');
    assert.equal(several.code, 3);
    assert.match(several.stderr, /several gateways run: choose one with\n( +--admin \S+\.sock\n){2}/);
    const one = await asks('status', '--admin', join(runtime, 'cancela', `${second.child.pid}.sock`), '--json');
    assert.equal(JSON.parse(one.stdout).pid, second.child.pid);
    await second.stop();
    await writeFile(join(runtime, 'cancela', '1.sock'), ''); // left behind
    assert.equal((await asks('ps')).code, 0);
    await first.stop();
    const none = await asks('ps');
    assert.equal(none.code, 3);
    assert.match(none.stderr, /no gateway of this user runs here \(looked in \S+\): name its socket with --admin/);
  });

  test('is left with a warning where its folder is somebody else\'s to write to', async (t) => {
    const runtime = await folder(t);
    await writeFile(join(runtime, 'cancela'), '');
    const gateway = await start('admin.lua', [], { env: { ...process.env, XDG_RUNTIME_DIR: runtime } });
    t.after(() => gateway.stop());
    await gateway.log(/ WARN .*no admin socket at \S+: it is no folder of this user's own; set 'admin' to a path/);
    const open = await folder(t);
    await chmod(open, 0o777);
    const other = await start('admin.lua', ['--admin', 'off'], { env: { ...process.env, XDG_RUNTIME_DIR: open } });
    t.after(() => other.stop());
    await assert.rejects(stat(join(open, 'cancela')));
  });

  test('that cannot be made where it was asked for ends the start', async () => {
    for (const path of ['/nowhere/at/all.sock', `/tmp/${'x'.repeat(108)}`]) {
      const { code, stderr } = await cancela('run', appPath('admin.lua'), '--listen', '127.0.0.1:0', '--admin', path);
      assert.ok(code === 3 || code === 2, stderr);
      assert.match(stderr, /admin socket/);
    }
  });

  async function lines(t, gateway) {
    const socket = connect(gateway.admin);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.on('error', () => {});
    const read = createInterface({ input: socket })[Symbol.asyncIterator]();
    return { socket, next: async () => (await read.next()).value };
  }

  test('answers line after line, and mistakes', async (t) => {
    const { socket, next } = await lines(t, await serve(t));
    const request = (id, method) => `${JSON.stringify({ jsonrpc: '2.0', id, method })}\n`;
    socket.write(request(1, 'ps') + request(2, 'reboot') + 'x\n' + request(3, 'status'));
    assert.deepEqual(JSON.parse(await next()).result.calls, []);
    assert.equal(JSON.parse(await next()).error.code, -32601);
    assert.equal(JSON.parse(await next()).error.data.code, 'invalid_argument');
    assert.equal(JSON.parse(await next()).id, 3);
  });

  test('closes a connection that sends a line too long, and takes one that is not', async (t) => {
    const gateway = await serve(t);
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ps' });
    const good = await lines(t, gateway);
    good.socket.write(`${text}${' '.repeat(4096 - text.length)}\n`);
    assert.equal(JSON.parse(await good.next()).id, 1);
    const bad = await lines(t, gateway);
    bad.socket.write(`${text}${' '.repeat(4097 - text.length)}`);
    assert.equal(await bad.next(), undefined);
  });

  test('takes sixteen connections', async (t) => {
    const gateway = await serve(t);
    const many = [];
    for (let i = 0; i < 16; i++) many.push(await lines(t, gateway));
    const request = '{"jsonrpc":"2.0","id":1,"method":"ps"}\n';
    for (const { socket, next } of many) {
      socket.write(request);
      assert.equal(JSON.parse(await next()).id, 1);
    }
    assert.equal(await (await lines(t, gateway)).next(), undefined);
    many[0].socket.destroy();
    assert.ok(await until(async () => (await ask(gateway, 'ps')).code === 0));
  });

  test('survives who leaves before the answer', async (t) => {
    const gateway = await serve(t);
    for (let i = 0; i < 50; i++) {
      const { socket } = await lines(t, gateway);
      socket.write('{"jsonrpc":"2.0","id":1,"method":"ps"}\n');
      socket.destroy();
    }
    assert.ok(await until(async () => (await ask(gateway, 'ps')).code === 0));
  });
});
