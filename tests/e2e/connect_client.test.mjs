// The stock client of Connect, unmodified: npm's @connectrpc/connect and @connectrpc/connect-node.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { client, dataOf } from './lib/connect.mjs';
import { start } from './lib/gateway.mjs';

const gateway = await start('connect.lua');
const eliza = client(gateway);
after(() => gateway.stop());

// The ConnectError that a call fails with.
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'the call did not fail' });
}
const coded = (error) => Code[error.code];

async function all(stream, items = []) {
  for await (const { count } of stream) items.push(count);
  return items;
}

describe('unary', () => {
  test('calls', async () => {
    assert.equal((await eliza.say({ sentence: 'hi' })).sentence, 'You said: hi');
  });

  test('calls with GET what has no side effects', async () => {
    assert.equal((await client(gateway, { useHttpGet: true }).look({ sentence: 'a + b & ü?' })).sentence, 'a + b & ü? by GET');
    assert.equal((await eliza.look({ sentence: 'x' })).sentence, 'x by application/json');
  });

  test('gets an empty message where the script returns nothing', async () => {
    assert.equal((await eliza.nothing({})).$typeName, 'google.protobuf.Empty');
  });

  test('gets every code as it is', async () => {
    for (const name of Object.keys(Code).filter((key) => isNaN(key))) {
      const code = name.replace(/(?<!^)[A-Z]/g, '_$&').toLowerCase();
      const error = await failure(eliza.fail({ sentence: code }));
      assert.deepEqual([coded(error), error.rawMessage], [name, 'as you asked'], code);
    }
  });

  test('gets typed details', async () => {
    const error = await failure(eliza.fail({ sentence: 'not_found' }));
    assert.deepEqual(dataOf(error), [{ user: 7, tags: ['a', 'ü'], ratio: 0.5, ok: true }]);
  });

  test('is told that a procedure is unknown', async () => {
    assert.equal(coded(await failure(eliza.unknown({}))), 'Unimplemented');
  });

  test('is told of a header that is malformed', async () => {
    const error = await failure(eliza.say({}, { headers: { 'connect-timeout-ms': 'x' } }));
    assert.equal(coded(error), 'InvalidArgument');
  });

  test('has a timeout, which the script sees', async () => {
    const error = await failure(eliza.wait({ sentence: 'late' }, { timeoutMs: 50 }));
    assert.equal(coded(error), 'DeadlineExceeded');
    await gateway.log(/on_cancel late (timeout|disconnect)/);
    await gateway.log(/closed late/);
  });

  test('is aborted, which the script sees', async () => {
    const controller = new AbortController();
    const waiting = failure(eliza.wait({ sentence: 'aborted' }, { signal: controller.signal }));
    await gateway.log(/started aborted/);
    controller.abort();
    assert.equal(coded(await waiting), 'Canceled');
    await gateway.log(/on_cancel aborted disconnect/);
    await gateway.log(/closed aborted/);
  });

  test('makes a hundred calls at once', async () => {
    const said = await Promise.all(Array.from({ length: 100 }, (_, i) => eliza.say({ sentence: `${i}` })));
    assert.deepEqual(said.map(({ sentence }) => sentence), Array.from({ length: 100 }, (_, i) => `You said: ${i}`));
  });

  test('is told of what is too large, and makes a code of a status without an error object', async (t) => {
    const small = await start('connect.lua', ['--body-bytes', '100', '--head-bytes', '1KiB']);
    t.after(() => small.stop());
    assert.equal(coded(await failure(client(small).say({ sentence: 'x'.repeat(200) }))), 'ResourceExhausted');
    assert.equal(coded(await failure(client(small).say({}, { headers: { 'x-large': 'x'.repeat(1024) } }))), 'Unknown');
    const forbidden = failure(client(small).say({}, { headers: { origin: 'https://page.example' } }));
    assert.equal(coded(await forbidden), 'PermissionDenied');
  });
});

describe('server streaming', () => {
  test('gets the items in order, and the end', async () => {
    assert.deepEqual(await all(eliza.count({ sentence: 'three', count: 3 })), [1, 2, 3]);
    assert.deepEqual(await all(eliza.count({ sentence: 'none', count: -1 })), []);
    const many = await all(eliza.count({ sentence: 'many', count: 5000 }));
    assert.deepEqual(many, Array.from({ length: 5000 }, (_, i) => i + 1));
  });

  test('gets an error behind some items, with its details', async () => {
    const items = [];
    const error = await failure(all(eliza.count({ sentence: 'fails', count: 2 }), items));
    assert.deepEqual(items, [1, 2]);
    assert.deepEqual([coded(error), error.rawMessage, dataOf(error)], ['DataLoss', 'the rest is lost', [{ at: 2 }]]);
  });

  test('is told that a procedure is unknown', async () => {
    assert.equal(coded(await failure(all(eliza.unknownStream({})))), 'Unimplemented');
  });

  test('has a timeout in mid-stream, which the script sees', async () => {
    const items = [];
    const error = await failure(all(eliza.endless({ sentence: 'late stream' }, { timeoutMs: 1000 }), items));
    assert.equal(coded(error), 'DeadlineExceeded');
    assert.ok(items.length > 0);
    await gateway.log(/on_cancel late stream (timeout|disconnect)/);
    await gateway.log(/closed late stream/);
  });

  test('is aborted in mid-stream, which the script sees', async () => {
    const controller = new AbortController();
    const error = await failure((async () => {
      for await (const { count } of eliza.endless({ sentence: 'aborted stream' }, { signal: controller.signal })) {
        if (count === 3) controller.abort();
      }
    })());
    assert.equal(coded(error), 'Canceled');
    await gateway.log(/on_cancel aborted stream disconnect/);
    await gateway.log(/closed aborted stream/);
  });

  test('that is cut is no end: the client tells', async () => {
    const dying = await start('connect.lua');
    const items = [];
    const cut = failure((async () => {
      for await (const { count } of client(dying).endless({ sentence: 'cut' })) {
        items.push(count);
        if (count === 2) dying.signal('SIGKILL');
      }
    })());
    assert.notEqual(coded(await cut), 'Canceled');
    assert.ok(items.length >= 2);
    await dying.exited();
  });
});
