// JSON-RPC 2.0 over HTTP, byte for byte where it matters.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { call, post, request } from './lib/rpc.mjs';

const gateway = await start('app.lua', ['--access-log', 'all']);
after(() => gateway.stop());

const send = (value) => post(gateway, JSON.stringify(value));
const errorOf = async (method, params) => (await call(gateway, method, params)).error;

test('a call is answered with 200 and application/json', async () => {
  const answer = await send(request('add', { a: 2, b: 40 }));
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /^application\/json\b/);
  assert.deepEqual(JSON.parse(answer.text), { jsonrpc: '2.0', id: 1, result: 42 });
});

test('positional params come as an array, absent ones as an empty table', async () => {
  assert.equal((await call(gateway, 'subtract', [42, 2])).result, 40);
  assert.deepEqual((await call(gateway, 'echo')).result, {});
});

test('the script sees the call as it came', async () => {
  const { result } = await call(gateway, 'about', {}, { headers: { 'user-agent': 'e2e' } });
  assert.match(result.peer, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual({ ...result, peer: '' }, {
    procedure: 'about', request_id: 1, protocol: 'jsonrpc', peer: '', agent: 'e2e', notification: false,
  });
});

for (const id of ['"a\\u00e9\\n"', '123456789012345678901234567890', '1.50', '-0', '1e2', 'null', '""']) {
  test(`the id ${id} is echoed exactly as sent`, async () => {
    const { text } = await post(gateway, `{"jsonrpc":"2.0","id":${id},"method":"add","params":{"a":1,"b":1}}`);
    assert.ok(text.includes(`"id":${id}`), text);
  });
}

for (const number of ['9007199254740993', '-9223372036854775808', '0.1', '1e+300', '[]', '{}', '[1,null,3]']) {
  test(`${number} comes back as it went`, async () => {
    const { text } = await post(gateway, `{"jsonrpc":"2.0","id":1,"method":"echo","params":[${number}]}`);
    assert.ok(text.includes(`"result":[${number}]`), text);
  });
}

test('text passes through a script as UTF-8', async () => {
  assert.equal((await call(gateway, 'uppercase', ['grüße'])).result, 'GRüßE');
});

test('an unknown procedure is unimplemented', async () => {
  const error = await errorOf('nowhere');
  assert.equal(error.code, -32601);
  assert.equal(error.data.code, 'unimplemented');
});

for (const method of ['fail', 'fail_with_table']) {
  test(`${method}: a script error is internal and tells the client nothing`, async () => {
    const { text } = await send(request(method));
    const { error } = JSON.parse(text);
    assert.equal(error.code, -32603);
    assert.equal(error.data.code, 'internal');
    assert.doesNotMatch(text, /secret|detail|\.lua|traceback/);
  });
}

test('a script error is logged with file, line and traceback', async () => {
  await send(request('fail'));
  await gateway.log(/app\.lua:\d+: secret detail/);
  await gateway.log(/traceback/);
  await gateway.log(/ call .*procedure=fail outcome=internal /);
});

test('a typed error reaches the client whole', async () => {
  assert.deepEqual(await errorOf('not_found'), {
    code: -32005, message: 'no such user', data: { code: 'not_found', user: 7 },
  });
});

test("a script's own integer code is sent as it is", async () => {
  const error = await errorOf('own_code');
  assert.equal(error.code, 42);
  assert.equal(error.message, 'own code');
});

test('a notification runs, and is answered with 204 and nothing', async () => {
  const answer = await send({ jsonrpc: '2.0', method: 'note', params: { label: 'one' } });
  assert.equal(answer.status, 204);
  assert.equal(answer.text, '');
  await gateway.log(/noted one true/);
});

test('a batch is answered item by item, and an invalid item spoils no other', async () => {
  const answer = await send([
    request('add', { a: 1, b: 2 }, 'x'), { jsonrpc: '2.0', method: 'note', params: { label: 'two' } },
    7, request('nowhere', {}, 'y'), { jsonrpc: '1.0', id: 3, method: 'add' },
  ]);
  assert.equal(answer.status, 200);
  const replies = JSON.parse(answer.text);
  assert.equal(replies.length, 4);
  assert.equal(replies.find((r) => r.id === 'x').result, 3);
  assert.equal(replies.find((r) => r.id === 'y').error.code, -32601);
  assert.equal(replies.filter((r) => r.error?.code === -32600).length, 2);
  await gateway.log(/noted two true/);
});

test('the calls of a batch run at the same time', async () => {
  const calls = Array.from({ length: 50 }, (_, id) => request('slow', { seconds: 0.1, label: 'batch' }, id));
  const before = performance.now();
  const replies = JSON.parse((await send(calls)).text);
  assert.deepEqual(replies.map((r) => r.result), Array(50).fill('done!'));
  assert.ok(performance.now() - before < 2500, 'one after the other it would take 5 s');
});

test('a batch of notifications is answered with 204', async () => {
  const note = { jsonrpc: '2.0', method: 'note', params: { label: 'three' } };
  const answer = await send([note, note]);
  assert.equal(answer.status, 204);
  assert.equal(answer.text, '');
});

test('two live calls with one id: the second is refused without settling the first', async () => {
  const twin = request('slow', { seconds: 0.01, label: 'twin' }, 'same');
  const replies = JSON.parse((await send([twin, twin])).text);
  assert.equal(replies.find((r) => r.id === 'same').result, 'done!');
  const refused = replies.find((r) => r.id === null).error;
  assert.equal(refused.code, -32600);
  assert.equal(refused.data.id, 'same');
});

const INVALID = [
  ['an empty batch', '[]', -32600],
  ['a bare number', '1', -32600],
  ['a missing method', '{"jsonrpc":"2.0","id":1}', -32600],
  ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":1}', -32600],
  ['params that are a string', '{"jsonrpc":"2.0","id":1,"method":"add","params":"a"}', -32600],
  ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"add"}', -32600],
  ['a missing version', '{"id":1,"method":"add"}', -32600],
  ['text that is not JSON', '{"jsonrpc":"2.0","id":1,', -32700],
  ['an empty body', '', -32700],
  ['JSON that breaks inside params', '{"jsonrpc":"2.0","id":1,"method":"add","params":[1,]}', -32700],
  ['invalid UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"a\xff"}', 'latin1'), -32700],
  ['a batch that breaks at its end', '[{"jsonrpc":"2.0","id":1,"method":"add"}', -32700],
];
for (const [what, body, code] of INVALID) {
  test(`${what} is ${code}, over 200`, async () => {
    const answer = await post(gateway, body);
    assert.equal(answer.status, 200);
    const reply = JSON.parse(answer.text);
    assert.equal(reply.error.code, code, answer.text);
    assert.equal(reply.jsonrpc, '2.0');
  });
}

test('nesting a million deep is refused, in a body and in params, and the gateway lives', async () => {
  const deep = '['.repeat(1e6) + ']'.repeat(1e6);
  for (const text of [deep, `{"jsonrpc":"2.0","id":1,"method":"echo","params":${deep}}`]) {
    const answer = await post(gateway, text);
    assert.ok(answer.status === 413 || JSON.parse(answer.text).error, answer.text);
  }
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
});

test('a hundred calls at the same time are each answered with their own result', async () => {
  const calls = Array.from({ length: 100 }, (_, i) => call(gateway, 'add', { a: i, b: 1000 }));
  assert.deepEqual((await Promise.all(calls)).map((r) => r.result), Array.from({ length: 100 }, (_, i) => i + 1000));
});

test('the access log names procedure, outcome, time, bytes and peer', async () => {
  await send(request('add', { a: 1, b: 1 }));
  await gateway.log(
    /INFO +call id=\S+ procedure=add outcome=ok ms=[\d.]+ in=\d+ out=\d+ peer=127\.0\.0\.1:\d+ protocol=jsonrpc/);
});
