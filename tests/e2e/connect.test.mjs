// Connect unary JSON, sentence by sentence of its protocol reference.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';

const gateway = await start('connect.lua');
after(() => gateway.hangUp().stop());

const SAY = '/rpc/eliza.v1.ElizaService/Say', LOOK = '/rpc/eliza.v1.ElizaService/Look';

// Sends a request and reads {status, type, headers, text, value}.
async function ask(path, { method = 'POST', body, headers = {} } = {}) {
  const response = await fetch(gateway.url + path, {
    method, body, headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const text = await response.text(), type = response.headers.get('content-type');
  const value = type === 'application/json' && text ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, type, text, value };
}
const say = (headers, body = '{"sentence":"hi"}') => ask(SAY, { body, headers });
const look = (query, options) => ask(`${LOOK}?${query}`, { method: 'GET', ...options });

// Requires an error object, and gives its message.
function messageOf({ status, type, value }, expected, code) {
  assert.deepEqual([status, type, value?.code], [expected, 'application/json', code]);
  return value.message;
}

describe('a request', () => {
  test('is a POST of the bare message, answered with the bare message', async () => {
    const { status, type, text } = await say();
    assert.deepEqual([status, type, text], [200, 'application/json', '{"sentence":"You said: hi"}']);
  });

  test('finds a service that is a key with dots; slashes and dots name one path', async () => {
    for (const path of ['eliza.v1.ElizaService.Say', 'eliza/v1/ElizaService/Say', 'eliza%2Ev1%2FElizaService/Say']) {
      assert.equal((await ask(`/rpc/${path}`, { body: '{}' })).text, '{"sentence":"You said: "}');
    }
  });

  test('of another content type is 415, and is told which there is', async () => {
    for (const type of ['application/proto', 'application/connect+proto', 'text/plain', 'application/json; charset=latin1',
      'application/grpc-web+json']) {
      const answer = await say({ 'content-type': type });
      assert.match(messageOf(answer, 415, 'unimplemented'), /application\/json/);
      assert.equal(answer.headers.get('accept-post'), 'application/json, application/connect+json');
    }
    const { status, headers } = await ask('/rpc', { body: 'x', headers: { 'content-type': 'text/plain' } });
    assert.deepEqual([status, headers.get('accept-post')], [415, 'application/json']);
  });

  test('may say charset=utf-8', async () => {
    assert.equal((await say({ 'content-type': 'application/json; charset=UTF-8' })).status, 200);
  });

  test('in an encoding that is not supported is unimplemented, and is told which are', async () => {
    assert.match(messageOf(await say({ 'content-encoding': 'gzip' }), 501, 'unimplemented'), /identity/);
    assert.equal((await say({ 'content-encoding': 'Identity' })).status, 200);
    const { status, headers } = await ask('/rpc', { body: '{}', headers: { 'content-encoding': 'gzip' } });
    assert.deepEqual([status, headers.get('accept-encoding')], [415, 'identity']);
  });

  test('is answered in no encoding, whatever it accepts', async () => {
    assert.equal((await say({ 'accept-encoding': 'gzip, br' })).headers.get('content-encoding'), null);
  });

  test('may leave Connect-Protocol-Version out, but not say anything other than 1', async (t) => {
    assert.equal((await say({ 'connect-protocol-version': '1' })).status, 200);
    assert.match(messageOf(await say({ 'connect-protocol-version': '2' }), 400, 'invalid_argument'), /Connect-Protocol-Version/);
    const raw = await open(t, gateway);
    raw.send(`POST ${SAY} HTTP/1.1\r\nHost: ${gateway.address}\r\nConnect-Protocol-Version:\r\nContent-Length: 0\r\n\r\n`);
    assert.equal((await raw.response()).status, 400);
  });

  test('has a timeout of at most 10 digits; 0 has expired', async () => {
    assert.equal((await say({ 'connect-timeout-ms': '9999999999' })).status, 200);
    for (const value of ['10000000000', '-1', '1.5', '1s']) {
      assert.match(messageOf(await say({ 'connect-timeout-ms': value }), 400, 'invalid_argument'), /Connect-Timeout-Ms/);
    }
    messageOf(await say({ 'connect-timeout-ms': '0' }), 504, 'deadline_exceeded');
  });

  test('by another method is 405, with Allow', async () => {
    const answer = await ask(SAY, { method: 'PUT', body: '{}' });
    assert.match(messageOf(answer, 405, 'unimplemented'), /POST/);
    assert.equal(answer.headers.get('allow'), 'POST, OPTIONS');
    messageOf(await ask(SAY, { method: 'GET' }), 405, 'unimplemented');
    messageOf(await ask('/rpc/%zz', { body: '{}' }), 400, 'invalid_argument');
  });

  test('of a procedure that there is not is unimplemented, 404 by its path', async () => {
    messageOf(await ask('/rpc/eliza.v1.ElizaService/Shout', { body: '{}' }), 404, 'unimplemented');
  });

  test('whose body is too large or too slow is told so in an error object', async (t) => {
    const small = await start('connect.lua', ['--body-bytes', '100', '--body-timeout', '50ms']);
    t.after(() => small.hangUp().stop());
    const send = async (lines, body) => {
      const raw = await open(t, small);
      raw.send(`POST ${SAY} HTTP/1.1\r\nHost: ${small.address}\r\nContent-Type: application/json\r\n${lines}\r\n\r\n${body}`);
      const answer = await raw.response();
      const { code, message } = JSON.parse(answer.body);
      assert.deepEqual([answer.headers.get('content-type'), answer.headers.get('connection')], ['application/json', 'close']);
      return [answer.status, code, message];
    };
    const large = [413, 'resource_exhausted', 'the body is larger than 100 bytes'];
    assert.deepEqual(await send('Content-Length: 101', ''), large);
    assert.deepEqual(await send('Transfer-Encoding: chunked', `65\r\n${'x'.repeat(101)}\r\n`), large);
    assert.deepEqual(await send('Content-Length: 9', '{'), [408, 'deadline_exceeded', 'the body took too long (body_timeout)']);
  });

  test('whose body is no message is an invalid argument', async () => {
    messageOf(await say({}, '{"sentence":'), 400, 'invalid_argument');
    messageOf(await say({}, '"hi"'), 400, 'invalid_argument');
  });
});

describe('a stream', () => {
  const COUNT = '/rpc/eliza.v1.ElizaService/Count', CONNECT = { 'content-type': 'application/connect+json' };
  const enveloped = (text, flags = 0) => {
    const head = Buffer.from([flags, 0, 0, 0, 0]);
    head.writeUInt32BE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  };

  // Resolves to {status, type, frames: [[flags, value]]}.
  async function stream(path, body, headers = CONNECT) {
    const response = await fetch(gateway.url + path, { method: 'POST', body, headers });
    const bytes = Buffer.from(await response.arrayBuffer()), frames = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      frames.push([bytes[at], JSON.parse(bytes.toString('utf8', at + 5, end))]);
      at = end;
    }
    return { status: response.status, type: response.headers.get('content-type'), frames };
  }

  // Requires that the stream is nothing but an error, and gives its message.
  function messageAtEnd({ status, type, frames }, code) {
    assert.deepEqual([status, type, frames.length], [200, 'application/connect+json', 1]);
    assert.deepEqual([frames[0][0], frames[0][1].error.code], [2, code]);
    return frames[0][1].error.message;
  }

  test('is 200 and enveloped messages, the last with flag 2', async () => {
    const { status, type, frames } = await stream(COUNT, enveloped('{"sentence":"x","count":2}'));
    assert.deepEqual([status, type], [200, 'application/connect+json']);
    assert.deepEqual(frames, [[0, { sentence: 'x', count: 1 }], [0, { sentence: 'x', count: 2 }], [2, {}]]);
  });

  test('ends with its error, behind its items', async () => {
    const { status, frames } = await stream(COUNT, enveloped('{"sentence":"fails","count":1}'));
    assert.deepEqual([status, frames.length, frames[1][0]], [200, 2, 2]);
    assert.deepEqual([frames[1][1].error.code, frames[1][1].error.details[0].debug], ['data_loss', { at: 1 }]);
  });

  test('is 200 for errors before it begins, too', async () => {
    messageAtEnd(await stream('/rpc/eliza.v1.ElizaService/Shout', enveloped('{}')), 'unimplemented');
    messageAtEnd(await stream(COUNT, enveloped('{}'), { ...CONNECT, 'connect-timeout-ms': '0' }), 'deadline_exceeded');
    messageAtEnd(await stream(COUNT, enveloped('{}'), { ...CONNECT, 'connect-timeout-ms': 'x' }), 'invalid_argument');
    messageAtEnd(await stream(COUNT, enveloped('{}'), { ...CONNECT, 'connect-protocol-version': '2' }), 'invalid_argument');
    messageAtEnd(await stream(COUNT, enveloped('{')), 'invalid_argument');
    for (const body of ['', '\0\0\0', enveloped('{}').subarray(0, 6), Buffer.concat([enveloped('{}'), enveloped('{}')])]) {
      messageAtEnd(await stream(COUNT, body), 'invalid_argument');
    }
  });

  test('in an encoding that is not supported is unimplemented', async () => {
    const said = { ...CONNECT, 'connect-content-encoding': 'gzip' };
    assert.match(messageAtEnd(await stream(COUNT, enveloped('{}', 1), said), 'unimplemented'), /identity/);
    assert.match(messageAtEnd(await stream(COUNT, enveloped('{}'), { ...CONNECT, 'content-encoding': 'gzip' }), 'unimplemented'), /identity/);
    messageAtEnd(await stream(COUNT, enveloped('{}', 1)), 'invalid_argument');
  });

  test('of a procedure that does not stream is its result', async () => {
    assert.deepEqual((await stream(SAY, enveloped('{"sentence":"hi"}'))).frames, [[0, { sentence: 'You said: hi' }], [2, {}]]);
  });

  test('is not for those who ask for one message, who are told so', async () => {
    const message = messageOf(await ask(COUNT, { body: '{"sentence":"x","count":2}' }), 400, 'failed_precondition');
    assert.match(message, /application\/connect\+json/);
    messageOf(await ask(COUNT, { method: 'GET' }), 400, 'failed_precondition');
  });
});

