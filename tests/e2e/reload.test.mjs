// Hot reload: what goes on in the old code, what begins in the new, and what survives.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect as dialTcp } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import WebSocket from 'ws';
import { V0_1, V1, dial as dialFrames } from './lib/frames.mjs';
import { within } from './lib/gateway.mjs';
import { until } from './lib/load.mjs';
import { open, postText } from './lib/raw.mjs';
import { appText, gone, serve } from './lib/reload.mjs';
import { call, request } from './lib/rpc.mjs';
import { CONNECT, EVENTS, stream } from './lib/streams.mjs';
import { connect, upgradeText } from './lib/ws.mjs';

const ONE = appText('one'), TWO = appText('two'), THREE = appText('three');
const OLD = { version: 'one', generation: 1 }, NEW = { version: 'two', generation: 2 };

// A call over HTTP that keeps its connection.
async function post(raw, gateway, method, params) {
  return JSON.parse((await raw.send(postText(gateway, request(method, params))).response()).body).result;
}

// A WebSocket at 'path' of npm's ws, whose messages are taken one by one.
async function dial(t, gateway, path) {
  const ws = new WebSocket(gateway.url.replace('http', 'ws') + path, { perMessageDeflate: false });
  const messages = [];
  t.after(() => ws.terminate());
  ws.on('error', () => {});
  ws.on('message', (data) => messages.push(data.toString()));
  const closed = once(ws, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
  await once(ws, 'open');
  return {
    ws,
    send: (text) => ws.send(text),
    async next() {
      await within((async () => { while (messages.length === 0) await once(ws, 'message'); })(), () => 'a message');
      return messages.shift();
    },
    end: () => within(closed, () => 'the close of the WebSocket'),
  };
}

const holds = (gateway, name, version = 'one') => gateway.log(new RegExp(` holds ${name} ${version}$`));

describe('a call that runs ends on the old code, a new one runs the new', () => {
  test('over HTTP, also on a connection that is kept', async (t) => {
    const gateway = await serve(t, ONE);
    const raw = await open(t, gateway), other = await open(t, gateway);
    const held = post(raw, gateway, 'hold', { name: 'a' });
    await holds(gateway, 'a');
    assert.deepEqual(await post(other, gateway, 'who'), OLD);
    await gateway.reload(TWO);
    assert.deepEqual(await post(other, gateway, 'who'), NEW);
    await gateway.put('a');
    assert.deepEqual(await held, OLD);
    assert.deepEqual(await post(raw, gateway, 'who'), NEW);
  });

  test('on a WebSocket, also in the order of its calls', async (t) => {
    const gateway = await serve(t, ONE);
    const peer = await connect(t, gateway);
    const held = peer.call('hold', { name: 'a' }, 1);
    await holds(gateway, 'a');
    await gateway.reload(TWO);
    assert.deepEqual((await peer.call('who', {}, 2)).result, NEW);
    await peer.call('put', { name: 'a' }, 3);
    assert.deepEqual((await held).result, OLD);
  });

  for (const protocol of [V0_1, V1]) {
    test(`in frames of ${protocol}`, async (t) => {
      const gateway = await serve(t, ONE);
      const client = await dialFrames(t, gateway, { protocol });
      assert.equal(await client.text('bytes'), 'one');
      const held = client.json('hold', { name: 'a' });
      await holds(gateway, 'a');
      await gateway.reload(TWO);
      assert.equal(await client.text('bytes'), 'two');
      await gateway.put('a');
      assert.deepEqual(await held, OLD);
    });
  }

  test('at /rpc/NAME', async (t) => {
    const gateway = await serve(t, ONE);
    const ask = async (name, params = {}) => (await fetch(`${gateway.rpcUrl}/${name}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(params),
    })).json();
    const held = ask('hold', { name: 'a' });
    await holds(gateway, 'a');
    await gateway.reload(TWO);
    assert.deepEqual(await ask('who'), NEW);
    await gateway.put('a');
    assert.deepEqual(await held, OLD);
  });

  test('of a route', async (t) => {
    const gateway = await serve(t, ONE);
    const get = async (path) => (await fetch(gateway.url + path)).text();
    const held = get('/hold/a');
    await holds(gateway, 'a');
    await gateway.reload(TWO);
    assert.equal(await get('/who'), 'two 2');
    await gateway.put('a');
    assert.equal(await held, 'one 1');
  });

  for (const as of [EVENTS, CONNECT]) {
    test(`of a stream as ${as}`, async (t) => {
      const gateway = await serve(t, ONE);
      const old = await stream(t, gateway, as, 'items', { name: 'a' });
      await old.next();
      await gateway.reload(TWO);
      const seen = old.all.length;
      for (let more = 0; more < 3; more++) assert.equal((await old.next()).item.version, 'one');
      const fresh = await stream(t, gateway, as, 'items', { name: 'a' });
      assert.equal((await fresh.next()).item.version, 'two');
      await gateway.put('a');
      const parts = await old.rest();
      assert.ok(parts.length > seen);
      assert.deepEqual(parts.filter((part) => part.item?.n).map(({ item }) => item.version).filter((v) => v !== 'one'), []);
      await fresh.rest();
      await gone(gateway, 1);
    });
  }

  test('from the end of its head on, over HTTP', async (t) => {
    const gateway = await serve(t, ONE);
    const raw = await open(t, gateway);
    const [head, body] = postText(gateway, request('who')).split('\r\n\r\n');
    raw.send(`${head}\r\n\r\n`);
    await call(gateway, 'who');
    await gateway.reload(TWO);
    await gateway.log(/ reload gen 2 /);
    const { result } = JSON.parse((await raw.send(body).response()).body);
    assert.deepEqual(result, OLD);
    await gone(gateway, 1);
  });
});

describe('cancela reload', () => {
  test('says what it has done, and so does the log', async (t) => {
    const gateway = await serve(t, ONE);
    const peer = await connect(t, gateway);
    const first = peer.call('hold', { name: 'a' }, 1);
    await holds(gateway, 'a');
    await gateway.write(TWO);
    const { code, stdout } = await gateway.ask('reload');
    assert.equal(code, 0);
    assert.match(stdout, /^generation 2 in \d+ ms; 1 call on older code; 1 WebSocket kept\n$/);
    await gateway.log(/ INFO +reload gen 2 in \d+ ms; 1 call still on gen 1; 1 WebSocket kept$/);
    const second = peer.call('hold', { name: 'b' }, 2);
    await holds(gateway, 'b', 'two');
    await gateway.write(THREE);
    const { took_ms: took, stall_us: stall, ...rest } = await gateway.json('reload');
    assert.ok(took >= 0 && stall >= 0 && stall <= (took + 1) * 1000, `${took} ms, ${stall} us`);
    assert.deepEqual(rest, { generation: 3, older_calls: 2, websockets: 1 });
    await gateway.log(/ INFO +reload gen 3 in \d+ ms; 2 calls still on gens 1 and 2; 1 WebSocket kept$/);
    const { calls } = await gateway.json('ps');
    assert.deepEqual(calls.map((each) => each.generation).sort(), [1, 2]);
    assert.match((await gateway.ask('ps')).stdout, / GEN\n(.* 1\n.* 2\n|.* 2\n.* 1\n)$/);
    await gateway.put('a');
    await gateway.put('b');
    assert.deepEqual((await first).result, OLD);
    assert.deepEqual((await second).result, NEW);
    for (const generation of [1, 2]) await gone(gateway, generation);
    const status = await gateway.json('status');
    assert.deepEqual([status.generation, status.reloads, status.reloads_failed], [3, 2, 0]);
  });

  test('the log names the generations on which calls are, and no others', async (t) => {
    const gateway = await serve(t, ONE, ['--max-generations', '5', '--workers', '2']);
    const peers = await Promise.all(Array.from({ length: 2 }, () => connect(t, gateway)));
    const held = [];
    const begin = async (name, version, peer) => {
      held.push(peer.call('hold', { name }, name));
      await holds(gateway, name, version);
    };
    await begin('a', 'one', peers[0]);
    await gateway.reload(TWO);
    await gateway.reload(THREE);
    await gateway.log(/ reload gen 3 in \d+ ms; 1 call still on gen 1; 2 WebSockets kept$/);
    await begin('b', 'three', peers[1]);
    await gateway.reload(appText('four'));
    await gateway.log(/ reload gen 4 in \d+ ms; 2 calls still on gens 1 and 3; 2 WebSockets kept$/);
    await begin('c', 'four', peers[0]);
    await begin('d', 'four', peers[1]);
    assert.equal((await gateway.reload(appText('five'))).older_calls, 4);
    await gateway.log(/ reload gen 5 in \d+ ms; 4 calls still on gens 1, 3 and 4; 2 WebSockets kept$/);
    for (const name of ['a', 'b', 'c', 'd']) await gateway.put(name);
    assert.deepEqual((await Promise.all(held)).map(({ result }) => result.generation), [1, 3, 4, 4]);
  });

  test('SIGHUP does the same', async (t) => {
    const gateway = await serve(t, ONE);
    await gateway.write(TWO);
    gateway.signal('SIGHUP');
    await gateway.log(/ INFO +reload gen 2 in \d+ ms; 0 WebSockets kept$/);
    assert.deepEqual((await call(gateway, 'who')).result, NEW);
    await gone(gateway, 1);
  });

  test('after it every connection of every worker runs the new code', async (t) => {
    const gateway = await serve(t, ONE, ['--workers', '3']);
    const raws = await Promise.all(Array.from({ length: 9 }, () => open(t, gateway)));
    const peers = await Promise.all(Array.from({ length: 9 }, () => connect(t, gateway)));
    for (let generation = 2; generation < 6; generation++) {
      const version = `v${generation}`;
      await gateway.reload(appText(version));
      const answers = [
        ...await Promise.all(raws.map((raw) => post(raw, gateway, 'who'))),
        ...(await Promise.all(peers.map((peer, id) => peer.call('who', {}, `${id} ${generation}`)))).map((a) => a.result),
      ];
      answers.forEach((answer) => assert.deepEqual(answer, { version, generation }));
    }
  });

  test('modules that the script requires are loaded again', async (t) => {
    const gateway = await serve(t, ONE);
    const text = appText('two', { before: 'app.procedures.word = function() return require "lib.word" end require "lib.word"' });
    await mkdir(join(gateway.folder, 'lib'));
    for (const word of ['first', 'second']) {
      await writeFile(join(gateway.folder, 'lib', 'word.lua'), `return "${word}"`);
      await gateway.reload(text);
      assert.equal((await call(gateway, 'word')).result, word);
    }
  });
});

describe('across a reload', () => {
  test('connections, subscriptions, client data and shared data stay; tables of the script do not', async (t) => {
    const gateway = await serve(t, ONE, ['--workers', '2']);
    const peers = [await connect(t, gateway), await connect(t, gateway)];
    for (const [at, peer] of peers.entries()) {
      await peer.call('subscribe', { topic: 'news' });
      await peer.call('keep', { value: { at } });
      await peer.call('count');
    }
    await gateway.reload(TWO);
    await peers[0].call('publish', { topic: 'news', data: 1 });
    for (const [at, peer] of peers.entries()) {
      assert.deepEqual((await peer.call('kept')).result, { value: { at }, version: 'two' });
      assert.ok(await until(() => peer.texts.some(({ method }) => method === 'news'), 10_000));
      assert.deepEqual(peer.texts.find(({ method }) => method === 'news').params, { version: 'two', data: 1 });
      assert.deepEqual((await peer.call('count')).result, { mine: 1, all: 3 + at });
    }
  });

  test('a call of the old code still reaches subscribers', async (t) => {
    const late = `app.procedures.late = function(params)
      log.info "late"
      wait(params.name)
      cancela.publish("news", { version = version })
    end`;
    const gateway = await serve(t, appText('one', { before: late }));
    const peer = await connect(t, gateway);
    const answer = peer.call('late', { name: 'a' }, 1);
    await gateway.log(/ late$/);
    await gateway.reload(TWO);
    await peer.call('subscribe', { topic: 'news' }, 2);
    await gateway.put('a');
    await answer;
    assert.ok(await until(() => peer.texts.some(({ method }) => method === 'news'), 10_000));
    assert.equal(peer.texts.find(({ method }) => method === 'news').params.version, 'one');
  });

  for (const slow of ['drop', 'suspend']) {
    test(`what waits for a slow subscriber of a topic with slow = "${slow}" comes, in order`, async (t) => {
      const topics = `topics = { news = { slow = "${slow}", queue = "8MiB" } }`;
      const flood = `app.procedures.flood = function(params)
        for n = 1, params.n do cancela.publish("news", { n = n, version = version, pad = ("x"):rep(100000) }) end
      end`;
      const gateway = await serve(t, appText('one', { before: flood, fields: topics }), ['--out-bytes', '4KiB']);
      const reader = await connect(t, gateway);
      await reader.call('subscribe', { topic: 'news' });
      reader.ws.pause();
      const old = call(gateway, 'flood', { n: 100 });
      if (slow === 'drop') await old;
      await gateway.reload(appText('two', { before: flood, fields: topics }));
      const fresh = call(gateway, 'flood', { n: 1 });
      if (slow === 'drop') await fresh;
      reader.ws.resume();
      assert.equal((await old).error, undefined);
      assert.equal((await fresh).error, undefined);
      const news = (version) => reader.texts.filter(({ params }) => params?.version === version).map(({ params }) => params.n);
      assert.ok(await until(() => news('two').length === 1 && news('one').includes(100), 10_000));
      assert.deepEqual(news('one'), news('one').toSorted((a, b) => a - b));
      if (slow === 'suspend') assert.equal(news('one').length, 100);
      await gone(gateway, 1);
    });
  }

  test('a file goes on being sent', async (t) => {
    const gateway = await serve(t, ONE);
    const bytes = 24 << 20, folder = join(gateway.folder, 'public');
    await mkdir(folder);
    await writeFile(join(folder, 'big'), Buffer.alloc(bytes, 'a'));
    await gateway.reload(appText('two', { fields: 'static = "public"' }));
    const socket = dialTcp(gateway.port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(`GET /big HTTP/1.1\r\nHost: ${gateway.address}\r\n\r\nGET /who HTTP/1.1\r\nHost: ${gateway.address}\r\n\r\n`);
    const [first] = await once(socket, 'data');
    socket.pause();
    await gateway.reload(THREE); // without the folder
    let text = first.toString('latin1').slice(-20), n = first.length;
    socket.on('data', (chunk) => {
      n += chunk.length;
      text = (text + chunk.toString('latin1')).slice(-20);
    });
    socket.resume();
    assert.ok(await until(() => text.endsWith('three 3'), 10_000), `${n} ${text}`);
    assert.ok(n > bytes);
    assert.equal((await fetch(`${gateway.url}/big`)).status, 404);
    await gone(gateway, 2);
  });
});

describe('a WebSocket handler', () => {
  test('of functions for events moves to the new code with the next event', async (t) => {
    const gateway = await serve(t, ONE);
    const socket = await dial(t, gateway, '/events');
    assert.equal(await socket.next(), 'open one');
    await gateway.reload(TWO);
    await gone(gateway, 1);
    socket.send('a');
    assert.equal(await socket.next(), 'two a');
    await gateway.reload(THREE);
    socket.ws.close(1000);
    await gateway.log(/ on_close three 1000$/);
    await gateway.log(/ on_disconnect three \/events disconnect$/);
  });

  test('whose on_message runs ends that on the old code; what waits behind it is the new code\'s, in order', async (t) => {
    const gateway = await serve(t, ONE);
    const socket = await dial(t, gateway, '/events');
    await socket.next();
    ['hold a', 'b', 'c', 'hold d', 'e'].forEach(socket.send);
    await holds(gateway, 'hold a');
    await gateway.reload(TWO);
    socket.send('f');
    await gateway.put('hold a');
    assert.equal(await socket.next(), 'one hold a');
    assert.equal(await socket.next(), 'two b');
    assert.equal(await socket.next(), 'two c');
    await holds(gateway, 'hold d', 'two');
    await gone(gateway, 1);
    await gateway.reload(THREE);
    await gateway.put('hold d');
    assert.equal(await socket.next(), 'two hold d');
    assert.equal(await socket.next(), 'three e');
    assert.equal(await socket.next(), 'three f');
  });

  test('whose client leaves while the old on_message runs is closed by the new code', async (t) => {
    const gateway = await serve(t, ONE);
    const socket = await dial(t, gateway, '/events');
    await socket.next();
    socket.send('hold a');
    await holds(gateway, 'hold a');
    await gateway.reload(TWO);
    socket.ws.terminate();
    await gateway.log(/ on_close (one|two) 1006$/);
    await gateway.log(/ on_disconnect two \/events disconnect$/);
    await gone(gateway, 1);
  });

  test('that is one function stays on the old code, and is closed with 1012 after reload_drain', async (t) => {
    const gateway = await serve(t, ONE, ['--reload-drain', '300ms']);
    const socket = await dial(t, gateway, '/run');
    socket.send('a');
    assert.equal(await socket.next(), 'one a');
    await gateway.reload(TWO);
    socket.send('b');
    assert.equal(await socket.next(), 'one b');
    const fresh = await dial(t, gateway, '/run');
    fresh.send('c');
    assert.equal(await fresh.next(), 'two c');
    assert.equal((await socket.end()).code, 1012);
    await gateway.log(/ run ended one reload$/);
    await gateway.log(/ on_disconnect two \/run reload$/);
    await gone(gateway, 1);
    fresh.send('d');
    assert.equal(await fresh.next(), 'two d');
  });

  const without = appText('two', { before: 'app.sockets["/events"] = nil' });
  const other = appText('two', { before: 'app.sockets["/events"] = app.sockets["/run"]' });
  for (const [what, text] of [['is gone', without], ['is of the other kind', other]]) {
    test(`whose path ${what} in the new code stays on the old until reload_drain`, async (t) => {
      const gateway = await serve(t, ONE, ['--reload-drain', '300ms']);
      const socket = await dial(t, gateway, '/events');
      await socket.next();
      await gateway.reload(text);
      socket.send('a');
      assert.equal(await socket.next(), 'one a');
      assert.equal((await socket.end()).code, 1012);
      await gateway.log(/ on_close one 1012$/);
      await gateway.log(/ on_disconnect two \/events reload$/);
      await gone(gateway, 1);
    });
  }

  test('whose path comes back meanwhile moves to that', async (t) => {
    const gateway = await serve(t, ONE);
    const socket = await dial(t, gateway, '/events');
    await socket.next();
    await gateway.reload(without);
    socket.send('a');
    assert.equal(await socket.next(), 'one a');
    await gateway.reload(THREE);
    socket.send('b');
    assert.equal(await socket.next(), 'three b');
    for (const generation of [1, 2]) await gone(gateway, generation);
  });

  test('whose on_connect runs during the reload is admitted, and opened by the new code', async (t) => {
    const asking = `function app.on_connect(client, request)
      if not request.query.name then return end
      log.info("asked " .. version)
      wait(request.query.name)
      client:set("by", version)
    end`;
    const gateway = await serve(t, appText('one', { before: asking }));
    const both = Promise.all(['/events', '/run'].map((path) => dial(t, gateway, `${path}?name=a`)));
    assert.ok(await until(() => gateway.lines.filter((line) => / asked one$/.test(line)).length === 2, 10_000));
    await gateway.reload(TWO);
    await gateway.put('a');
    const [events, run] = await both;
    assert.equal(await events.next(), 'open two');
    events.send('b');
    assert.equal(await events.next(), 'two b');
    run.send('c');
    assert.match(await run.next(), /^(one|two) c$/);
    run.ws.close();
    await gone(gateway, 1);
  });
});

test('a request that is refused before it is a call does not hold a generation', async (t) => {
  const gateway = await serve(t, ONE);
  const raw = await open(t, gateway);
  await raw.send(upgradeText(gateway, {}, 'GET /nowhere HTTP/1.1')).response();
  await gateway.reload(TWO);
  await gone(gateway, 1);
});
