// Deadlines: who sets them, which of them counts, and how a call ends by one.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { call, post, request } from './lib/rpc.mjs';

const gateway = await start('app.lua', ['--call-timeout', '20s', '--max-call-timeout', '40s']);
after(() => gateway.stop());

const timed = (header, method = 'remaining', params = {}) =>
  post(gateway, JSON.stringify(request(method, params)), { headers: { 'connect-timeout-ms': header } });

const assertExpired = (reply) => {
  assert.equal(reply.error.code, -32004);
  assert.equal(reply.error.data.code, 'deadline_exceeded');
};

test("the procedure's own deadline ends it: error, callback, clean-up, access log", async () => {
  assertExpired(await call(gateway, 'timed', { label: 'own' }));
  await gateway.log(/on_cancel own timeout/);
  await gateway.log(/closed own/);
  await gateway.log(/ call .*procedure=timed outcome=deadline_exceeded /);
});

test("the client's header ends it", async () => {
  assertExpired(JSON.parse((await timed('50', 'slow', { label: 'header' })).text));
  await gateway.log(/on_cancel header timeout/);
});

test("the client's _meta ends it, and the script does not see it", async () => {
  assertExpired(await call(gateway, 'slow', { label: 'meta', _meta: { timeout_ms: 50 } }));
  await gateway.log(/on_cancel meta timeout/);
  assert.deepEqual((await call(gateway, 'echo', { a: 1, _meta: { timeout_ms: 5000 } })).result, { a: 1 });
});

test('_meta may stand beside array params', async () => {
  const text = JSON.stringify({ ...request('remaining', []), _meta: { timeout_ms: 3000 } });
  const { result } = JSON.parse((await post(gateway, text)).text);
  assert.ok(result > 1 && result <= 3, String(result));
});

test('0 has already expired: the body never runs', async () => {
  assertExpired(JSON.parse((await timed('0', 'slow', { label: 'never' })).text));
  assertExpired(await call(gateway, 'slow', { label: 'never', _meta: { timeout_ms: 0 } }));
  assert.ok(!gateway.lines.some((line) => line.includes('started never')));
});

test('without any, the default counts', async () => {
  const { result } = await call(gateway, 'remaining');
  assert.ok(result > 10 && result <= 20, String(result));
});

test('the largest allowed counts where the client asks for more', async () => {
  const { result } = JSON.parse((await timed('9999999999')).text);
  assert.ok(result > 30 && result <= 40, String(result));
});

test('the smaller of the header and _meta counts', async () => {
  const { result } = JSON.parse((await timed('4000', 'remaining', { _meta: { timeout_ms: 9000 } })).text);
  assert.ok(result > 2 && result <= 4, String(result));
});

test('Grpc-Timeout is understood', async () => {
  const { text } = await post(gateway, JSON.stringify(request('remaining')), { headers: { 'grpc-timeout': '3S' } });
  const { result } = JSON.parse(text);
  assert.ok(result > 1 && result <= 3, String(result));
});

for (const header of ['12345678901', '-1', 'NaN', '1.5', '1e3', '']) {
  test(`a Connect-Timeout-Ms of '${header}' is 400`, async () => {
    assert.equal((await timed(header)).status, 400);
  });
}

for (const value of ['-1', '"1000"', '1.5', '{}', '12345678901']) {
  test(`a _meta.timeout_ms of ${value} is an invalid argument`, async () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"_meta":{"timeout_ms":${value}}}}`;
    const { error } = JSON.parse((await post(gateway, text)).text);
    assert.equal(error.code, -32602);
    assert.equal(error.data.code, 'invalid_argument');
  });
}
