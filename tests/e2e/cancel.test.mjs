// A lost connection ends its call inside the script.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';

describe('by default', async () => {
  const gateway = await start('app.lua');
  after(() => gateway.stop());

  // Opens a connection with a call of 'method' in flight.
  async function inFlight(t, method, label, params) {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, request(method, { label, ...params })));
    await gateway.log(new RegExp(`started ${label}$`));
    return raw;
  }

  const outcome = (method) =>
    gateway.log(new RegExp(` call .*procedure=${method} outcome=canceled reason=disconnect `));

  for (const [how, leave] of [['fin', 'finish'], ['rst', 'reset']]) {
    test(`${how.toUpperCase()} cancels the call: callback, clean-up that waits, access log`, async (t) => {
      const raw = await inFlight(t, 'slow_to_close', how);
      raw[leave]();
      await gateway.log(new RegExp(`on_cancel ${how} disconnect$`));
      await gateway.log(new RegExp(`closed ${how} first$`));
      await gateway.log(new RegExp(`closed ${how} last$`));
      await outcome('slow_to_close');
    });
  }

  test('nothing is sent for a call whose client has gone', async (t) => {
    const raw = (await inFlight(t, 'slow', 'silent')).finish();
    assert.equal(await raw.rest(), '');
  });

  test('requests pipelined behind a cancelled call never run', async (t) => {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, request('slow', { label: 'head of line' })),
      postText(gateway, { jsonrpc: '2.0', method: 'note', params: { label: 'behind' } }));
    await gateway.log(/started head of line/);
    raw.reset();
    await gateway.log(/closed head of line/);
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
    assert.ok(!gateway.lines.some((line) => line.includes('noted behind')));
  });

  test('every call of a batch is cancelled', async (t) => {
    const raw = await open(t, gateway);
    const labels = ['b1', 'b2', 'b3'];
    raw.send(postText(gateway, labels.map((label, id) => request('slow', { label }, id))));
    for (const label of labels) await gateway.log(new RegExp(`started ${label}$`));
    raw.reset();
    for (const label of labels) await gateway.log(new RegExp(`closed ${label}$`));
  });

  test('a notification is cancelled too while its client waits for the 204', async (t) => {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, { jsonrpc: '2.0', method: 'slow', params: { label: 'noted slowly' } }));
    await gateway.log(/started noted slowly/);
    raw.reset();
    await gateway.log(/on_cancel noted slowly disconnect/);
  });

  test('a hundred connections lost at once end a hundred calls', async (t) => {
    const labels = Array.from({ length: 100 }, (_, i) => `crowd${i}`);
    const raws = await Promise.all(labels.map((label) => inFlight(t, 'slow', label)));
    raws.forEach((raw, i) => (i % 2 ? raw.reset() : raw.finish()));
    await Promise.all(labels.map((label) => gateway.log(new RegExp(`closed ${label}$`))));
  });

  test('a call that ended is not cancelled by the close that follows', async (t) => {
    const raw = await inFlight(t, 'slow', 'finished', { seconds: 0.01 });
    assert.equal(JSON.parse((await raw.response()).body).result, 'done!');
    raw.reset();
    assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
    assert.ok(!gateway.lines.some((line) => line.includes('on_cancel finished')));
  });
});

describe('with half_close = "allow"', async () => {
  const gateway = await start('app.lua', ['--half-close', 'allow']);
  after(() => gateway.stop());

  test('a client that only ended its output gets its answer', async (t) => {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, request('slow', { label: 'half', seconds: 0.1 }))).finish();
    assert.equal(JSON.parse((await raw.response()).body).result, 'done!');
    assert.ok(!gateway.lines.some((line) => line.includes('on_cancel half')));
  });

  test('a reset cancels all the same', async (t) => {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, request('slow', { label: 'reset anyway' })));
    await gateway.log(/started reset anyway/);
    raw.reset();
    await gateway.log(/on_cancel reset anyway disconnect/);
  });
});
