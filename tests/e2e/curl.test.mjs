// curl, as one would type it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { finish, start } from './lib/gateway.mjs';
import { request } from './lib/rpc.mjs';

const gateway = await start('app.lua', ['--body-bytes', '2MiB']);
after(() => gateway.stop());

// Runs curl; resolves to {status, text, headers} of the last response, and all heads it got.
async function curl(...args) {
  const result = await finish(spawn('curl', ['-sS', '-i', '--max-time', '10', ...args]));
  assert.equal(result.code, 0, result.stderr);
  const parts = result.stdout.split('\r\n\r\n');
  const heads = [];
  while (parts[0]?.startsWith('HTTP/')) heads.push(parts.shift());
  const head = heads.at(-1);
  return { status: Number(head.split(' ')[1]), head, heads, text: parts.join('\r\n\r\n') };
}

const json = (...args) => curl('--json', JSON.stringify(request('add', { a: 2, b: 40 })), ...args);

// A call of echo whose body has about 'bytes' bytes, in a file for curl; removed after the test.
async function bigCall(t, bytes) {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-e2e-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'body.json');
  await writeFile(file, JSON.stringify(request('echo', ['x'.repeat(bytes)])));
  return file;
}

test('--json calls a procedure', async () => {
  const answer = await json(gateway.rpcUrl);
  assert.equal(answer.status, 200);
  assert.match(answer.head, /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r?$/im);
  assert.equal(JSON.parse(answer.text).result, 42);
});

test('an error comes with its code and name', async () => {
  const { status, text } = await curl('--json', JSON.stringify(request('not_found')), gateway.rpcUrl);
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text).error, {
    code: -32005, message: 'no such user', data: { code: 'not_found', user: 7 },
  });
});

test('a notification is answered with 204', async () => {
  const note = { jsonrpc: '2.0', method: 'note', params: { label: 'curl' } };
  const { status, text } = await curl('--json', JSON.stringify(note), gateway.rpcUrl);
  assert.deepEqual([status, text], [204, '']);
  await gateway.log(/noted curl true/);
});

test('a batch is answered with a batch', async () => {
  const batch = [request('add', { a: 1, b: 1 }, 'one'), request('nowhere', {}, 'two')];
  const replies = JSON.parse((await curl('--json', JSON.stringify(batch), gateway.rpcUrl)).text);
  assert.equal(replies.find((r) => r.id === 'one').result, 2);
  assert.equal(replies.find((r) => r.id === 'two').error.code, -32601);
});

test('a hundred transfers at once', async () => {
  const transfers = Array.from({ length: 100 }, (_, i) =>
    [i > 0 ? ['--next'] : [], '-sS', '--json', JSON.stringify(request('add', { a: i, b: 0 }, i)), gateway.rpcUrl]);
  const { code, stdout, stderr } = await finish(
    spawn('curl', ['--parallel', '--parallel-immediate', '--parallel-max', '100', ...transfers.flat(2)]));
  assert.equal(code, 0, stderr);
  const replies = stdout.replaceAll('}{', '}\n{').split('\n').map((line) => JSON.parse(line));
  assert.equal(replies.length, 100);
  for (const { id, result } of replies) assert.equal(result, id);
});

test('Ctrl-C on curl cancels the call in the script', async () => {
  const child = spawn('curl', ['-sS', '--json', JSON.stringify(request('slow', { label: 'ctrl-c' })), gateway.rpcUrl]);
  const end = finish(child);
  await gateway.log(/started ctrl-c/);
  child.kill('SIGINT');
  await end;
  await gateway.log(/on_cancel ctrl-c disconnect/);
  await gateway.log(/closed ctrl-c/);
});

test('--max-time gives up, which cancels the call in the script', async () => {
  const body = JSON.stringify(request('slow', { label: 'max-time' }));
  const { code } = await finish(spawn('curl', ['-sS', '--max-time', '0.3', '--json', body, gateway.rpcUrl]));
  assert.equal(code, 28);
  await gateway.log(/on_cancel max-time disconnect/);
});

test('the host may be called localhost', async () => {
  assert.equal((await json(`http://localhost:${gateway.port}/rpc`)).status, 200);
});

test('a host that is no loopback name is refused', async () => {
  assert.equal((await json('-H', 'Host: rebound.example', gateway.rpcUrl)).status, 403);
});

