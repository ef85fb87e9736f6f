// cancela listen: events as lines of JSON, and how it ends.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { cancela, finish, spawnBinary, start, within } from './lib/gateway.mjs';
import { file, serve } from './lib/tls.mjs';
import { connect } from './lib/ws.mjs';

const gateway = await start('pubsub.lua');
after(() => gateway.stop());
const url = gateway.url.replace('http', 'ws');

// 'cancela listen', subscribed: {child, end, lines, line()}, when it says so.
async function listen(...args) {
  const child = spawnBinary(['listen', ...args, '--verbose']);
  const end = finish(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  for (;;) {
    const { value } = await within(said.next(), () => 'the answer to subscribe');
    if (value === undefined || value.startsWith('[true')) break;
  }
  return { child, end, line: async () => (await within(lines.next(), () => 'a line')).value };
}

test('prints the params of each event, one JSON text a line, and no other', async (t) => {
  const peer = await connect(t, gateway);
  const listener = await listen(url, 'tea', 'subscribe', 'topic=tea');
  const values = [{ a: 1 }, [1, 'two\n'], 'héllo', null];
  for (const [i, data] of values.entries()) {
    await peer.call('broadcast', { event: 'other', data }, `o${i}`);
    await peer.call('publish', { topic: 'tea', data }, i);
  }
  const lines = [];
  for (let i = 0; i < 4; i++) lines.push(await listener.line());
  assert.deepEqual(lines, ['{"a":1}', '[1,"two\\n"]', '["héllo"]', 'null']);
  listener.child.kill('SIGINT');
  const { code, stderr } = await listener.end;
  assert.equal(code, 130);
  assert.match(stderr, /^<- other {"a":1}$/m);
});

test('--count ends it with 0 after so many', async (t) => {
  const peer = await connect(t, gateway);
  const listener = await listen(url, 'pub', 'subscribe', '{"topic":"pub"}', '--count', '2');
  for (let i = 1; i <= 3; i++) await peer.call('publish', { topic: 'pub', data: { i } }, i);
  const { code, stdout } = await listener.end;
  assert.deepEqual([code, stdout], [0, '{"i":1}\n{"i":2}\n']);
});

test('without a scheme the URL is a WebSocket\'s, and no call need be made', async (t) => {
  const peer = await connect(t, gateway);
  const child = spawnBinary(['listen', gateway.address, 'all', '--count', '1']);
  const end = finish(child);
  let over = false;
  end.then(() => { over = true; });
  for (let i = 0; !over; i++) {
    await peer.call('broadcast', { event: 'all', data: { i: 7 } }, i);
    await new Promise(setImmediate);
  }
  const { code, stdout, stderr } = await end;
  assert.deepEqual([code, stdout, stderr], [0, '{"i":7}\n', '']);
});

test('speaks TLS', async () => {
  const secure = await serve({ after });
  const wss = secure.url.replace('https', 'wss');
  const { code, stderr } = await cancela('listen', wss, 'tea', 'no_such', '--cacert', file('ca.pem'));
  assert.equal(code, 1);
  assert.match(stderr, /no such procedure: no_such/);
});

test('a call that fails ends it as it ends cancela call', async () => {
  const failed = await cancela('listen', url, 'tea', 'subscribe', 'topic=');
  assert.deepEqual([failed.code, failed.stdout], [1, '']);
  assert.match(failed.stderr, /^error: internal /);
  const late = await cancela('listen', url, 'tea', 'wait', '--timeout', '50ms');
  assert.deepEqual([late.code, late.stdout], [4, '']);
  assert.match(late.stderr, /deadline_exceeded/);
});

test('ends with 3 when the server closes, or is not there', async () => {
  const other = await start('pubsub.lua');
  const listener = await listen(other.url.replace('http', 'ws'), 'tea', 'subscribe', 'topic=tea');
  await other.stop();
  const { code, stderr } = await listener.end;
  assert.equal(code, 3);
  assert.match(stderr, /closed the connection with code 1001/);
  assert.equal((await cancela('listen', other.url.replace('http', 'ws'), 'tea')).code, 3);
});

test('says what is wrong with its arguments, with 2', async () => {
  const cases = [
    [[], /gateway's URL is missing/],
    [[url], /event's name is missing/],
    [[gateway.url, 'tea'], /events come on a WebSocket: write ws:\/\/127/],
    [[url, 'tea', '--count', '0'], /--count '0' is no number of events above 0/],
    [[url, 'tea', '--count', '1x'], /--count '1x'/],
    [[url, 'tea', '--file', 'x'], /--file is for 'cancela call'/],
    [[url, 'tea', '--nope'], /see 'cancela listen --help'/],
    [[url, 'tea', 'subscribe', '{'], /JSON/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await cancela('listen', ...args);
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, message);
  }
  const { code, stderr } = await cancela('call', url, 'where', '--count', '1');
  assert.equal(code, 2);
  assert.match(stderr, /--count is for 'cancela listen'/);
});