describe('a result of nothing', () => {
  const nothing = (headers) => ask('/rpc/eliza.v1.ElizaService/Nothing', { body: '{}', headers });

  test('is null', async () => assert.equal((await nothing()).text, 'null'));

  test('is the empty message for a client of Connect, which has no null', async () => {
    assert.equal((await nothing({ 'connect-protocol-version': '1' })).text, '{}');
  });
});

describe('an error', () => {
  const STATUSES = {
    canceled: 499, unknown: 500, invalid_argument: 400, deadline_exceeded: 504, not_found: 404, already_exists: 409,
    permission_denied: 403, resource_exhausted: 429, failed_precondition: 400, aborted: 409, out_of_range: 400,
    unimplemented: 501, internal: 500, unavailable: 503, data_loss: 500, unauthenticated: 401,
  };
  const fail = (code) => ask('/rpc/eliza.v1.ElizaService/Fail', { body: JSON.stringify({ sentence: code }) });

  test('of every code has its status', async () => {
    assert.deepEqual((await ask('/rpc/codes', { body: '{}' })).value.sort(), Object.keys(STATUSES).sort());
    for (const [code, status] of Object.entries(STATUSES)) {
      assert.equal(messageOf(await fail(code), status, code), 'as you asked');
    }
  });

  test('has details that are typed messages: type, value in base64 without padding, and to read', async () => {
    const [detail, ...more] = (await fail('not_found')).value.details;
    assert.deepEqual(more, []);
    assert.equal(detail.type, 'google.protobuf.Value');
    assert.match(detail.value, /^[A-Za-z0-9+/]+$/);
    assert.deepEqual(detail.debug, { user: 7, tags: ['a', 'ü'], ratio: 0.5, ok: true });
  });
});

