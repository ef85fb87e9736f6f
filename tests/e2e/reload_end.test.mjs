// The end of an old generation: its calls, background tasks, detached work, on_unload, finalizers; and the end of the
// process with several of them.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appText, gone, serve } from './lib/reload.mjs';
import { call } from './lib/rpc.mjs';
import { connect } from './lib/ws.mjs';

const ONE = appText('one'), TWO = appText('two');
const OLD = { version: 'one', generation: 1 }, NEW = { version: 'two', generation: 2 };
const count = (gateway, regex) => gateway.lines.filter((line) => regex.test(line)).length;
const place = (gateway, regex) => gateway.lines.findIndex((line) => regex.test(line));

describe('case 84: a reload while calls unwind', () => {
  test('case 84: keeps the old VM until they have ended; new calls go to the new one', async (t) => {
    const gateway = await serve(t, ONE);
    const peer = await connect(t, gateway);
    const answer = peer.call('clean', { name: 'a' }, 1);
    await gateway.log(/ begun a$/);
    peer.cancel(1);
    assert.equal((await answer).error.data.code, 'canceled');
    await gateway.log(/ unwinds a one reset$/);
    await gateway.reload(TWO);
    assert.deepEqual((await peer.call('who', {}, 2)).result, NEW);
    const [unwinding] = (await gateway.json('ps')).calls;
    assert.deepEqual([unwinding.phase, unwinding.generation], ['cleaning up', 1]);
    await peer.call('put', { name: 'a' }, 3);
    await gateway.log(/ unwound a one$/);
    await gone(gateway, 1);
    assert.ok(place(gateway, / unwound a one$/) < place(gateway, / generation 1 is gone$/));
  });

  test('case 84: cancels what outlasts reload_drain, as unavailable with -32802', async (t) => {
    const gateway = await serve(t, ONE, ['--reload-drain', '200ms']);
    const peer = await connect(t, gateway);
    const cleans = peer.call('clean', { name: 'a' }, 1), holds = peer.call('hold', { name: 'b' }, 2);
    await gateway.log(/ begun a$/);
    await gateway.log(/ holds b one$/);
    const plain = fetch(`${gateway.rpcUrl}/hold`, { method: 'POST', body: '{"name":"c"}', headers: { 'content-type': 'application/json' } });
    await gateway.log(/ holds c one$/);
    await gateway.reload(TWO);
    for (const { error } of [await cleans, await holds]) assert.deepEqual([error.code, error.data.code], [-32802, 'unavailable']);
    assert.equal((await plain).status, 503);
    await gateway.log(/ unwinds a one reload$/);
    await gateway.log(/ WARN +generation 1 still had work after reload_drain: it is cancelled$/);
    await gateway.log(/ procedure=hold outcome=unavailable reason=reload /);
    assert.deepEqual((await peer.call('who', {}, 3)).result, NEW);
    await peer.call('put', { name: 'a' }, 4);
    await gone(gateway, 1);
  });

  test('case 84: gives up what outlasts its grace, too', async (t) => {
    const unload = `on_unload = function() log.info("unloaded " .. version) end`;
    const gateway = await serve(t, appText('one', { fields: unload }), ['--reload-drain', '100ms', '--grace', '100ms']);
    const answer = call(gateway, 'clean', { name: 'a' });
    await gateway.log(/ begun a$/);
    await gateway.reload(appText('two', { fields: unload }));
    assert.equal((await answer).error.code, -32802);
    await gone(gateway, 1);
    assert.equal(count(gateway, / unwound a/), 0);
  });
});

test('case 85: a callback that the old code has registered runs in the old code', async (t) => {
  const gateway = await serve(t, ONE);
  const peer = await connect(t, gateway);
  const answer = peer.call('watched', { name: 'a' }, 1);
  await gateway.log(/ watched a$/);
  await gateway.reload(TWO);
  await peer.call('count', {}, 2); // the new code's own count is 1 from here on
  await peer.call('count', {}, 3);
  peer.cancel(1);
  assert.equal((await answer).error.data.code, 'canceled');
  await gateway.log(/ on_cancel one reset 2$/);
  await gone(gateway, 1);
});

