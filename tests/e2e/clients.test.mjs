// Clients as people use them: npm's jayson and json-rpc-2.0, and fetch, unmodified.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import jayson from 'jayson';
import { JSONRPCClient, JSONRPCErrorException } from 'json-rpc-2.0';
import { start } from './lib/gateway.mjs';
import { call, request } from './lib/rpc.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());

describe('jayson', () => {
  const client = jayson.Client.http({ host: '127.0.0.1', port: gateway.port, path: '/rpc' });
  const send = promisify(client.request.bind(client));

  test('calls with named and positional params', async () => {
    assert.equal((await send('add', { a: 2, b: 40 })).result, 42);
    assert.equal((await send('subtract', [42, 2])).result, 40);
  });

  test('gets errors as errors', async () => {
    const { error } = await send('not_found', {});
    assert.deepEqual(error, { code: -32005, message: 'no such user', data: { code: 'not_found', user: 7 } });
    assert.equal((await send('nowhere', {})).error.code, -32601);
  });

  test('notifies', async () => {
    await send('note', { label: 'jayson' }, null);
    await gateway.log(/noted jayson true/);
  });

  test('sends a batch', async () => {
    const replies = await send([
      client.request('add', { a: 1, b: 1 }, 'one', false), client.request('nowhere', {}, 'two', false),
    ]);
    assert.equal(replies.find((r) => r.id === 'one').result, 2);
    assert.equal(replies.find((r) => r.id === 'two').error.code, -32601);
  });

  test('makes a hundred calls at once', async () => {
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => send('add', { a: i, b: i })));
    assert.deepEqual(replies.map((r) => r.result), Array.from({ length: 100 }, (_, i) => 2 * i));
  });

  test('that drops its connections cancels its call in the script', async () => {
    const agent = new Agent();
    const dropping = jayson.Client.http({ host: '127.0.0.1', port: gateway.port, path: '/rpc', agent });
    const dropped = promisify(dropping.request.bind(dropping))('slow', { label: 'jayson dropped' });
    await gateway.log(/started jayson dropped/);
    agent.destroy();
    await assert.rejects(dropped);
    await gateway.log(/on_cancel jayson dropped disconnect/);
    await gateway.log(/closed jayson dropped/);
  });
});

describe('json-rpc-2.0', () => {
  // As in the package's own documentation; the client's parameters are how it passes a signal on.
  const client = new JSONRPCClient(async (payload, { signal } = {}) => {
    const response = await fetch(gateway.rpcUrl, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(payload), signal,
    });
    if (response.status === 200) return client.receive(await response.json());
    if (payload.id !== undefined) throw new Error(response.statusText);
  });

  test('calls', async () => {
    assert.equal(await client.request('add', { a: 2, b: 40 }), 42);
  });

  test('throws errors with code and data', async () => {
    await assert.rejects(async () => client.request('not_found', {}), (error) => {
      assert.ok(error instanceof JSONRPCErrorException);
      assert.equal(error.code, -32005);
      assert.deepEqual(error.data, { code: 'not_found', user: 7 });
      return true;
    });
  });

  test('notifies', async () => {
    client.notify('note', { label: 'json-rpc-2.0' });
    await gateway.log(/noted json-rpc-2\.0 true/);
  });

  test('sends a batch', async () => {
    const replies = await client.requestAdvanced([request('add', { a: 1, b: 1 }, 1), request('nowhere', {}, 2)]);
    assert.equal(replies.find((r) => r.id === 1).result, 2);
    assert.equal(replies.find((r) => r.id === 2).error.code, -32601);
  });

  test('makes a hundred calls at once', async () => {
    const sums = await Promise.all(Array.from({ length: 100 }, async (_, i) => client.request('add', { a: i, b: i })));
    assert.deepEqual(sums, Array.from({ length: 100 }, (_, i) => 2 * i));
  });

  test('aborts a call, which the script sees', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = Promise.resolve(client.request('slow', { label: 'json-rpc aborted' }, { signal }));
    await gateway.log(/started json-rpc aborted/);
    controller.abort();
    await assert.rejects(aborted);
    await gateway.log(/on_cancel json-rpc aborted disconnect/);
    await gateway.log(/closed json-rpc aborted/);
  });

  test('times out by itself, which the gateway does not mind', async () => {
    const impatient = client.timeout(20);
    await assert.rejects(async () => impatient.request('slow', { seconds: 0.2, label: 'impatient' }));
    await gateway.log(/closed impatient/);
  });
});

describe('fetch', () => {
  test('an aborted call ends in the script, in its callback and its clean-up', async () => {
    const controller = new AbortController();
    const aborted = fetch(gateway.rpcUrl, {
      method: 'POST', headers: { 'content-type': 'application/json' }, signal: controller.signal,
      body: JSON.stringify(request('slow_to_close', { label: 'aborted' })),
    });
    await gateway.log(/started aborted/);
    controller.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    await gateway.log(/on_cancel aborted disconnect/);
    await gateway.log(/closed aborted first/);
    await gateway.log(/closed aborted last/);
    await gateway.log(/ call .*procedure=slow_to_close outcome=canceled reason=disconnect /);
  });

  test('a hundred calls are aborted at once', async () => {
    const controller = new AbortController();
    const labels = Array.from({ length: 100 }, (_, i) => `fetch${i}`);
    const aborted = labels.map((label) => call(gateway, 'slow', { label }, { signal: controller.signal }));
    await Promise.all(labels.map((label) => gateway.log(new RegExp(`started ${label}$`))));
    controller.abort();
    for (const { status } of await Promise.allSettled(aborted)) assert.equal(status, 'rejected');
    await Promise.all(labels.map((label) => gateway.log(new RegExp(`closed ${label}$`))));
  });
});
