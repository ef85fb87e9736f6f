// Start, drain and end of the process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { appPath, cancela, start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';

// Starts a gateway that has a call in flight.
async function busy(t, flags, params, method = 'slow') {
  const gateway = await start('app.lua', flags);
  t.after(() => gateway.signal('SIGKILL'));
  const reply = call(gateway, method, { label: 'busy', ...params }).catch((error) => error);
  await gateway.log(/started busy/);
  return { gateway, reply };
}

// 'connected', or the code of the error.
async function connecting(port) {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return error.code;
  } finally {
    socket.destroy();
  }
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} without calls ends at once, with 0`, async () => {
    const gateway = await start('app.lua');
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
    await gateway.stop({ signal });
  });
}

test('SIGTERM lets the call in flight finish, and takes no new connections', async (t) => {
  const { gateway, reply } = await busy(t, [], { seconds: 0.3 });
  gateway.signal('SIGTERM');
  await gateway.log(/drain/i);
  assert.equal(await connecting(gateway.port), 'ECONNREFUSED');
  assert.equal((await reply).result, 'done!');
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
});

test('a drain ends idle connections', async (t) => {
  const gateway = await start('app.lua');
  const raw = await open(t, gateway);
  raw.send(postText(gateway, request('add', { a: 1, b: 1 })));
  assert.equal((await raw.response()).status, 200);
  await gateway.stop();
  assert.equal(await raw.rest(), '');
});

test('at the end of the drain the calls left are cancelled, answered, cleaned up', async (t) => {
  const { gateway, reply } = await busy(t, ['--drain-timeout', '100ms']);
  gateway.signal('SIGTERM');
  const { error } = await reply;
  assert.equal(error.code, -32802);
  assert.equal(error.data.code, 'unavailable');
  await gateway.log(/on_cancel busy shutdown/);
  await gateway.log(/closed busy/);
  await gateway.log(/ call .*procedure=slow outcome=unavailable /);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
});

test("clean-up that takes longer than the shutdown's grace is cut, and what is outside it still runs", async (t) => {
  const { gateway, reply } = await busy(t, ['--drain-timeout', '50ms', '--shutdown-grace', '50ms'],
    { close_seconds: 60 }, 'slow_to_close');
  gateway.signal('SIGTERM');
  assert.equal((await reply).error.data.code, 'unavailable');
  await gateway.log(/closed busy last/);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  assert.ok(!gateway.lines.some((line) => line.includes('closed busy first')));
});

test('a drain waits for detached work, which the reset of its call did not end', async (t) => {
  const gateway = await start('app.lua');
  t.after(() => gateway.signal('SIGKILL'));
  assert.equal((await call(gateway, 'detached', { seconds: 0.3 })).result, true);
  gateway.signal('SIGTERM');
  await gateway.log(/finished detached/);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
});

test('at the end of the drain detached work is cancelled and cleans up', async (t) => {
  const gateway = await start('app.lua', ['--drain-timeout', '50ms']);
  t.after(() => gateway.signal('SIGKILL'));
  assert.equal((await call(gateway, 'detached', { seconds: 60, close_seconds: 0.02 })).result, true);
  gateway.signal('SIGTERM');
  await gateway.log(/on_cancel detached shutdown/);
  await gateway.log(/closed detached/);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  assert.ok(!gateway.lines.some((line) => line.includes('finished detached')));
});

test('more detached work than max_detached is refused as resource_exhausted', async (t) => {
  const gateway = await start('app.lua', ['--max-detached', '1', '--drain-timeout', '10ms']);
  t.after(() => gateway.signal('SIGKILL'));
  assert.equal((await call(gateway, 'detached', { seconds: 60 })).result, true);
  const { error } = await call(gateway, 'detached', { seconds: 60 });
  assert.equal(error.data.code, 'resource_exhausted');
  assert.match(error.message, /max_detached/);
  await gateway.stop();
});

test('a second SIGINT ends it now, with 5 for the call left behind', async (t) => {
  const { gateway, reply } = await busy(t, []);
  gateway.signal('SIGINT');
  await gateway.log(/drain/i);
  gateway.signal('SIGINT');
  assert.equal((await reply).error.data.code, 'unavailable');
  await gateway.log(/stopped abandoned=1/);
  assert.deepEqual(await gateway.exited(), { code: 5, signal: null });
});

const noIPv6 = !Object.values(networkInterfaces()).flat().some(({ address }) => address === '::1');
for (const [listen, host, skip] of [['[::1]:0', '[::1]', noIPv6], ['0.0.0.0:0', '127.0.0.1'], [':0', '127.0.0.1']]) {
  test(`--listen ${listen} is reached at ${host}`, { skip }, async (t) => {
    const gateway = await start('table.lua', ['--listen', listen]);
    t.after(() => gateway.stop());
    gateway.url = `http://${host}:${gateway.port}`;
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
  });
}

test('the port of a gateway that ended is free for the next at once', async (t) => {
  const first = await start('table.lua');
  const raw = await open(t, first);
  assert.equal((await raw.send(postText(first, request('add', { a: 1, b: 1 }))).response()).status, 200);
  await first.stop(); // which closed the connection: its side of it waits in the system
  const second = await start('table.lua', ['--listen', first.address]);
  t.after(() => second.stop());
  assert.equal((await call(second, 'add', { a: 1, b: 1 })).result, 2);
});

test('a busy port is said in one line, with 3', async (t) => {
  const gateway = await start('table.lua');
  t.after(() => gateway.stop());
  const { code, stderr } = await cancela('run', appPath('table.lua'), '--listen', gateway.address);
  assert.equal(code, 3);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
  assert.ok(stderr.includes(`port ${gateway.port} is in use`), stderr);
});

test('a script that returns just procedures is served', async (t) => {
  const gateway = await start('table.lua');
  t.after(() => gateway.stop());
  assert.equal((await call(gateway, 'add', { a: 1, b: 2 })).result, 3);
});

test('--access-log off and failed say less', async () => {
  const off = await start('app.lua', ['--access-log', 'off']);
  await call(off, 'not_found');
  await off.stop();
  assert.ok(!off.lines.some((line) => / call .*procedure=/.test(line)));

  const failed = await start('app.lua', ['--access-log', 'failed']);
  await call(failed, 'add', { a: 1, b: 1 });
  await call(failed, 'not_found');
  await failed.log(/ call .*procedure=not_found outcome=not_found /);
  await failed.stop();
  assert.ok(!failed.lines.some((line) => line.includes('procedure=add')));
});