test('case 85: also when it is reload_drain that cancels', async (t) => {
  const gateway = await serve(t, ONE, ['--reload-drain', '100ms']);
  const answer = call(gateway, 'watched', { name: 'a' });
  await gateway.log(/ watched a$/);
  await gateway.reload(TWO);
  await gateway.log(/ on_cancel one reload 2$/);
  assert.equal((await answer).error.code, -32802);
  await gone(gateway, 1);
});

test('with a reload_drain of 0 what runs is cancelled at once', async (t) => {
  const gateway = await serve(t, ONE, ['--reload-drain', '0s']);
  await gateway.reload(ONE);
  await gone(gateway, 1);
  const answer = call(gateway, 'hold', { name: 'a' });
  await gateway.log(/ holds a one$/);
  await gateway.reload(TWO);
  assert.equal((await answer).error.code, -32802);
  await gone(gateway, 2);
});

// Logs "begun", "cleans" and "cleaned", with a clean-up that waits for "put NAME".
const background = (version, rest = '') => appText(version, {
  before: `local function work(what)
    return function()
      log.info(("begun %s %s"):format(what, version))
      local _ <close> = cancela.defer(function(e)
        log.info(("cleans %s %s %s"):format(what, version, cancela.is_cancel(e).kind))
        wait(what)
        log.info(("cleaned %s %s"):format(what, version))
      end)
      cancela.sleep(1e6)
    end
  end`,
  fields: `background = { work "each", { once = true, name = "o", run = work "once" } },
    on_unload = function()
      log.info("unloads " .. version)
      cancela.sleep(0.005)
      log.info("unloaded " .. version)
    end, ${rest}`,
});

describe('background tasks', () => {
  test('of the new code begin when those of the old have cleaned up', async (t) => {
    const gateway = await serve(t, background('one'));
    await gateway.log(/ begun once one$/);
    await gateway.reload(background('two'));
    await gateway.log(/ cleans each one reload$/);
    await gateway.put('each');
    await gateway.log(/ cleaned each one$/);
    assert.deepEqual((await call(gateway, 'who')).result, NEW);
    assert.equal(count(gateway, / begun \w+ two$/), 0);
    await gateway.put('once');
    await gateway.log(/ begun once two$/);
    await gateway.log(/ begun each two$/);
    await gone(gateway, 1);
    const order = [/ cleaned once one$/, / unloads one$/, / unloaded one$/, / generation 1 is gone$/].map((line) => place(gateway, line));
    assert.deepEqual(order, order.toSorted((a, b) => a - b));
  });

  test('that say once run on one worker of several, in each generation', async (t) => {
    const gateway = await serve(t, background('v1'), ['--workers', '3']);
    await gateway.put('each');
    await gateway.put('once');
    for (let generation = 2; generation < 7; generation++) {
      await gateway.reload(background(`v${generation}`));
      await gone(gateway, generation - 1);
    }
    await gateway.log(/ begun once v6$/);
    await gateway.stop();
    for (let generation = 1; generation < 7; generation++) {
      assert.equal(count(gateway, new RegExp(` begun once v${generation}$`)), 1);
      assert.equal(count(gateway, new RegExp(` begun each v${generation}$`)), 3);
      assert.equal(count(gateway, new RegExp(` unloaded v${generation}$`)), 3);
      if (generation > 1) {
        assert.ok(place(gateway, new RegExp(` cleaned once v${generation - 1}$`)) < place(gateway, new RegExp(` begun once v${generation}$`)));
      }
    }
  });

  test('of a generation that was replaced before they could begin never run', async (t) => {
    const gateway = await serve(t, background('one'));
    await gateway.log(/ begun once one$/);
    await gateway.reload(background('two'));
    await gateway.log(/ cleans each one reload$/);
    await gateway.reload(background('three'));
    await gone(gateway, 2);
    await gateway.put('each');
    await gateway.put('once');
    await gateway.log(/ begun once three$/);
    await gone(gateway, 1);
    assert.equal(count(gateway, / begun \w+ two$/), 0);
  });
});

