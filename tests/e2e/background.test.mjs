// Background tasks, on_load and on_unload of a script, from the start of the process to its end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { appPath, finish, spawnBinary, start } from './lib/gateway.mjs';
import { call } from './lib/rpc.mjs';
import { connect } from './lib/ws.mjs';

// Resolves when the background tasks of all workers have begun.
async function serve(t, { workers = 1, flags = [], env = {} } = {}) {
  const gateway = await start('background.lua', ['--workers', String(workers), ...flags],
    { env: { ...process.env, ...env } });
  t.after(() => gateway.signal('SIGKILL'));
  await gateway.log(new RegExp(`begun ${workers + 1}$`));
  return gateway;
}

// The messages that the script logged, in order, those of one kind in a row as one.
function story(gateway) {
  const told = /(INFO|ERROR) +(on_load previous=\w+|each|once|cleaned up \w+|on_unload \w+( \w+)?|audited \d+|stopped.*)$/;
  return gateway.lines.map((line) => line.match(told)?.[2]).filter((text) => text !== undefined);
}

function times(gateway, text) {
  return story(gateway).filter((each) => each === text).length;
}

test('it loads, begins its background, cancels it at shutdown, and is unloaded', async (t) => {
  const gateway = await serve(t);
  assert.equal((await call(gateway.hangUp(), 'square', { n: 7 })).result, 49);
  await gateway.stop();
  assert.deepEqual(story(gateway), ['on_load previous=nil', 'each', 'once', 'cleaned up shutdown',
    'on_unload begins', 'on_unload ends nil', 'stopped abandoned=0']);
});

test('each worker runs its background, but what says once runs on one', async (t) => {
  const gateway = await serve(t, { workers: 3 });
  await gateway.stop();
  for (const text of ['on_load previous=nil', 'each', 'cleaned up shutdown', 'on_unload begins', 'on_unload ends nil'])
    assert.equal(times(gateway, text), 3, text);
  assert.equal(times(gateway, 'once'), 1);
});

test('what a background task publishes reaches the clients of all workers', async (t) => {
  const gateway = await serve(t, { workers: 2 });
  const workers = new Set();
  while (workers.size < 2) { // connections go to the worker that has the fewest
    const peer = await connect(t, gateway);
    const { result } = await peer.call('subscribe', {});
    workers.add(result.worker);
    while (!peer.texts.some(({ method }) => method === 'ticks')) await once(peer.ws, 'message');
  }
});

test('the background goes on while a drain waits for calls, which may need it', async (t) => {
  const gateway = await serve(t);
  const reply = call(gateway, 'late', { n: 3, seconds: 0.3 });
  await gateway.log(/started late/);
  gateway.signal('SIGTERM');
  assert.equal((await reply).result, 9);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  assert.deepEqual(story(gateway).slice(3), ['cleaned up shutdown', 'on_unload begins', 'on_unload ends nil',
    'stopped abandoned=0']);
});

test('and while it waits for detached work', async (t) => {
  const gateway = await serve(t);
  assert.equal((await call(gateway, 'audit', { n: 4, seconds: 0.3 })).result, null);
  await gateway.stop();
  assert.deepEqual(story(gateway).slice(3), ['audited 16', 'cleaned up shutdown', 'on_unload begins',
    'on_unload ends nil', 'stopped abandoned=0']);
});

test("at the end of the drain's time it is cancelled with the calls, and on_unload still runs", async (t) => {
  const gateway = await serve(t, { flags: ['--drain-timeout', '50ms'] });
  const reply = call(gateway, 'late', { n: 3, seconds: 60 });
  await gateway.log(/started late/);
  gateway.signal('SIGTERM');
  assert.equal((await reply).error.data.code, 'unavailable');
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  assert.deepEqual(story(gateway).slice(3), ['cleaned up shutdown', 'on_unload begins', 'on_unload ends nil',
    'stopped abandoned=0']);
});

test("on_unload has the shutdown's grace, and then that of its clean-up", async (t) => {
  const gateway = await serve(t, { flags: ['--shutdown-grace', '100ms'], env: { SECONDS: '60' } });
  await gateway.stop();
  assert.deepEqual(story(gateway).slice(3), ['on_unload begins', 'on_unload ends timeout', 'stopped abandoned=0']);
  assert.ok(gateway.lines.some((line) => /ERROR cancelled on_unload: timeout$/.test(line)));
});

test('a second SIGINT ends the background now, and on_unload does not run', async (t) => {
  const gateway = await serve(t, { flags: ['--shutdown-grace', '60s'], env: { SECONDS: '60' } });
  gateway.signal('SIGINT');
  await gateway.log(/drain/);
  gateway.signal('SIGINT');
  await gateway.log(/ERROR abandoned background task .*background\.lua:\d+: stack traceback:/);
  assert.deepEqual(await gateway.exited(), { code: 5, signal: null });
  assert.deepEqual(story(gateway).slice(3), ['stopped abandoned=1']);
});

test('an error of on_load is one of loading: with file, line and traceback', async () => {
  for (const command of ['run', 'check']) {
    const env = { ...process.env, FAIL_ON_LOAD: '1' };
    const result = await finish(spawnBinary([command, appPath('background.lua')], { env }));
    assert.equal(result.code, 1);
    assert.match(result.stderr, /^cancela: \S*background\.lua:\d+: no database\nstack traceback:\n/);
  }
});
