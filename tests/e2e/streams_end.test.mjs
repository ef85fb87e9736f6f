// How streams end before they are done: deadlines, idle streams, resets, clients that go or do not
// read, aborts and the end of the process. No item comes after it; who answers answers once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { dial, ERROR, PART, requestFrame, resetFrame, V1 } from './lib/frames.mjs';
import { start, within } from './lib/gateway.mjs';
import { open } from './lib/raw.mjs';
import { begin, CONNECT, EVENTS, requestText, Streamed, stream } from './lib/streams.mjs';
import { connect, nextFrame, TEXT, CLOSE, frame, upgrade } from './lib/ws.mjs';

const IDLE_MS = 300;

const gateway = await start('streams.lua', ['--stream-idle-timeout', `${IDLE_MS}ms`, '--write-timeout', '400ms', '--grace', '2s']);
after(() => gateway.hangUp().stop());

const META = { _meta: { itemToken: 'items' } };
const isItem = ({ method }) => method === '$/progress';

let labels = 0;
const label = (what) => `${what.replace(/\W/g, '-')}-${++labels}`;

// Requires that the script saw the end, that its send raised if it was in one, and that it cleaned up.
async function unwound(name, kind) {
  await gateway.log(new RegExp(`on_cancel ${name} ${kind}`));
  await gateway.log(new RegExp(`closed ${name}`));
}

// Starts a stream on a new connection of each protocol: {first, reset, leave, end}. 'first' has come;
// end() resolves to {items, error}, of all that came until the reply and a call after it.
const WAYS = {
  async 'JSON-RPC'(t, name, params) {
    const peer = await connect(t, gateway);
    const reply = peer.call(name, { ...params, ...META }, 1);
    await first(peer.ws, () => peer.texts.some(isItem));
    return {
      socket: peer.ws,
      async end() {
        const { error } = await reply;
        const at = peer.texts.length;
        await peer.call('add', { a: 1, b: 1 }, 2);
        assert.equal(peer.texts.length, at + 1, 'nothing came behind the reply');
        assert.equal(peer.texts.filter(({ id }) => id === 1).length, 1);
        return { items: peer.texts.filter(isItem).length, error: error?.data.code, message: error?.message };
      },
    };
  },
  async [V1](t, name, params) {
    const client = await dial(t, gateway, { protocol: V1 });
    const { reply } = client.start(name, JSON.stringify(params));
    await first(client.socket, () => client.frames.length > 0);
    return {
      socket: client.socket,
      async end() {
        const error = await reply.then(() => undefined, (failure) => failure);
        const at = client.frames.length;
        await client.json('add', { a: 1, b: 1 });
        assert.equal(client.frames.length, at + 1, 'nothing came behind the reply');
        return { items: client.frames.filter(({ kind }) => kind === PART).length, error: error?.code, message: error?.message };
      },
    };
  },
  [CONNECT]: (t, name, params) => overHttp(t, CONNECT, name, params),
  [EVENTS]: (t, name, params) => overHttp(t, EVENTS, name, params),
};

async function first(emitter, come) {
  while (!come()) await once(emitter, 'message');
}

async function overHttp(t, as, name, params, options) {
  const streamed = await stream(t, gateway, as, name, params, options);
  await streamed.next();
  return {
    socket: streamed.raw.socket,
    async end() {
      const parts = await streamed.rest();
      const { error } = parts.at(-1).end;
      return { items: parts.filter((part) => 'item' in part).length, error: error?.code, message: error?.message };
    },
  };
}

