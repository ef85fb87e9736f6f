// Reloads that fail, and reloads that come while others are under way: nobody but the operator notices.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { until } from './lib/load.mjs';
import { appText, gone, serve } from './lib/reload.mjs';
import { call } from './lib/rpc.mjs';
import { connect } from './lib/ws.mjs';

const ONE = appText('one'), TWO = appText('two');
const OLD = { version: 'one', generation: 1 };
const before = (code) => appText('two', { before: code });
const TRACEBACK = /\nstack traceback:\n/;
const count = (gateway, regex) => gateway.lines.filter((line) => regex.test(line)).length;

describe('a script that does not load changes nothing:', () => {
  const slow = /app\.lua:\d+: the script took too long to load \(load_timeout\)/;
  const fails = {
    'a syntax error': [`${ONE}\nend`, /app\.lua:\d+: .*near 'end'/],
    'an error while it runs': [before('error("boom")'), /app\.lua:\d+: boom/, TRACEBACK],
    'an error that is no string': [before('error({})'), /app\.lua:\d+: table: /],
    'a module that is missing': [before('require "no.such"'), /app\.lua:\d+: module 'no\.such' not found/, TRACEBACK],
    'on_load raises': [appText('two', { fields: 'on_load = function() error "no database" end' }), /app\.lua:\d+: no database/, TRACEBACK],
    'on_load awaits': [appText('two', { fields: 'on_load = function() cancela.sleep(1) end' }), /app\.lua:\d+: /],
    'an unknown member of the app': [appText('two', { fields: 'procedurs = {}' }), /app\.lua:\d+: .*procedurs/],
    'a procedure that is none': [before('app.procedures.x = 1'), /app\.lua:\d+: .*x/],
    'no app': ['local x = 1', /app\.lua:1: /],
    'an empty file': ['', /app\.lua/],
    'a compiled chunk': ['\x1bLua', /app\.lua/],
    'an endless loop': [before('while true do end'), slow, TRACEBACK],
    'an endless loop around pcall': [before('while true do pcall(function() while true do end end) end'), slow],
    'an endless loop in a coroutine': [before('coroutine.wrap(function() while true do end end)()'), /too long to load/],
    'an endless loop in a function, whose line counts': [before('local function f()\n\nwhile true do end end f()'), slow, /in upvalue 'f'|in local 'f'/],
    'an endless pattern': [before('local _ = ("a"):rep(300000):find((".-"):rep(30) .. "b")'), /too long to load/],
    'an endless on_load': [appText('two', { fields: 'on_load = function() while true do end end' }), slow, TRACEBACK],
    'too much memory': [before('local all = {} while true do all[#all + 1] = ("x"):rep(100000) .. #all end'), /memory/],
    'a folder for static that is not there': [appText('two', { fields: 'static = "nowhere"' }), /static: 'nowhere' is no folder/],
  };
  for (const [what, [text, ...says]] of Object.entries(fails)) {
    test(what, async (t) => {
      const gateway = await serve(t, ONE, ['--load-timeout', '500ms', '--vm-memory', '16MiB', '--workers', '2']);
      const peer = await connect(t, gateway);
      const held = peer.call('hold', { name: 'a' }, 1);
      await gateway.log(/ holds a one$/);
      const said = await gateway.refused(text);
      for (const regex of says) assert.match(said, regex);
      assert.match(said, /^cancela: /);
      const status = await gateway.json('status');
      assert.deepEqual([status.generation, status.reloads, status.reloads_failed], [1, 0, 1]);
      assert.equal(`cancela: ${status.reload_error}\n`, said);
      await gateway.log(/ ERROR +reload failed, generation 1 serves on: /);
      assert.deepEqual((await peer.call('who', {}, 2)).result, OLD);
      assert.equal((await gateway.reload(TWO)).generation, 2);
      assert.equal((await gateway.json('status')).reload_error, undefined);
      await peer.call('put', { name: 'a' }, 3);
      assert.deepEqual((await held).result, OLD);
      await gone(gateway, 1);
    });
  }

  test('the file is gone', async (t) => {
    const gateway = await serve(t, ONE);
    await rm(gateway.file);
    assert.match(await gateway.refused(), /cannot open \S*app\.lua/);
    assert.deepEqual((await call(gateway, 'who')).result, OLD);
    assert.equal((await gateway.reload(ONE)).generation, 2);
  });

  test('only for the second worker', async (t) => {
    const gateway = await serve(t, ONE, ['--workers', '2']);
    const text = before('if shared.incr "loads" == 2 then error "not twice" end');
    assert.match(await gateway.refused(text), /app\.lua:\d+: not twice/);
    assert.deepEqual((await call(gateway, 'who')).result, OLD);
    assert.equal((await gateway.reload(TWO)).generation, 2);
  });

  test('by SIGHUP the log says why', async (t) => {
    const gateway = await serve(t, ONE);
    await gateway.write(before('error("boom")'));
    gateway.signal('SIGHUP');
    await gateway.log(/ ERROR +reload failed, generation 1 serves on: \S*app\.lua:\d+: boom/);
    assert.match((await gateway.json('status')).reload_error, /boom/);
    assert.match((await gateway.ask('status')).stdout, /reload_error .*boom/);
  });
});

// Loads only when the test has made the file 'gate'.
const gated = (version, gate) => appText(version, { before: `block "${gate}"` });

