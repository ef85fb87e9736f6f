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

// Publishes piece by piece: those who keep up have each before the next.
async function flood({ publisher, fast }, topic) {
  for (let i = PIECE; i <= COUNT; i += PIECE) {
    await publisher.call('flood', { topic, count: PIECE, burst: PIECE, bytes: BYTES }, calls++);
    await Promise.all(fast.map((peer) => has(peer, topic, i)));
  }
}

// Resolves when the publisher waits for room.
async function suspended({ gateway, stats, publisher }) {
  for (;;) {
    const { suspended: count } = (await publisher.call('stats', {}, `s${calls++}`)).result;
    if (count > 0) return;
  }
}

for (const workers of [1, 2]) {
  const on = workers === 1 ? 'on one worker' : 'across two workers';

  test(`drop, ${on}: a slow subscriber misses some, not the newest; others none`, async (t) => {
    const all = await scene(t, workers, 'drop');
    await flood(all, 'drop');
    all.slow.ws.resume();
    while (all.slow.texts.at(-1).params?.pad === undefined || seen(all.slow, 'drop').length < 1) await once(all.slow.ws, 'message');
    const { result } = await all.slow.call('where', {}, 'end');
    assert.equal(result, all.slow.worker);
    const { result: { dropped } } = await all.slow.call('stats', {}, 'dropped');
    await has(all.slow, 'drop', COUNT - dropped);
    const got = seen(all.slow, 'drop');
    assert.ok(dropped > 0, 'nothing was dropped');
    assert.equal(got.length, COUNT - dropped);
    assert.deepEqual(got.slice(-PIECE), numbers(PIECE)); // the last piece is there
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
    const done = all.publisher.call('flood', { topic: 'suspend', count: COUNT, bytes: BYTES });
    await suspended(all);
    const published = (await all.publisher.call('published')).result;
    assert.ok(published < COUNT);
    all.slow.ws.resume();
    assert.ok((await done).result.least > 0);
    for (const peer of [all.slow, ...all.fast]) {
      assert.deepEqual(await has(peer, 'suspend', COUNT), numbers(COUNT));
    }
    assert.equal((await all.stats()).dropped, 0);
    await all.gateway.stop();
  });

  test(`suspend, ${on}: nobody waits for a subscriber that is gone`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const done = all.publisher.call('flood', { topic: 'suspend', count: COUNT, bytes: BYTES });
    await suspended(all);
    all.slow.ws.terminate();
    assert.ok((await done).result.most > 0);
    for (const peer of all.fast) assert.deepEqual(await has(peer, 'suspend', COUNT), numbers(COUNT));
    await all.gateway.stop();
  });

  test(`suspend, ${on}: a publisher cancelled while it waits has published to all or to nobody`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const reply = all.publisher.call('until_cancelled', { topic: 'suspend', bytes: BYTES }, 'x');
    await suspended(all);
    all.publisher.cancel('x');
    assert.equal((await reply).error.code, -32800);
    const published = Number((await all.gateway.log(/ published (\d+)$/))[1]);
    all.slow.ws.resume();
    for (const peer of [all.slow, ...all.fast]) {
      await has(peer, 'suspend', published);
      await peer.call('where', {}, 'after');
      assert.deepEqual(seen(peer, 'suspend'), numbers(published));
    }
    await all.gateway.stop();
  });

  test(`suspend, ${on}: a publish that loses a select has published to nobody`, async (t) => {
    const all = await scene(t, workers, 'suspend');
    const reply = all.publisher.call('until_cancelled', { topic: 'suspend', bytes: BYTES }, 'x');
    await suspended(all);
    assert.equal((await all.publisher.call('try', { topic: 'suspend', i: -1, seconds: 0.05 })).result, false);
    const retry = all.publisher.call('try', { topic: 'suspend', i: -2, seconds: 60 }, 'retry');
    all.publisher.cancel('x');
    await reply;
    all.slow.ws.resume();
    assert.equal((await retry).result, true);
    const published = Number((await all.gateway.log(/ published (\d+)$/))[1]);
    for (const peer of [all.slow, ...all.fast]) {
      assert.deepEqual(await has(peer, 'suspend', published + 1), [...numbers(published), -2]);
    }
    await all.gateway.stop();
  });
}