for (const [way, begun] of Object.entries(WAYS)) {
  describe(way, () => {
    test("a stream ends by its procedure's deadline, though it sends", async (t) => {
      const name = label('timed');
      const { items, error } = await (await begun(t, 'timed', { label: name, every: 0.01 })).end();
      assert.equal(error, 'deadline_exceeded');
      assert.ok(items >= 2, `${items} items`);
      await unwound(name, 'timeout');
    });

    test('a stream that sends lives for longer than the idle timeout', async (t) => {
      const began = performance.now();
      const { items, error } = await (await begun(t, 'count', { n: 10, every: IDLE_MS / 3000 })).end();
      assert.deepEqual([items, error], [10, undefined]);
      assert.ok(performance.now() - began > 2 * IDLE_MS);
    });

    test('a stream that stops sending ends with deadline_exceeded', async (t) => {
      const name = label('idle'), began = performance.now();
      const { items, error } = await (await begun(t, 'stall', { label: name })).end();
      assert.deepEqual([items, error], [1, 'deadline_exceeded']);
      assert.ok(performance.now() - began > IDLE_MS - 20);
      await unwound(name, 'timeout');
    });

    test('call:abort ends it: the next send raises, the error has the message', async (t) => {
      const name = label('abort');
      const { items, error, message } = await (await begun(t, 'abort', { label: name })).end();
      assert.deepEqual([items, error, message], [1, 'aborted', 'enough']);
      await gateway.log(new RegExp(`${name} send after abort: false cancelled`));
      await unwound(name, 'user');
    });

    for (const [how, leave] of [
      ['RST', (socket) => (socket._socket ?? socket).resetAndDestroy()],
      ['FIN', (socket) => (socket._socket ?? socket).end()],
    ]) {
      test(`the client leaves with ${how}: the send raises, the clean-up runs`, async (t) => {
        const name = label('gone');
        const { socket } = await begun(t, 'endless', { label: name, every: 0.005 });
        leave(socket);
        await unwound(name, 'disconnect');
        await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
      });

      test(`the client leaves with ${how} while the producer waits for room`, async (t) => {
        const name = label('gone-full');
        const { socket } = await begun(t, 'endless', { label: name, padding: true, note: true });
        socket.pause();
        await gateway.log(new RegExp(`full ${name}`));
        leave(socket);
        await unwound(name, 'disconnect');
        await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
      });

      test(`the client leaves with ${how} while room comes and goes`, async (t) => {
        const name = label('gone-filling');
        const { socket } = await begun(t, 'endless', { label: name, padding: true });
        leave(socket);
        await unwound(name, 'disconnect');
        await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
      });
    }
  });
}

describe("the client's deadline", () => {
  test('by _meta', async (t) => {
    const name = label('meta'), peer = await connect(t, gateway);
    const { error } = await peer.call('endless', { label: name, every: 0.01, _meta: { itemToken: 1, timeout_ms: 100 } });
    assert.equal(error.data.code, 'deadline_exceeded');
    await unwound(name, 'timeout');
  });

  for (const as of [CONNECT, EVENTS]) {
    test(`by header (${as})`, async (t) => {
      const name = label('header');
      const { end } = await overHttp(t, as, 'endless', { label: name, every: 0.01 }, { lines: ['Connect-Timeout-Ms: 100'] });
      assert.equal((await end()).error, 'deadline_exceeded');
      await unwound(name, 'timeout');
    });

    test(`0 has already expired: there is no item (${as})`, async (t) => {
      const [{ end }] = await (await stream(t, gateway, as, 'count', { n: 1 }, { lines: ['Connect-Timeout-Ms: 0'] })).rest();
      assert.equal(end.error.code, 'deadline_exceeded');
    });

    test(`it counts in place of the idle timeout (${as})`, async (t) => {
      const streamed = await stream(t, gateway, as, 'count', { n: 2, every: 2 * IDLE_MS / 1000 }, { lines: ['Connect-Timeout-Ms: 20000'] });
      assert.equal((await streamed.rest()).length, 3);
    });
  }
});