describe('on_unload', () => {
  test('runs on the old generation after its last call', async (t) => {
    const gateway = await serve(t, background('one'));
    await gateway.put('each');
    await gateway.put('once');
    const held = call(gateway, 'hold', { name: 'a' });
    await gateway.log(/ holds a one$/);
    await gateway.reload(background('two'));
    await gateway.log(/ begun once two$/);
    assert.equal(count(gateway, / unloads one$/), 0);
    await gateway.put('a');
    assert.deepEqual((await held).result, OLD);
    await gateway.log(/ unloaded one$/);
    await gone(gateway, 1);
  });

  test('runs also when the clean-up before it was ended by its grace', async (t) => {
    const gateway = await serve(t, background('one'), ['--reload-drain', '50ms', '--grace', '50ms']);
    await gateway.log(/ begun once one$/);
    await gateway.reload(TWO);
    await gone(gateway, 1);
    assert.equal(count(gateway, / cleaned /), 0);
    assert.equal(count(gateway, / unloaded one$/), 1);
  });
});

test('detached work goes on in the old code, and is cancelled after reload_drain', async (t) => {
  const gateway = await serve(t, ONE, ['--reload-drain', '300ms']);
  await call(gateway, 'detach', { name: 'a' });
  await gateway.reload(TWO);
  await call(gateway, 'detach', { name: 'b' });
  await gateway.log(/ detached one reload$/);
  await gone(gateway, 1);
  await gateway.put('b');
  await gateway.log(/ detached two ended$/);
});

test('detached work that ends before that ends the generation', async (t) => {
  const gateway = await serve(t, ONE);
  await call(gateway, 'detach', { name: 'a' });
  await gateway.reload(TWO);
  await gateway.put('a');
  await gateway.log(/ detached one ended$/);
  await gone(gateway, 1);
});

// Finalizers that run when the VM is closed, and use all there is.
const finalizers = (version) => appText(version, {
  before: `local kept, token
  local uses = {
    now = function() return cancela.now() > 0 end,
    log = function() log.warn("finalizer " .. version) return true end,
    publish = function() cancela.publish("news", { version = version }) return true end,
    broadcast = function() cancela.broadcast("news", { version = version }) return true end,
    shared = function() shared.incr("finalized") return true end,
    client = function() return kept == nil or kept:get "kept" ~= nil end,
    notify = function() return kept == nil or kept:notify "news" end,
    subscribe = function() return kept == nil or kept:subscribe "other" end,
    close = function() return kept == nil or kept:close() end,
    string = function() return tostring(kept) end,
    sleep = function() cancela.sleep(0.001) end,
    detach = function() cancela.detach(function() end, { timeout = 5 }) end,
    token = function() local child, cancel = token:child() child:on_cancel(print) cancel() return child.cancelled end,
    linked = function() return cancela.linked_token(token, token).cancelled end,
    group = function() cancela.group(function(group) group:spawn(print) end) end,
    timeout = function() cancela.timeout(1, print) end,
    channel = function() cancela.channel(1):send(1) end,
    interval = function() cancela.interval(1):tick() end,
    stats = function() return cancela.stats() end,
    json = function() return cancela.json.encode { 1 } end,
    coroutine = function() return coroutine.wrap(function() return cancela.now() end)() end,
  }
  app.procedures.remember = function(_, call) kept, token = call.client, call.token kept:set("kept", 1) kept:subscribe "news" end
  local function dropped()
    local said = {}
    for name, use in pairs(uses) do
      local ok, why = pcall(use)
      said[#said + 1] = ok and name or nil
    end
    table.sort(said)
    log.info("finalized " .. version .. " " .. table.concat(said, " "))
  end
  dropped_one = setmetatable({}, { __gc = dropped })`,
});

