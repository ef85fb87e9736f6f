// Limits: what is refused, how, and that the gateway goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start, within } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, post, request } from './lib/rpc.mjs';

// Starts a gateway that is stopped, and looked over, when the test ends.
async function serve(t, flags) {
  const gateway = await start('app.lua', flags);
  t.after(() => gateway.stop());
  return gateway;
}

const add = (gateway, id) => postText(gateway, request('add', { a: id, b: 0 }, id));

test('max_connections: one more is answered with 503 and closed', async (t) => {
  const gateway = await serve(t, ['--max-connections', '2']);
  const first = await open(t, gateway);
  assert.equal((await first.send(add(gateway, 1)).response()).status, 200);
  const second = await open(t, gateway);
  assert.equal((await second.send(add(gateway, 2)).response()).status, 200);
  const third = await open(t, gateway);
  assert.equal((await third.response()).status, 503);
  await third.rest();
  assert.equal((await first.send(add(gateway, 3)).response()).status, 200);
});

test('requests_per_connection: the last reply says close, and nothing behind it is read', async (t) => {
  const gateway = await serve(t, ['--requests-per-connection', '2']);
  const raw = (await open(t, gateway)).send(add(gateway, 1), add(gateway, 2), add(gateway, 3));
  assert.equal((await raw.response()).headers.get('connection'), undefined);
  assert.equal((await raw.response()).headers.get('connection'), 'close');
  assert.equal(await raw.rest(), '');
});

test('idle_timeout: an idle connection is closed, without a word', async (t) => {
  const gateway = await serve(t, ['--idle-timeout', '50ms']);
  const raw = await open(t, gateway);
  assert.equal((await raw.send(add(gateway, 1)).response()).status, 200);
  assert.equal(await raw.rest(), '');
});

test('max_calls: one more is unavailable, and the slot is free again when the work is gone', async (t) => {
  const gateway = await serve(t, ['--max-calls', '1']);
  const raw = (await open(t, gateway)).send(postText(gateway, request('slow_to_close', { label: 'one' })));
  await gateway.log(/started one/);
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).error.data.code, 'unavailable');
  raw.reset();
  await gateway.log(/closed one last/);
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});

test('batch_items: a longer batch is refused as a whole', async (t) => {
  const gateway = await serve(t, ['--batch-items', '2']);
  const batch = [1, 2, 3].map((id) => request('add', { a: id, b: 0 }, id));
  assert.equal(JSON.parse((await post(gateway, JSON.stringify(batch))).text).error.code, -32600);
  assert.equal(JSON.parse((await post(gateway, JSON.stringify(batch.slice(1)))).text).length, 2);
});

test('json_depth: a million levels are refused as they are read, and the gateway lives', async (t) => {
  const gateway = await serve(t, ['--body-bytes', '8MiB']);
  const open = '['.repeat(1e6);
  for (const deep of [open, open + ']'.repeat(1e6), '{"a":'.repeat(1e6)]) {
    for (const text of [deep, `{"jsonrpc":"2.0","id":1,"method":"echo","params":${deep}}`]) {
      assert.equal(JSON.parse((await post(gateway, text)).text).error.code, -32700);
    }
  }
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});

test('vm_memory: a call that takes too much ends by it, and the gateway lives', async (t) => {
  const gateway = await serve(t, ['--vm-memory', '16MiB']);
  assert.equal((await call(gateway, 'hoard')).error.data.code, 'resource_exhausted');
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});

test('write_timeout: a client that takes none of its answers is closed', async (t) => {
  const gateway = await serve(t, ['--write-timeout', '100ms']);
  const raw = await open(t, gateway);
  raw.socket.pause();
  const big = postText(gateway, request('echo', ['x'.repeat(500_000)]));
  for (let i = 0; i < 40; i++) raw.send(big); // more than the system's buffers hold
  assert.equal(await within(raw.closed, () => 'the connection to be closed'), 'reset');
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});

test('pipelining into a long call is bounded, and the end of the connection is still seen', async (t) => {
  const gateway = await serve(t, ['--pipeline-bytes', '1KiB']);
  const raw = (await open(t, gateway)).send(postText(gateway, request('slow', { label: 'flooded' })));
  await gateway.log(/started flooded/);
  for (let i = 0; i < 2000; i++) raw.send(add(gateway, i));
  raw.reset();
  await gateway.log(/on_cancel flooded disconnect/);
});