describe('a reset (case 77)', () => {
  test('by $/cancelRequest: one reply, no item behind it', async (t) => {
    const name = label('cancel'), peer = await connect(t, gateway);
    const reply = peer.call('endless', { label: name, every: 0.005, ...META }, 1);
    await first(peer.ws, () => peer.texts.filter(isItem).length === 3);
    peer.cancel(1);
    assert.equal((await reply).error.code, -32800);
    await unwound(name, 'reset');
    await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
    await peer.call('add', { a: 1, b: 1 });
    assert.deepEqual(peer.texts.slice(-2).map(({ id }) => id), [1, 'call add']);
    assert.equal(peer.texts.filter(({ id }) => id === 1).length, 1);
  });

  test('by a Reset frame: nothing more, and its id is free', async (t) => {
    const name = label('reset'), client = await dial(t, gateway, { protocol: V1 });
    client.send(requestFrame(7, 'endless', JSON.stringify({ label: name, every: 0.005 })));
    await first(client.socket, () => client.frames.length >= 3);
    client.send(resetFrame(7)).send(requestFrame(7, 'nothing', '{}'));
    await unwound(name, 'reset');
    assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
    const kinds = client.frames.slice(0, -1).map(({ id, kind }) => `${id}:${kind}`);
    assert.match(kinds.join(' '), /^(7:6 ){3,}7:4$/);
  });

  test('while the producer waits for room (case 79): its send raises', async (t) => {
    const name = label('full'), client = await dial(t, gateway, { protocol: V1 });
    client.socket.pause();
    client.send(requestFrame(7, 'endless', JSON.stringify({ label: name, padding: true, note: true })));
    await gateway.log(new RegExp(`full ${name}`));
    client.send(resetFrame(7));
    await unwound(name, 'reset');
    await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
    client.socket.resume();
    assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
    assert.ok(client.frames.slice(0, -1).every(({ kind }) => kind === PART));
  });

  test('a clean-up can send nothing', async (t) => {
    const name = label('late'), peer = await connect(t, gateway);
    const reply = peer.call('clean_up', { label: name, ...META }, 1);
    await gateway.log(new RegExp(`started ${name}`));
    peer.cancel(1);
    assert.equal((await reply).error.code, -32800);
    await gateway.log(new RegExp(`${name} clean-up: nil closed`));
    assert.deepEqual(peer.texts.filter(isItem).map(({ params }) => params.value), ['before']);
  });

  test('a task that outlives the call and waits for room is told that it is closed', async (t) => {
    const name = label('outlived'), client = await dial(t, gateway, { protocol: V1 });
    client.socket.pause();
    client.send(requestFrame(7, 'outlived', JSON.stringify({ label: name })));
    await gateway.log(new RegExp(`full ${name}`));
    client.send(resetFrame(7));
    await gateway.log(new RegExp(`${name} detached: nil closed`));
    client.socket.resume();
    assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
  });

  test('a stream that is reset when it has its turn to write lets another have it', async (t) => {
    const one = await start('streams.lua'); // with time: this is not about idle streams
    t.after(() => one.hangUp().stop());
    const client = await dial(t, one, { protocol: V1 });
    const came = (id, kind) => within(new Promise((resolve) => {
      client.socket.on('message', function look() {
        const last = client.frames.at(-1);
        if (last.id !== id || last.kind !== kind) return;
        client.socket.off('message', look);
        resolve();
      });
    }), () => `a frame ${kind} of ${id}; there were ${client.frames.slice(-20).map((one) => `${one.id}:${one.kind}`).join(' ')}`);
    for (let id = 0; id < 40; id += 2) {
      const name = label('turns');
      client.send(requestFrame(id, 'endless', JSON.stringify({ label: name, padding: true })));
      await came(id, PART);
      client.send(requestFrame(id + 1, 'flood', JSON.stringify({ label: name, items: 50 })));
      await came(id + 1, PART);
      client.send(resetFrame(id));
      await came(id + 1, 4);
    }
  });

  test('a procedure with cancel = "manual" may send until it has decided, after its deadline', async (t) => {
    const name = label('manual'), peer = await connect(t, gateway);
    const reply = peer.call('manual', { label: name, _meta: { itemToken: 'items', timeout_ms: 50 } }, 1);
    assert.equal((await reply).result, 'decided');
    assert.deepEqual(peer.texts.filter(isItem).map(({ params }) => params.value), ['before', 'after']);
  });

  test('a procedure with cancel = "manual" can send nothing behind a reset', async (t) => {
    const name = label('manual'), client = await dial(t, gateway, { protocol: V1 });
    client.send(requestFrame(7, 'manual', JSON.stringify({ label: name })));
    await gateway.log(new RegExp(`started ${name}`));
    client.send(resetFrame(7));
    await gateway.log(new RegExp(`${name} after: nil closed`));
    assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
    assert.deepEqual(client.frames.map(({ kind }) => kind), [PART, 4]);
    const peer = await connect(t, gateway);
    const reply = peer.call('manual', { label: `${name}-json`, ...META }, 1);
    await gateway.log(new RegExp(`started ${name}-json`));
    peer.cancel(1);
    assert.equal((await reply).error.code, -32800);
    await gateway.log(new RegExp(`${name}-json after: nil closed`));
    assert.deepEqual(peer.texts.filter(isItem).map(({ params }) => params.value), ['before']);
  });

  test('an item that was offered in vain is not sent: what the script counts is what comes', async (t) => {
    const name = label('impatient'), raw = await upgrade(t, gateway);
    raw.socket.pause();
    raw.send(frame({ jsonrpc: '2.0', id: 1, method: 'impatient', params: { label: name, ...META } }));
    const [, list] = await gateway.log(new RegExp(`${name} offered (\\S*)`));
    const got = [];
    raw.socket.resume();
    for (;;) {
      const { opcode, payload } = await nextFrame(raw);
      assert.equal(opcode, TEXT);
      const text = JSON.parse(payload);
      if (text.id === 1) break;
      got.push(text.params.value.n);
    }
    assert.equal(got.join(','), list);
  });
});

