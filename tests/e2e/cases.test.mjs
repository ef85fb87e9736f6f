// Cases of docs/cancellation-cases.md that need a client or a real clock, and that no other test shows alone.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { watch } from './lib/bystander.mjs';
import { start } from './lib/gateway.mjs';
import { skip, stretch, until } from './lib/load.mjs';
import { call, request } from './lib/rpc.mjs';
import { connect, frame, nextText, upgrade, upgradeText } from './lib/ws.mjs';

const cancelOf = (id) => ({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } });

describe('one call', async () => {
  const gateway = await start('cases.lua');
  after(() => gateway.stop());

  const accessLines = (label) => gateway.lines.filter((line) => / call .*procedure=slow_to_close /.test(line) &&
    line.includes(`request_id=${label} `.trimEnd()));

  // A WebSocket by hand with a call in flight whose id is its label.
  async function inFlight(t, label) {
    const raw = await upgrade(t, gateway);
    raw.send(frame(request('slow_to_close', { label }, label)));
    await gateway.log(new RegExp(`started ${label}$`));
    return raw;
  }

  test('case 76: a sleep counts from when it begins, not from when the loop last looked at the clock', async () => {
    const { result } = await call(gateway, 'compute_then_sleep', { compute: 0.06, sleep: 0.01 });
    assert.ok(result >= 0.01, `${result} s`);
  });

  test('case 91: a reset right before the end of the connection is one cancel, and is counted once', async (t) => {
    const raw = await inFlight(t, 91);
    raw.send(frame(cancelOf(91))).finish();
    await gateway.log(/closed 91$/);
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
    assert.equal(gateway.lines.filter((line) => line.includes('on_cancel 91 ')).length, 1);
    const lines = accessLines(91);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0], /outcome=canceled reason=(reset|disconnect) /);
  });

  test('case 28: a lost connection does not disturb the clean-up of a call that was reset', async (t) => {
    const raw = await inFlight(t, 28);
    raw.send(frame(cancelOf(28)));
    assert.equal((await nextText(raw)).error.code, -32800);
    raw.reset();
    await gateway.log(/closed 28$/);
    assert.deepEqual(gateway.lines.filter((line) => line.includes('on_cancel 28 ')).map((line) => line.split(' ').at(-1)),
      ['reset']);
    assert.equal(accessLines(28).length, 1);
  });

  test('case 17: a reset behind the result changes nothing, and is counted', async (t) => {
    const peer = await connect(t, gateway);
    const before = (await peer.call('stats')).result;
    assert.equal((await peer.call('add', { a: 1, b: 2 }, 17)).result, 3);
    peer.cancel(17).cancel('never there');
    const { late_resets, late_cancels } = (await peer.call('stats')).result;
    assert.equal(late_resets, before.late_resets + 1);
    assert.deepEqual(late_cancels, before.late_cancels);
  });

  test('case 4: a second reset while the call cleans up is counted as late', async (t) => {
    const peer = await connect(t, gateway);
    const before = (await peer.call('stats')).result;
    const first = peer.call('slow_to_close', { label: 'twice' }, 4);
    await gateway.log(/started twice$/);
    peer.cancel(4);
    assert.equal((await first).error.code, -32800);
    peer.cancel(4);
    const after = (await peer.call('stats')).result;
    assert.equal(after.cancelled.reset, before.cancelled.reset + 1);
    assert.equal(after.late_cancels.reset, before.late_cancels.reset + 1);
    assert.equal(after.late_resets, before.late_resets);
    await gateway.log(/closed twice$/);
  });

  test('case 21: an id that was answered may be used again while its first call cleans up', async (t) => {
    const peer = await connect(t, gateway);
    const first = peer.call('slow_to_close', { label: 'first of two' }, 7);
    await gateway.log(/started first of two$/);
    peer.cancel(7);
    assert.equal((await first).error.code, -32800);
    assert.equal((await peer.call('add', { a: 1, b: 2 }, 7)).result, 3);
    assert.ok(!gateway.lines.some((line) => line.endsWith('closed first of two')));
    await gateway.log(/closed first of two$/);
  });
});

describe('a connection lost with 1000 calls in flight', () => {
  const CALLS = 1000;

  test('case 80: has all of them marked before any Lua runs, and others are served meanwhile', async (t) => {
    const gateway = await start('cases.lua', ['--access-log', 'off', '--calls-per-connection', String(CALLS)]);
    t.after(() => gateway.stop());
    const [raw, other] = [await upgrade(t, gateway), await connect(t, gateway)];
    for (let id = 0; id < CALLS; id++) raw.send(frame(request('wait', [], id)));
    assert.ok(await until(async () => (await other.call('waiting')).result === CALLS, 10_000), 'all calls run');
    raw.reset();
    assert.equal((await other.call('add', { a: 1, b: 1 })).result, 2);
    await gateway.log(/all are gone$/);
    const [, seen] = await gateway.log(/ (\d+) cancelled when the first was woken$/);
    assert.equal(Number(seen), CALLS);
  });

  // The best of several tries, for others use the machine too. A turn of 64 of them would take 64 ms.
  test('case 80: holds up a call of another connection for no more than a few turns', { skip }, async (t) => {
    const TRIES = 8, COMPUTE = 0.001, MS = 30;
    const gateway = await start('cases.lua', ['--access-log', 'off', '--calls-per-connection', String(CALLS)]);
    t.after(() => gateway.stop());
    const other = await connect(t, gateway);
    const waiting = async (n) => (await other.call('waiting')).result === n;
    let best = Infinity, most = MS;
    for (let i = 0; i < TRIES && best > most; i++) {
      const raw = await upgrade(t, gateway);
      for (let id = 0; id < CALLS; id++) raw.send(frame(request('hold', { compute: COMPUTE }, id)));
      assert.ok(await until(() => waiting(CALLS), 10_000), 'all calls run');
      const stop = await watch(upgradeText(gateway), frame(request('add', { a: 1, b: 2 }, 1)), gateway.port);
      const stretched = stretch(gateway);
      raw.reset();
      assert.ok(await until(() => waiting(0), 20_000), 'all calls end');
      best = Math.min(best, (await stop()).max);
      most = MS * stretched();
    }
    t.diagnostic(`${best.toFixed(1)} ms, at most ${most.toFixed(1)}`);
    assert.ok(best <= most, `${best} ms`);
  });
});