describe('GET', () => {
  const MESSAGE = '{"sentence":"a+b ü!"}', SEEN = '{"sentence":"a+b ü! by GET"}';
  const escaped = encodeURIComponent(MESSAGE);
  const padded = Buffer.from(MESSAGE).toString('base64url').padEnd(32, '=');

  test('calls what is read_only; the query may be in any order, and hold more', async () => {
    for (const query of [
      `encoding=json&message=${escaped}`,
      `message=${escaped}&encoding=json&connect=v1`,
      `x=1&connect=v1&encoding=json&message=${escaped}&y`,
      `message=${escaped}`,
      `message=${escaped}&encoding=json&compression=identity`,
      `message=${escaped}&encoding=json&compression=`,
      `message=${escaped}&encoding=json&base64=0`,
      new URLSearchParams({ message: MESSAGE, encoding: 'json' }),
    ]) {
      const { status, type, text } = await look(query);
      assert.deepEqual([status, type, text], [200, 'application/json', SEEN], String(query));
    }
  });

  test('takes base64 that is safe in URLs, padded or not, and the other as well', async () => {
    assert.ok(padded.endsWith('='));
    const special = '{"sentence":"???>>>~~~"}';
    for (const [message, expected] of [
      [padded.replaceAll('=', ''), SEEN], [padded, SEEN], [padded.replaceAll('=', '%3D'), SEEN],
      [Buffer.from(special).toString('base64url'), '{"sentence":"???>>>~~~ by GET"}'],
      [encodeURIComponent(Buffer.from(special).toString('base64')), '{"sentence":"???>>>~~~ by GET"}'],
    ]) {
      assert.equal((await look(`encoding=json&base64=1&message=${message}`)).text, expected);
    }
    messageOf(await look('encoding=json&base64=1&message=a!'), 400, 'invalid_argument');
  });

  test('in a codec that is not supported is 415', async () => {
    assert.match(messageOf(await look('encoding=proto&message='), 415, 'unimplemented'), /json/);
  });

  test('in a compression that is not supported is unimplemented, and is told which are', async () => {
    assert.match(messageOf(await look('encoding=json&compression=gzip&base64=1&message=AA'), 501, 'unimplemented'), /identity/);
  });

  test('of another version of Connect is 400', async () => {
    messageOf(await look('encoding=json&message={}&connect=v2'), 400, 'invalid_argument');
  });

  test('of no query has no params', async () => {
    assert.equal((await ask('/rpc/echo', { method: 'GET' })).text, '{}');
  });

  test('has its timeout in the header', async () => {
    messageOf(await look('encoding=json&message={}', { headers: { 'connect-timeout-ms': '0' } }), 504, 'deadline_exceeded');
  });

  test('HEAD is its head', async () => {
    const { status, text, headers } = await look(`message=${escaped}`, { method: 'HEAD' });
    assert.deepEqual([status, text, headers.get('content-length')], [200, '', String(Buffer.byteLength(SEEN))]);
    const refused = await look('encoding=proto', { method: 'HEAD' });
    assert.deepEqual([refused.status, refused.text], [415, '']);
  });
});