describe('a client that is slow to read', () => {
  test('is no idle stream', async (t) => {
    const patient = await start('streams.lua', ['--stream-idle-timeout', `${IDLE_MS}ms`]);
    t.after(() => patient.hangUp().stop());
    const raw = await open(t, patient);
    const streamed = await begin(raw, requestText(patient, EVENTS, 'flood', { items: 400, label: 'slowly' }));
    raw.socket.pause();
    await pause(3 * IDLE_MS);
    raw.socket.resume();
    const parts = await streamed.rest();
    assert.equal(parts.length, 402);
    assert.deepEqual(parts.at(-1).end, {});
  });

  test('is no idle stream either when another of its senders gives up', async (t) => {
    const patient = await start('streams.lua', ['--stream-idle-timeout', `${IDLE_MS}ms`]);
    t.after(() => patient.hangUp().stop());
    const raw = await open(t, patient);
    raw.socket.pause();
    raw.send(requestText(patient, EVENTS, 'waiting', { label: 'waits' }));
    await patient.log(/full waits/);
    await pause(3 * IDLE_MS);
    assert.ok(!patient.lines.some((line) => line.includes('on_cancel waits')));
    raw.reset();
    await patient.log(/on_cancel waits disconnect/);
  });

  for (const as of [CONNECT, EVENTS]) {
    test(`and takes nothing for write_timeout is cut off, without the last chunk (${as})`, async (t) => {
      const name = label('stuck'), raw = await open(t, gateway);
      raw.socket.pause();
      raw.send(requestText(gateway, as, 'endless', { label: name, padding: true }));
      await unwound(name, 'slow_consumer');
      await gateway.log(new RegExp(`${name} sent \\d+, then cancelled`));
      raw.socket.resume();
      const streamed = new Streamed(raw, await raw.response());
      await assert.rejects(streamed.rest());
      assert.equal(streamed.whole, false);
      assert.ok(streamed.all.every((part) => 'item' in part));
    });
  }

  test('and takes nothing for write_timeout is closed with 1013 on a WebSocket', async (t) => {
    const name = label('stuck'), raw = await upgrade(t, gateway);
    raw.socket.pause();
    raw.send(frame({ jsonrpc: '2.0', id: 1, method: 'endless', params: { label: name, padding: true, ...META } }));
    await unwound(name, 'slow_consumer');
    raw.socket.resume();
    for (;;) {
      const { opcode, payload } = await nextFrame(raw);
      if (opcode === TEXT) assert.ok(isItem(JSON.parse(payload)));
      if (opcode !== CLOSE) continue;
      assert.equal(payload.readUInt16BE(), 1013);
      break;
    }
  });
});

describe('SIGTERM', () => {
  test('lets a stream end by itself', async (t) => {
    const one = await start('streams.lua');
    const streamed = await stream(t, one, EVENTS, 'count', { n: 5, every: 0.05 });
    await streamed.next();
    one.signal('SIGTERM');
    assert.equal((await streamed.rest()).length, 6);
    assert.equal(await streamed.raw.rest(), '');
    assert.deepEqual(await one.exited(), { code: 0, signal: null });
  });

  for (const as of [CONNECT, EVENTS]) {
    test(`at the end of the drain a stream ends with unavailable (${as})`, async (t) => {
      const one = await start('streams.lua', ['--drain-timeout', '100ms']);
      const streamed = await stream(t, one, as, 'endless', { label: 'drained', every: 0.01 });
      await streamed.next();
      one.signal('SIGTERM');
      assert.equal((await streamed.rest()).at(-1).end.error.code, 'unavailable');
      assert.equal(await streamed.raw.rest(), '');
      await one.log(/on_cancel drained shutdown/);
      await one.log(/closed drained/);
      assert.deepEqual(await one.exited(), { code: 0, signal: null });
    });
  }

  test('and on a WebSocket', async (t) => {
    const one = await start('streams.lua', ['--drain-timeout', '100ms']);
    const client = await dial(t, one, { protocol: V1 });
    const { reply } = client.start('endless', '{"label":"drained","every":0.01}');
    await first(client.socket, () => client.frames.length > 0);
    one.signal('SIGTERM');
    await assert.rejects(reply, { code: 'unavailable' });
    await client.end();
    assert.equal(client.frames.at(-1).kind, ERROR);
    assert.deepEqual(await one.exited(), { code: 0, signal: null });
  });
});