test('--http1.0 is answered and closed', async () => {
  const answer = await json('--http1.0', gateway.rpcUrl);
  assert.equal(answer.status, 200);
  assert.match(answer.head, /^HTTP\/1\.[01] 200/);
  assert.equal(JSON.parse(answer.text).result, 42);
});

test('HEAD is answered without a body', async () => {
  const answer = await curl('--head', `${gateway.url}/rpc/version`);
  assert.equal(answer.status, 200);
  assert.equal(answer.text, '');
});

test('OPTIONS says what is allowed', async () => {
  const answer = await curl('-X', 'OPTIONS', gateway.rpcUrl);
  assert.ok([200, 204].includes(answer.status));
  assert.match(answer.head, /^Allow: .*\bPOST\b/im);
});

for (const method of ['PUT', 'DELETE', 'GET']) {
  test(`${method} on /rpc is 405 and says what is allowed`, async () => {
    const answer = await curl('-X', method, gateway.rpcUrl);
    assert.equal(answer.status, 405);
    assert.match(answer.head, /^Allow: .*\bPOST\b/im);
  });
}

test('an unknown path is 404', async () => {
  assert.equal((await curl(`${gateway.url}/nowhere`)).status, 404);
  assert.equal((await curl(`${gateway.rpcUrl}/nowhere`)).status, 404);
});

test('a form is 415, and the body says what to send', async () => {
  const answer = await curl('-d', '{"jsonrpc":"2.0"}', gateway.rpcUrl);
  assert.equal(answer.status, 415);
  assert.match(answer.text, /curl --json/);
});

test('a body above the limit is 413', async (t) => {
  const file = await bigCall(t, 3 << 20);
  assert.equal((await curl('--json', `@${file}`, '-H', 'Expect:', gateway.rpcUrl)).status, 413);
});

test('a body above the limit is 413 before it is sent, when curl asks first', async (t) => {
  const file = await bigCall(t, 3 << 20);
  const answer = await curl('--json', `@${file}`, '-H', 'Expect: 100-continue', '--expect100-timeout', '9',
    gateway.rpcUrl);
  assert.equal(answer.status, 413);
  assert.equal(answer.heads.length, 1, 'no 100 Continue');
});

test('Expect: 100-continue: a megabyte goes after the 100', async (t) => {
  const file = await bigCall(t, 1 << 20);
  const answer = await curl('--json', `@${file}`, '-H', 'Expect: 100-continue', '--expect100-timeout', '9',
    gateway.rpcUrl);
  assert.match(answer.heads[0], /^HTTP\/1\.1 100 /);
  assert.equal(answer.status, 200);
  assert.equal(JSON.parse(answer.text).result[0].length, 1 << 20);
});

test('a chunked upload is put together', async (t) => {
  const file = await bigCall(t, 300_000);
  const answer = await curl('--json', `@${file}`, '-H', 'Transfer-Encoding: chunked', gateway.rpcUrl);
  assert.equal(JSON.parse(answer.text).result[0].length, 300_000);
});

test('GET calls a read-only procedure and gets its bare result', async () => {
  const answer = await curl(`${gateway.url}/rpc/version`);
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), { version: 1, params: {} });
});

test('GET takes its params from the query', async () => {
  const plain = await curl('-G', '--data-urlencode', 'message={"a":[1,"ü"]}', '-d', 'encoding=json',
    `${gateway.url}/rpc/version`);
  assert.deepEqual(JSON.parse(plain.text).params, { a: [1, 'ü'] });
  const coded = Buffer.from('{"a":1}').toString('base64url');
  const base64 = await curl(`${gateway.url}/rpc/version?connect=v1&encoding=json&base64=1&message=${coded}`);
  assert.deepEqual(JSON.parse(base64.text).params, { a: 1 });
});

test('slashes and dots name the same path of tables', async () => {
  for (const path of ['deep/name', 'deep.name']) {
    assert.equal((await curl(`${gateway.url}/rpc/${path}`)).text, '"deep"');
  }
});

test('GET on a procedure that is not read-only is 405', async () => {
  const answer = await curl(`${gateway.url}/rpc/add`);
  assert.equal(answer.status, 405);
  assert.match(answer.head, /^Allow: /im);
});

test('two requests use one connection', async () => {
  const args = ['-sS', '-o', '/dev/null', '-w', '%{num_connects} '];
  const { stdout } = await finish(spawn('curl', [
    ...args, `${gateway.url}/rpc/version`, '--next', ...args, `${gateway.url}/rpc/version`,
  ]));
  assert.equal(stdout.trim(), '1 0');
});
