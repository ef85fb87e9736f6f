// Several workers: connections are shared out, limits and the end are one for all.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { request } from './lib/rpc.mjs';

const WORKERS = 4;

async function serve(t, flags = [], workers = WORKERS) {
  const gateway = await start('workers.lua', ['--workers', String(workers), ...flags]);
  t.after(() => gateway.signal('SIGKILL'));
  return gateway;
}

// Calls on this connection; resolves to the JSON-RPC response object.
async function ask(gateway, raw, method = 'where', params = {}) {
  return JSON.parse((await raw.send(postText(gateway, request(method, params))).response()).body);
}

// Opens connections one after the other: [{raw, worker, id}].
async function connections(t, gateway, count) {
  const list = [];
  while (list.length < count) {
    const raw = await open(t, gateway);
    list.push({ raw, ...(await ask(gateway, raw)).result });
  }
  return list;
}

// How many there are of each worker.
function tally(list) {
  const counts = new Map();
  for (const { worker } of list) counts.set(worker, (counts.get(worker) ?? 0) + 1);
  return counts;
}

// A connection to each worker.
async function oneEach(t, gateway, count = WORKERS) {
  const list = await connections(t, gateway, count);
  assert.equal(tally(list).size, count);
  return list;
}

test('connections are spread evenly, and go where the fewest are', async (t) => {
  const gateway = await serve(t);
  const list = await connections(t, gateway, 3 * WORKERS);
  assert.deepEqual([...tally(list).values()], Array(WORKERS).fill(3));

  const { worker } = list[0];
  for (const one of list) if (one.worker === worker) one.raw.reset();
  for (;;) { // until the gateway has seen them go
    const [{ worker: next, raw }] = await connections(t, gateway, 1);
    if (next === worker) break;
    raw.destroy();
  }
  const more = await connections(t, gateway, 2);
  assert.deepEqual([...tally(more).keys()], [worker]);
  await gateway.stop();
});

test('the log says how many workers listen, if there are several', async (t) => {
  const [several, one] = [await serve(t), await serve(t, [], 1)];
  await several.log(/ listening address=\S+ procedures=5 workers=4$/);
  await one.log(/ listening address=\S+ procedures=5$/);
  await Promise.all([several.stop(), one.stop()]);
});

test('--workers auto serves', async (t) => {
  const gateway = await serve(t, [], 'auto');
  await connections(t, gateway, 1);
  await gateway.stop();
});

test('a worker that computes delays nobody on another', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-e2e-'));
  t.after(() => rm(folder, { recursive: true }));
  const gateway = await serve(t, [], 2);
  const [busy, free] = await oneEach(t, gateway, 2);
  const path = join(folder, 'enough');
  const computed = ask(gateway, busy.raw, 'compute', { path });
  await gateway.log(/ computing$/);
  for (let i = 0; i < 20; i++) {
    assert.equal((await ask(gateway, free.raw)).result.worker, free.worker);
  }
  await writeFile(path, '');
  assert.equal((await computed).result, busy.worker);
  await gateway.stop();
});

test('what a script shares is one for all workers, and no change is lost', async (t) => {
  const gateway = await serve(t);
  const list = await oneEach(t, gateway);
  const sums = await Promise.all(list.map(({ raw }) => ask(gateway, raw, 'count', { times: 1000 })));
  assert.equal(Math.max(...sums.map(({ result }) => result)), 1000 * WORKERS);
  const lengths = await Promise.all(list.map(({ raw }) => ask(gateway, raw, 'append', { times: 50 })));
  assert.equal(Math.max(...lengths.map(({ result }) => result)), 50 * WORKERS);
});

test('ids of calls are unique over all workers', async (t) => {
  const gateway = await serve(t);
  const list = await oneEach(t, gateway);
  const ids = list.map(({ id }) => id);
  for (let i = 0; i < 25; i++) {
    for (const { raw } of list) ids.push((await ask(gateway, raw)).result.id);
  }
  assert.equal(new Set(ids).size, 26 * WORKERS);
  await gateway.stop();
});

test('max_connections holds over all workers', async (t) => {
  const gateway = await serve(t, ['--max-connections', '6']);
  await connections(t, gateway, 6);
  const seventh = await open(t, gateway);
  const { status, body } = await seventh.response();
  assert.equal(status, 503);
  assert.match(body, /max_connections/);
  await gateway.stop();
});

test('max_calls holds over all workers', async (t) => {
  const gateway = await serve(t, ['--max-calls', '3']);
  const list = await oneEach(t, gateway);
  for (const [i, { raw }] of list.slice(1).entries()) {
    raw.send(postText(gateway, request('hold', { label: `c${i}` })));
    await gateway.log(new RegExp(` holding c${i}$`));
  }
  assert.match((await ask(gateway, list[0].raw)).error.message, /max_calls/);
  list[1].raw.reset();
  await gateway.log(/ cancelled c0 disconnect$/);
  let answer;
  do answer = await ask(gateway, list[0].raw); while (answer.error !== undefined);
  assert.equal(answer.result.worker, list[0].worker);
  for (const { raw } of list) raw.destroy();
  await gateway.stop();
});

// A call that holds on each worker: their replies.
async function holding(t, gateway, seconds) {
  const list = await oneEach(t, gateway);
  const replies = list.map(({ raw }, i) => ask(gateway, raw, 'hold', { label: `h${i}`, seconds }));
  for (const i of list.keys()) await gateway.log(new RegExp(` holding h${i}$`));
  return replies;
}

test('SIGTERM lets the calls of every worker finish', async (t) => {
  const gateway = await serve(t);
  const replies = await holding(t, gateway, 0.3);
  gateway.signal('SIGTERM');
  const workers = (await Promise.all(replies)).map(({ result }) => result);
  assert.equal(new Set(workers).size, WORKERS);
  assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
});

test('a second SIGINT abandons the calls of every worker, with 5', async (t) => {
  const gateway = await serve(t);
  const replies = await holding(t, gateway);
  gateway.signal('SIGINT');
  await gateway.log(/ draining /);
  gateway.signal('SIGINT');
  for (const reply of replies) assert.equal((await reply).error.data.code, 'unavailable');
  await gateway.log(/ stopped abandoned=4$/);
  assert.deepEqual(await gateway.exited(), { code: 5, signal: null });
});

test('a script that does not load is said once, with 1', async (t) => {
  await assert.rejects(start('broken.lua', ['--workers', '4']), (error) => {
    assert.equal(error.message.split('broken.lua:').length, 2, error.message);
    return true;
  });
});