describe('while a script loads', () => {
  async function loading(t, flags = []) {
    const gateway = await serve(t, ONE, ['--load-timeout', '60s', ...flags]);
    const gate = join(gateway.folder, 'gate');
    await gateway.write(gated('two', gate));
    const first = gateway.ask('reload', '--json');
    await gateway.log(/ loads two$/);
    return { gateway, first, open: () => writeFile(gate, '') };
  }

  test('calls, new connections, ps and status are answered', async (t) => {
    const { gateway, first, open } = await loading(t);
    const peer = await connect(t, gateway);
    const held = peer.call('hold', { name: 'a' }, 1);
    await gateway.log(/ holds a one$/);
    assert.deepEqual((await call(gateway, 'who')).result, OLD);
    assert.deepEqual((await gateway.json('ps')).calls.map((each) => each.procedure), ['hold']);
    const status = await gateway.json('status');
    assert.deepEqual([status.generation, status.reloads], [1, 0]);
    await peer.call('put', { name: 'a' }, 2);
    assert.deepEqual((await held).result, OLD);
    await open();
    assert.equal(JSON.parse((await first).stdout).generation, 2);
  });

  test('requests wait, and are one', async (t) => {
    const { gateway, first, open } = await loading(t);
    const others = ['reload', 'reload', 'reload'].map((command) => gateway.ask(command, '--json'));
    for (let i = 0; i < 3; i++) gateway.signal('SIGHUP');
    await gateway.json('status');
    assert.equal(count(gateway, / loads two$/), 1);
    // Those that come from here on are asked for last: when its answer is there the others have been heard.
    await open();
    assert.equal(JSON.parse((await first).stdout).generation, 2);
    const generations = (await Promise.all(others)).map(({ stdout }) => JSON.parse(stdout).generation);
    assert.ok(generations.every((generation) => generation >= 3), `${generations}`);
    const { reloads } = await gateway.json('status');
    assert.ok(reloads >= 2 && reloads <= 4, `${reloads}`); // clients that were slow to ask come too late for the second
    assert.equal(count(gateway, / loads two$/), reloads);
  });

  test('SIGTERM ends the gateway, whatever the load is at, and refuses the reload', async (t) => {
    const { gateway, first } = await loading(t);
    gateway.signal('SIGTERM');
    const { code, stderr } = await first;
    assert.equal(code, 1);
    assert.match(stderr, /shutting down/);
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
    assert.equal(count(gateway, / reload (gen|failed)/), 0);
  });
});

describe('max_generations', () => {
  test('the next reload waits for the end of one; all that wait are one', async (t) => {
    const gateway = await serve(t, ONE, ['--max-generations', '2']);
    const held = call(gateway, 'hold', { name: 'a' });
    await gateway.log(/ holds a one$/);
    await gateway.reload(TWO);
    await gateway.write(appText('three'));
    const waiting = [gateway.ask('reload', '--json')];
    await gateway.log(/ INFO +reload waits: calls of 2 generations still run \(max_generations\)$/);
    for (let i = 0; i < 5; i++) gateway.signal('SIGHUP');
    waiting.push(gateway.ask('reload', '--json'));
    await gateway.json('status');
    await gateway.write(appText('four'));
    assert.deepEqual((await call(gateway, 'who')).result, { version: 'two', generation: 2 });
    assert.equal(count(gateway, / loads (three|four)$/), 0);
    await gateway.put('a');
    assert.deepEqual((await held).result, OLD);
    for (const { stdout } of await Promise.all(waiting)) assert.ok(JSON.parse(stdout).generation >= 3, stdout);
    assert.equal((await call(gateway, 'who')).result.version, 'four');
    assert.equal(count(gateway, / loads three$/), 0);
    assert.equal(count(gateway, /reload waits/), 1);
    await gone(gateway, 2);
  });

  test('reload_drain bounds that', async (t) => {
    const gateway = await serve(t, ONE, ['--max-generations', '2', '--reload-drain', '200ms']);
    const held = call(gateway, 'hold', { name: 'a' });
    await gateway.log(/ holds a one$/);
    await gateway.reload(TWO);
    assert.equal((await gateway.reload(appText('three'))).generation, 3);
    assert.equal((await held).error.code, -32802);
    assert.equal((await gateway.json('status')).generation, 3);
  });

  test('a reload that fails does not count', async (t) => {
    const gateway = await serve(t, ONE, ['--max-generations', '2']);
    for (let i = 0; i < 3; i++) await gateway.refused(before('error "boom"'));
    assert.equal((await gateway.reload(TWO)).generation, 2);
    assert.equal((await gateway.json('status')).reloads_failed, 3);
  });
});

test('during a drain a reload is refused', async (t) => {
  const gateway = await serve(t, ONE);
  const gate = join(gateway.folder, 'gate');
  const held = call(gateway, 'hold', { name: gate });
  await gateway.log(/ holds \S+ one$/);
  gateway.signal('SIGTERM');
  await gateway.log(/ draining /);
  assert.match(await gateway.refused(TWO), /the gateway is shutting down/);
  gateway.signal('SIGHUP');
  await gateway.json('status');
  await writeFile(gate, '');
  assert.deepEqual((await held).result, OLD);
  gateway.hangUp();
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  assert.equal(count(gateway, / loads two$/), 0);
});

test('the log level that the operator set holds for scripts that load', async (t) => {
  const gateway = await serve(t, ONE);
  await gateway.ask('log-level', 'error');
  await gateway.reload(TWO);
  await gateway.ask('log-level', 'info');
  await gateway.reload(appText('three'));
  assert.equal(count(gateway, / loads two$/), 0);
  assert.equal(count(gateway, / loads three$/), 1);
  assert.ok(await until(async () => (await call(gateway, 'who')).result.version === 'three', 10_000));
});
