// Streams as server-sent events, by an EventSource that is not ours: npm's eventsource, unmodified.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { EventSource } from 'eventsource';
import { start, within } from './lib/gateway.mjs';

const gateway = await start('connect.lua', ['--origins', 'https://page.example']);
after(() => gateway.stop());

const target = (path, params) => `${gateway.rpcUrl}/${path}?${new URLSearchParams({ message: JSON.stringify(params) })}`;

// Listens until 'done' says so, the stream is given up, or an event 'end' comes; resolves to [[type, data]].
function listen(t, url, { done = () => false, ...init } = {}) {
  const source = new EventSource(url, init), events = [];
  t.after(() => source.close());
  return within(new Promise((resolve) => {
    const take = ({ type, data }) => {
      events.push([type, JSON.parse(data)]);
      if (type !== 'end' && !done(events)) return;
      source.close();
      resolve(events);
    };
    for (const type of ['message', 'progress', 'end']) source.addEventListener(type, take);
    source.addEventListener('error', ({ code }) => {
      if (source.readyState === EventSource.CLOSED) resolve([...events, ['given up', code]]);
    });
  }), () => `the end of ${url}; so far ${JSON.stringify(events)}`);
}

test('a stream that only reads is listened to by GET: items, progress, the result, the end', async (t) => {
  assert.deepEqual(await listen(t, target('watch', { n: 2 })), [
    ['progress', { done: 0.5 }], ['message', { n: 1, text: 'two\nlines' }],
    ['progress', { done: 1 }], ['message', { n: 2, text: 'two\nlines' }],
    ['message', 'done!'], ['end', {}],
  ]);
});

test('its error is its end', async (t) => {
  const events = await listen(t, target('watch', { n: 1, fails: true }));
  const [type, { error }] = events.pop();
  assert.deepEqual([type, error.code, error.message, error.details[0].debug], ['end', 'aborted', 'as you asked', { n: 1 }]);
  assert.equal(events.length, 2);
});

test('a procedure that does not stream has one event', async (t) => {
  assert.deepEqual(await listen(t, target('echo', { a: 'ü' })), [['message', { a: 'ü' }], ['end', {}]]);
});

test('one who closes it ends the call', async (t) => {
  await listen(t, target('eliza.v1.ElizaService/Count', { sentence: 'listened to' }), { done: (events) => events.length === 3 });
  await gateway.log(/on_cancel listened to disconnect/);
  await gateway.log(/closed listened to/);
});

for (const [what, path, params, status] of [
  ['a procedure that there is not', 'nope', {}, 404],
  ['one that does not only read', 'eliza.v1.ElizaService/Say', {}, 405],
  ['params that are none', 'echo', 7, 400],
]) {
  test(`${what} is given up (${status}), not asked for again`, async (t) => {
    assert.deepEqual(await listen(t, target(path, params)), [['given up', status]]);
  });
}

test('a stream that is cut is no end: it is asked for again', async (t) => {
  const own = await start('connect.lua');
  const source = new EventSource(target('eliza.v1.ElizaService/Count', { sentence: 'cut' }).replace(gateway.rpcUrl, own.rpcUrl));
  t.after(() => source.close());
  let ends = 0;
  source.addEventListener('end', () => ends++);
  await within(new Promise((resolve) => source.addEventListener('message', resolve, { once: true })), () => 'an item');
  const again = new Promise((resolve) => source.addEventListener('error', () => resolve(source.readyState)));
  own.signal('SIGKILL');
  assert.equal(await within(again, () => 'the error'), EventSource.CONNECTING);
  assert.equal(ends, 0);
  await own.exited();
});

test('the pages of listed sites may listen', async () => {
  const { headers } = await fetch(target('watch', { n: 1 }), {
    headers: { accept: 'text/event-stream', origin: 'https://page.example' },
  });
  assert.deepEqual(['content-type', 'cache-control', 'access-control-allow-origin'].map((name) => headers.get(name)),
    ['text/event-stream', 'no-store', 'https://page.example']);
});
