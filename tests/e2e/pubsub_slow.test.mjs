// Subscribers that do not keep up, beside those that do: each policy of topics, on one worker and on two.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { start, within } from './lib/gateway.mjs';
import { connect } from './lib/ws.mjs';

// More than the systems of both ends and the queue of a topic hold, in pieces below that queue.
const COUNT = 400, BYTES = 60_000, PIECE = 4;

const numbers = (count) => Array.from({ length: count }, (_, i) => i + 1);
const seen = (peer, topic) => peer.texts.filter(({ method }) => method === topic).map(({ params }) => params.i);

async function has(peer, topic, count) {
  while (seen(peer, topic).length < count) {
    await within(once(peer.ws, 'message'), () => `${count} messages; ${seen(peer, topic).length} came`);
  }
  return seen(peer, topic);
}

// A publisher, a subscriber on its worker and one on the other if there are two, and a slow one on the last.
async function scene(t, workers, topic, flags = []) {
  const gateway = await start('pubsub.lua', ['--workers', String(workers), '--relay-bytes', '1MiB', ...flags]);
  t.after(() => gateway.signal('SIGKILL'));
  const peers = [];
  while (peers.length < 2 * workers + 1) {
    const peer = await connect(t, gateway);
    peer.worker = (await peer.call('where')).result;
    peers.push(peer);
  }
  const there = peers.filter(({ worker }) => worker === peers[0].worker);
  const elsewhere = peers.filter(({ worker }) => worker !== peers[0].worker);
  const [publisher, ...here] = there;
  const [slow, ...others] = workers === 1 ? here : elsewhere;
  const fast = workers === 1 ? others : [...here, ...others];
  for (const peer of [slow, ...fast]) await peer.call('subscribe', { topic });
  slow.ws.pause();
  return { gateway, publisher, slow, fast, stats: async (peer = fast.at(-1)) => (await peer.call('stats')).result };
}

let calls = 0;
const piece = ({ publisher }, topic, first) =>
  publisher.call('flood', { topic, first, count: PIECE, burst: PIECE, bytes: BYTES }, calls++);

// Publishes piece by piece: those who keep up have each before the next, and never wait for room.
async function flood(all, topic) {
  for (let i = 1; i <= COUNT; i += PIECE) {
    await piece(all, topic, i);
    await Promise.all(all.fast.map((peer) => has(peer, topic, i + PIECE - 1)));
  }
}

// As flood(), until the publisher waits, which it does for the slow one alone. Resolves to {done, id, last}: of the
// piece that is under way the reply, the call's id and the last number.
async function fill(all, topic) {
  for (let i = 1; i <= COUNT; i += PIECE) {
    const id = calls;
    let answered = false;
    const done = piece(all, topic, i).then((reply) => { answered = true; return reply; });
    while (!answered) {
      if ((await all.publisher.call('stats', {}, calls++)).result.suspended > 0) return { done, id, last: i + PIECE - 1 };
    }
    await Promise.all(all.fast.map((peer) => has(peer, topic, i + PIECE - 1)));
  }
  throw new Error('the publisher never waited');
}

// The number that was published last.
const published = async ({ publisher }) => (await publisher.call('published', {}, calls++)).result;

for (const workers of [1, 2]) {
  const on = workers === 1 ? 'on one worker' : 'across two workers';

  test(`drop, ${on}: a slow subscriber misses some, not the newest; others none`, async (t) => {
    const all = await scene(t, workers, 'drop');
    await flood(all, 'drop');
    all.slow.ws.resume();
    const { result: { dropped } } = await all.slow.call('stats', {}, 'dropped');
    await has(all.slow, 'drop', COUNT - dropped);
    const got = seen(all.slow, 'drop');
    assert.ok(dropped > 0, 'nothing was dropped');
    assert.equal(got.length, COUNT - dropped);
    assert.deepEqual(got.slice(-PIECE), numbers(COUNT).slice(-PIECE)); // those that it would have missed are older
    assert.ok(got.every((i, at) => at === 0 || i > got[at - 1]), 'out of order');
    for (const peer of all.fast) assert.equal(seen(peer, 'drop').length, COUNT);
    await all.gateway.stop();
  });

  test(`close, ${on}: a slow subscriber is closed with 1013, others are not`, async (t) => {
    const all = await scene(t, workers, 'close');
    await flood(all, 'close');
    all.slow.ws.resume();
    const { code, reason } = await all.slow.end();
    assert.equal(code, 1013);
    assert.match(reason, /too slowly/);
    assert.equal((await all.stats()).slow_consumers, 1);
    for (const peer of all.fast) assert.equal(seen(peer, 'close').length, COUNT);
    await all.gateway.stop();
  });

  test(`suspend, ${on}: the publisher waits for a slow subscriber, who misses nothing`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const { done, last } = await fill(all, 'suspend');
    assert.ok(await published(all) < last);
    all.slow.ws.resume();
    assert.ok((await done).result.least > 0);
    for (const peer of [all.slow, ...all.fast]) assert.deepEqual(await has(peer, 'suspend', last), numbers(last));
    assert.equal((await all.stats()).dropped, 0);
    await all.gateway.stop();
  });

  test(`suspend, ${on}: nobody waits for a subscriber that is gone`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const { done, last } = await fill(all, 'suspend');
    all.slow.ws.terminate();
    assert.ok((await done).result.most > 0);
    for (const peer of all.fast) assert.deepEqual(await has(peer, 'suspend', last), numbers(last));
    await all.gateway.stop();
  });

  test(`suspend, ${on}: a publisher cancelled while it waits has published to nobody`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const { done, id } = await fill(all, 'suspend');
    all.publisher.cancel(id);
    assert.equal((await done).error.code, -32800);
    const count = await published(all);
    all.slow.ws.resume();
    for (const peer of [all.slow, ...all.fast]) {
      await has(peer, 'suspend', count);
      await peer.call('where', {}, 'after');
      assert.deepEqual(seen(peer, 'suspend'), numbers(count));
    }
    await all.gateway.stop();
  });

  test(`suspend, ${on}: a publish that loses a select has published to nobody`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const { done, id } = await fill(all, 'suspend');
    assert.equal((await all.publisher.call('try', { topic: 'suspend', i: -1, seconds: 0.05 })).result, false);
    const retry = all.publisher.call('try', { topic: 'suspend', i: -2, seconds: 60 }, 'retry');
    all.publisher.cancel(id);
    await done;
    const count = await published(all);
    all.slow.ws.resume();
    assert.equal((await retry).result, true);
    for (const peer of [all.slow, ...all.fast]) {
      assert.deepEqual(await has(peer, 'suspend', count + 1), [...numbers(count), -2]);
    }
    await all.gateway.stop();
  });
}