test('a finalizer that runs when the old VM is closed may use everything, and breaks nothing', async (t) => {
  const gateway = await serve(t, finalizers('v1'), ['--workers', '2']);
  const peers = await Promise.all([1, 2, 3, 4].map(() => connect(t, gateway)));
  for (let generation = 2; generation < 8; generation++) {
    await Promise.all(peers.map((peer) => peer.call('remember', {}, `remember ${generation}`)));
    const busy = peers.map((peer, i) => peer.call('publish', { topic: 'news', data: i }, `publish ${generation}`));
    await gateway.reload(finalizers(`v${generation}`));
    await gone(gateway, generation - 1);
    assert.equal(count(gateway, new RegExp(` finalized v${generation - 1} .* log now .*shared stats`)), 2);
    await Promise.all(busy);
    for (const peer of peers) assert.equal((await peer.call('who', {}, `who ${generation}`)).result.generation, generation);
  }
});

describe('SIGTERM with several generations', () => {
  test('waits for the calls of all of them', async (t) => {
    const gateway = await serve(t, background('one'));
    const gates = ['a', 'b'].map((name) => join(gateway.folder, name));
    await gateway.put('each');
    await gateway.put('once');
    const first = call(gateway, 'hold', { name: gates[0] });
    await gateway.log(/ holds \S+ one$/);
    await gateway.reload(background('two'));
    const second = call(gateway, 'hold', { name: gates[1] });
    await gateway.log(/ holds \S+ two$/);
    gateway.hangUp().signal('SIGTERM');
    await gateway.log(/ draining calls=2 /);
    await writeFile(gates[1], '');
    assert.deepEqual((await second).result, NEW);
    await writeFile(gates[0], '');
    assert.deepEqual((await first).result, OLD);
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
    for (const version of ['one', 'two']) assert.equal(count(gateway, new RegExp(` unloaded ${version}$`)), 1);
  });

  test('cancels all of them after drain_timeout', async (t) => {
    const gateway = await serve(t, ONE, ['--drain-timeout', '100ms']);
    const first = call(gateway, 'hold', { name: 'a' });
    await gateway.log(/ holds a one$/);
    await call(gateway, 'detach', { name: 'a' });
    await gateway.reload(TWO);
    const second = call(gateway, 'hold', { name: 'b' });
    await gateway.log(/ holds b two$/);
    await call(gateway, 'detach', { name: 'b' });
    gateway.signal('SIGTERM');
    for (const { error } of [await first, await second]) assert.equal(error.code, -32802);
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
    for (const version of ['one', 'two']) assert.equal(count(gateway, new RegExp(` detached ${version} shutdown$`)), 1);
  });

  test('ends their clean-up after the grace', async (t) => {
    const gateway = await serve(t, ONE, ['--drain-timeout', '50ms', '--shutdown-grace', '100ms']);
    const first = call(gateway, 'clean', { name: 'a' });
    await gateway.log(/ begun a$/);
    await gateway.reload(TWO);
    const second = call(gateway, 'clean', { name: 'b' });
    await gateway.log(/ begun b$/);
    gateway.signal('SIGTERM');
    for (const { error } of [await first, await second]) assert.equal(error.code, -32802);
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
    assert.equal(count(gateway, / unwound /), 0);
  });

  test('a second SIGINT ends it now', async (t) => {
    const gateway = await serve(t, ONE, ['--shutdown-grace', '60s']);
    gateway.end = { code: 5 };
    const answers = [call(gateway, 'clean', { name: 'a' })];
    await gateway.log(/ begun a$/);
    await gateway.reload(TWO);
    answers.push(call(gateway, 'clean', { name: 'b' }));
    await gateway.log(/ begun b$/);
    gateway.signal('SIGINT');
    await gateway.log(/ draining /);
    gateway.signal('SIGINT');
    for (const { error } of await Promise.all(answers)) assert.equal(error.code, -32802);
    assert.deepEqual(await gateway.exited(), { code: 5, signal: null });
  });
});
