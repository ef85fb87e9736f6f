// Binary frames: websocket.io-rpc-v0.1 and cancela.v1, at /socket and /rpc.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import WebSocket from 'ws';
import { ERROR, RESPONSE, V0_1, V1, ConnectionLost, dial, requestFrame, resetFrame } from './lib/frames.mjs';
import { start } from './lib/gateway.mjs';
import { skip } from './lib/load.mjs';
import { open } from './lib/raw.mjs';
import { call } from './lib/rpc.mjs';
import { connect, upgradeText } from './lib/ws.mjs';

const gateway = await start('frames.lua');
after(() => gateway.stop());

const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const count = (regex) => gateway.lines.filter((line) => regex.test(line)).length;

// The error that a call was answered with, in either protocol.
async function errorOf(client, name, data) {
  const { id, reply } = client.start(name, data);
  const value = await reply.then((payload) => JSON.parse(payload).error, ({ code, message, data: more }) =>
    ({ code, message, ...(more !== undefined && { data: more }) }));
  const frame = client.frames.find((f) => f.id === id);
  assert.equal(frame.kind, client.socket.protocol === V1 ? ERROR : RESPONSE);
  return value;
}

// Everything that was sent before has been dealt with.
const settled = (client) => client.json('add', { a: 1, b: 1 });

for (const protocol of [V0_1, V1]) {
  describe(protocol, () => {
    test('calls, byte for byte', async (t) => {
      const client = await dial(t, gateway, { protocol });
      client.send(hex('02 01020304 05 7570706572 6162'));
      const [reply, isBinary] = await once(client.socket, 'message');
      assert.equal(reply.toString('hex'), '04010203044142');
      assert.equal(isBinary, true);
    });

    test('a frame may come as a text message', async (t) => {
      const client = await dial(t, gateway, { protocol });
      client.socket.send(requestFrame(1, 'upper', 'ab').toString('latin1'), { binary: false });
      const [reply, isBinary] = await once(client.socket, 'message');
      assert.deepEqual([reply.toString('latin1'), isBinary], ['\x04\0\0\0\x01AB', true]);
    });

    test('is served at /rpc as well', async (t) => {
      const client = await dial(t, gateway, { protocol, path: '/rpc' });
      assert.equal(client.socket.protocol, protocol);
      assert.deepEqual(await client.json('whoami'),
        { protocol, subprotocol: protocol, path: '/rpc', request_id: 1, notification: false });
    });

    test('payload = "json": decoded and encoded; an empty one is no params', async (t) => {
      const client = await dial(t, gateway, { protocol });
      assert.equal(await client.json('add', { a: 2, b: 40 }), 42);
      assert.deepEqual(await client.json('echo', [1, 'ü', null]), [1, 'ü', null]);
      assert.deepEqual(await client.json('echo'), {});
      assert.deepEqual(await client.json('echo', { _meta: { timeout_ms: 0 } }), { _meta: { timeout_ms: 0 } });
      assert.equal(await client.text('nothing'), 'null');
    });

    test('payload = "text": UTF-8 both ways', async (t) => {
      const client = await dial(t, gateway, { protocol });
      assert.equal(await client.text('upper', 'grüße'), 'GRüßE');
      assert.equal(await client.text('upper'), '');
      assert.equal(await client.text('text_of_nothing'), '');
      assert.deepEqual(await errorOf(client, 'upper', [0xff]),
        { code: 'invalid_argument', message: 'the payload must be UTF-8' });
      for (const name of ['text_of_bytes', 'text_of_table']) {
        assert.deepEqual(await errorOf(client, name), { code: 'internal', message: 'internal error' });
      }
    });

    test('payload = "bytes": any, both ways', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      assert.deepEqual(await client.call('bytes', all), Buffer.from(all).reverse());
      assert.equal((await client.call('bytes')).length, 0);
    });

    test('errors: of the script, of the gateway, unknown procedures, bad params', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const data = protocol === V1 ? { data: { id: 7 } } : {};
      assert.deepEqual(await errorOf(client, 'fail'), { code: 'not_found', message: 'no such thing', ...data });
      assert.deepEqual(await errorOf(client, 'fail_by_number'), { code: 'unknown', message: 'of our own' });
      assert.deepEqual(await errorOf(client, 'crash'), { code: 'internal', message: 'internal error' });
      assert.deepEqual(await errorOf(client, 'no.such'),
        { code: 'unimplemented', message: 'no such procedure: no.such' });
      assert.deepEqual(await errorOf(client, ''), { code: 'unimplemented', message: 'no such procedure: ' });
      for (const params of ['{', '"hello"', '7', '\xff']) {
        assert.equal((await errorOf(client, 'add', Buffer.from(params, 'latin1'))).code, 'invalid_argument', params);
      }
      assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
    });

    test('the deadline of the procedure is answered', async (t) => {
      const client = await dial(t, gateway, { protocol });
      assert.deepEqual(await errorOf(client, 'brief'), { code: 'deadline_exceeded', message: 'the deadline passed' });
    });

    test('calls run beside each other', async (t) => {
      const client = await dial(t, gateway, { protocol });
      client.start('wait', `${protocol} beside`);
      const texts = await Promise.all(Array.from({ length: 100 }, (_, i) => client.text('upper', `a${i}`)));
      assert.deepEqual(texts, texts.map((_, i) => `A${i}`));
    });

    for (const procedure of ['wait', 'compute', 'manual']) {
      // ThreadSanitizer holds back the signals that end code that computes.
      const out = procedure === 'compute' && skip;
      test(`case 90: a reset of a call that is in ${procedure} is silent, and cancels it`, { skip: out }, async (t) => {
        const client = await dial(t, gateway, { protocol });
        const label = `${protocol} reset ${procedure}`;
        const aborter = new AbortController();
        const { id, reply } = client.start(procedure, label, { signal: aborter.signal });
        await gateway.log(new RegExp(`started ${label}$`));
        aborter.abort(new Error('enough'));
        await assert.rejects(reply, /enough/);
        await gateway.log(new RegExp(`closed ${label}$`));
        assert.equal(count(new RegExp(`on_cancel ${label} reset$`)), 1);
        await settled(client);
        assert.deepEqual(client.frames.filter((frame) => frame.id === id), []);
      });
    }

    test('case 90: a reset in the segment of its request keeps the call from running, and is silent', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const label = `${protocol} never`;
      client.socket._socket.cork();
      client.send(requestFrame(7, 'wait', label)).send(resetFrame(7));
      client.socket._socket.uncork();
      await settled(client);
      assert.deepEqual(client.frames.map((frame) => frame.id), [1]);
      assert.equal(count(new RegExp(`started ${label}$`)), 0);
    });

    test('a reset of an id that is unknown, has ended, or comes again, is ignored', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const other = await dial(t, gateway, { protocol });
      const label = `${protocol} other`;
      const { id } = other.start('wait', label);
      await gateway.log(new RegExp(`started ${label}$`));
      await client.call('upper');
      client.send(resetFrame(1)).send(resetFrame(0xffffffff)).send(resetFrame(id)).send(resetFrame(id));
      await settled(client);
      other.send(resetFrame(id));
      await gateway.log(new RegExp(`on_cancel ${label} reset$`));
      other.send(resetFrame(id));
      await settled(other);
    });

    test('case 21: an id is free once its call was reset, though it still runs, or was answered', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const label = `${protocol} again`;
      client.send(requestFrame(5, 'wait', label));
      await gateway.log(new RegExp(`started ${label}$`));
      client.send(resetFrame(5)).send(requestFrame(5, 'upper', 'a')).send(requestFrame(6, 'upper', 'b'));
      await settled(client);
      client.send(requestFrame(5, 'upper', 'c'));
      await settled(client);
      assert.deepEqual(client.frames.filter(({ id }) => id > 2).map(({ id, payload }) => [id, payload.toString()]),
        [[5, 'A'], [6, 'B'], [5, 'C']]);
    });

    test('case 21: a request with the id of a live call closes with 1002', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const label = `${protocol} twice`;
      const { id } = client.start('wait', label);
      await gateway.log(new RegExp(`started ${label}$`));
      client.send(requestFrame(id, 'upper', 'a'));
      assert.deepEqual(await client.end(), { code: 1002, reason: 'a request has the id of a call in flight' });
      await gateway.log(new RegExp(`on_cancel ${label} disconnect$`));
    });

    test('case 23: ids wrap past 2^32, and only the one that is live is refused', async (t) => {
      const client = await dial(t, gateway, { protocol, firstId: 2 ** 32 - 3 });
      client.send(requestFrame(4, 'wait', `${protocol} wrap`));
      const ids = [];
      for (let i = 0; i < 7; i++) {
        const { id, reply } = client.start('upper', `a${i}`);
        assert.equal((await reply).toString(), `A${i}`);
        ids.push(id);
      }
      assert.deepEqual(ids, [4294967293, 4294967294, 4294967295, 0, 1, 2, 3]);
      client.start('upper');
      assert.equal((await client.end()).code, 1002);
    });

    test('a lost connection cancels its calls', async (t) => {
      for (const [how, end] of [['close', (socket) => socket.close()], ['lost', (socket) => socket.terminate()]]) {
        const client = await dial(t, gateway, { protocol });
        const label = `${protocol} ${how}`;
        const { reply } = client.start('wait', label);
        await gateway.log(new RegExp(`started ${label}$`));
        end(client.socket);
        await gateway.log(new RegExp(`on_cancel ${label} disconnect$`));
        await gateway.log(new RegExp(`closed ${label}$`));
        await assert.rejects(reply, ConnectionLost);
      }
    });

    test('malformed frames close with 1002 and say why', async (t) => {
      const reasons = {
        '': 'an empty message is no frame',
        '00': 'unknown opcode of a frame',
        '04 00000001 61': 'unknown opcode of a frame',
        '05 00000001 61': 'unknown opcode of a frame',
        'ff': 'unknown opcode of a frame',
        '01': 'the frame ends within its name',
        '01 03 6161': 'the frame ends within its name',
        '01 02 c328': 'the name in a frame is not UTF-8',
        '02 000000': 'the frame ends within its id',
        '02 00000001': 'the frame ends within its name',
        '02 00000001 02 61': 'the frame ends within its name',
        '02 00000001 01 ff': 'the name in a frame is not UTF-8',
        '03 000000': 'the frame ends within its id',
      };
      for (const [text, reason] of Object.entries(reasons)) {
        const client = await dial(t, gateway, { protocol });
        const { reply } = client.start('wait', `${protocol} broken ${text}`);
        client.send(hex(text));
        assert.deepEqual(await client.end(), { code: 1002, reason }, text);
        await assert.rejects(reply, ConnectionLost);
      }
    });

    test('notifications call the procedure of that name, and are never answered', async (t) => {
      const client = await dial(t, gateway, { protocol });
      client.notify('heard', `${protocol} "x"`).notify('no.such', 'x').notify('fail').notify('add', 'no JSON').notify('');
      await gateway.log(new RegExp(`heard true "${protocol} ..x`));
      await settled(client);
      assert.equal(client.frames.length, 1);
    });

    test('client:notify sends strings as they are, and anything else as JSON', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const { too_long, not_utf8, sent } = await client.json('tell');
      assert.match(too_long, /at most 255 bytes/);
      assert.match(not_utf8, /must be UTF-8/);
      assert.match(sent, /this client speaks binary frames: use client:notify/);
      assert.deepEqual(client.frames.slice(0, -1).map(({ name, payload }) => [name, payload.toString('latin1')]), [
        ['string', 'plain \xff'], ['number', '7'], ['table', '{"a":[1,2]}'], ['nothing', ''], ['', 'no name'],
        ['n'.repeat(255), 'a long name'],
      ]);
    });

    test('frames in many pieces, and pings between them, are frames', async (t) => {
      const client = await dial(t, gateway, { protocol });
      const frame = requestFrame(9, 'upper', 'abc');
      frame.forEach((byte, i) => {
        client.socket.send(Buffer.from([byte]), { binary: true, fin: i === frame.length - 1 });
        client.socket.ping();
      });
      const [reply] = await once(client.socket, 'message');
      assert.equal(reply.toString('latin1'), '\x04\0\0\0\x09ABC');
    });

    test('permessage-deflate may be agreed on', async (t) => {
      const client = await dial(t, gateway, { protocol, perMessageDeflate: { threshold: 0 } });
      assert.match(client.socket.extensions, /permessage-deflate/);
      assert.equal(await client.text('upper', 'a'.repeat(10_000)), 'A'.repeat(10_000));
    });
  });
}

describe('the upgrade', () => {
  const status = async (t, fields, line) => {
    const raw = await open(t, gateway);
    const { status: code, headers, body } = await raw.send(upgradeText(gateway, fields, line)).response();
    return { code, body, protocol: headers.get('sec-websocket-protocol') };
  };
  const offer = (value) => ({ 'Sec-WebSocket-Protocol': value });

  test('the offer is a list, of which the first that is known is echoed', async (t) => {
    for (const [list, chosen] of [
      [V0_1, V0_1], [V1, V1], [`x, ${V0_1}`, V0_1], [`x,${V1} ,${V0_1}`, V1], [`jsonrpc, ${V0_1}`, 'jsonrpc'],
      [`${V0_1}x`, undefined], ['x', undefined],
    ]) {
      const answer = await status(t, offer(list));
      assert.deepEqual([answer.code, answer.protocol], [101, chosen], list);
    }
  });

  test('/socket takes frames only', async (t) => {
    const line = 'GET /socket HTTP/1.1';
    assert.equal((await status(t, offer(V0_1), line)).code, 101);
    assert.equal((await status(t, offer(`jsonrpc, ${V1}`), line)).protocol, V1);
    for (const fields of [{}, offer('jsonrpc'), offer('x')]) {
      const answer = await status(t, fields, line);
      assert.equal(answer.code, 400);
      assert.match(answer.body, /offer the subprotocol websocket\.io-rpc-v0\.1 or cancela\.v1/);
    }
  });

  test('what is no WebSocket is 400, 405 or 426', async (t) => {
    const line = 'GET /socket HTTP/1.1';
    assert.equal((await status(t, { ...offer(V0_1), 'Sec-WebSocket-Key': null }, line)).code, 400);
    assert.equal((await status(t, { ...offer(V0_1), 'Sec-WebSocket-Version': '12' }, line)).code, 426);
    assert.equal((await status(t, { ...offer(V0_1), Upgrade: null, Connection: null }, line)).code, 426);
    assert.equal((await fetch(`${gateway.url}/socket`, { method: 'POST' })).status, 405);
  });

  test('on_connect may refuse', async (t) => {
    const socket = new WebSocket(`ws://${gateway.address}/socket?refuse=1`, V0_1);
    t.after(() => socket.terminate());
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    assert.equal(response.statusCode, 403);
  });
});

describe('text and bytes over JSON', () => {
  test('are one positional string, of base64 for bytes', async (t) => {
    const peer = await connect(t, gateway);
    assert.equal((await peer.call('upper', ['grüße'])).result, 'GRüßE');
    assert.equal((await peer.call('upper', [])).result, '');
    assert.equal((await peer.call('upper')).result, '');
    assert.equal((await peer.call('upper', { _meta: { timeout_ms: 1000 } })).result, '');
    assert.equal((await peer.call('text_of_nothing')).result, null);
    assert.equal((await peer.call('bytes', [Buffer.from([0, 255, 7]).toString('base64')])).result,
      Buffer.from([7, 255, 0]).toString('base64'));
    assert.equal((await peer.call('bytes')).result, '');
  });

  test('anything else is invalid_argument', async (t) => {
    const peer = await connect(t, gateway);
    for (const params of [['a', 'b'], [7], [['a']], [null], { text: 'a' }]) {
      const { error } = await peer.call('upper', params);
      assert.deepEqual([error.code, error.message], [-32602, 'params must be one string: ["text"]'], params);
    }
    const { error } = await peer.call('bytes', ['*']);
    assert.deepEqual([error.code, error.message], [-32602, 'params[1] must be base64']);
  });

  test('single calls too', async () => {
    const post = async (name, body) => {
      const response = await fetch(`${gateway.rpcUrl}/${name}`,
        { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
      return [response.status, await response.json()];
    };
    assert.deepEqual(await post('upper', '["a"]'), [200, 'A']);
    assert.deepEqual(await post('upper', '{}'), [200, '']);
    assert.equal((await post('upper', '{"a":1}'))[0], 400);
  });
});

describe('limits', async () => {
  const small = await start('frames.lua', [
    '--calls-per-connection', '8', '--message-bytes', '1KiB', '--resets-per-second', '5', '--json-depth', '4']);
  after(() => small.stop());

  test('calls_per_connection: more are answered unavailable; a call that was reset counts while it cleans up', async (t) => {
    const client = await dial(t, small);
    const label = (i) => `limit ${i}`;
    for (let i = 1; i <= 8; i++) client.start(i === 1 ? 'manual' : 'wait', label(i));
    await small.log(/started limit 8$/);
    assert.equal(JSON.parse(await client.call('upper')).error.code, 'unavailable');
    client.send(resetFrame(1)).send(resetFrame(2));
    assert.equal(JSON.parse(await client.call('upper')).error.code, 'unavailable');
    await small.log(/closed limit 1$/);
  });

  test('message_bytes: one byte more is 1009', async (t) => {
    const client = await dial(t, small);
    const most = 1024 - requestFrame(1, 'upper').length;
    assert.equal((await client.text('upper', 'a'.repeat(most))).length, most);
    client.start('upper', 'a'.repeat(most + 1));
    assert.equal((await client.end()).code, 1009);
  });

  test('json_depth: deeper payloads are invalid_argument', async (t) => {
    const client = await dial(t, small);
    assert.deepEqual(await client.json('echo', [[[[]]]]), [[[[]]]]);
    assert.equal((await client.json('echo', [[[[[]]]]])).error.code, 'invalid_argument');
  });

  test('resets_per_second: more close with 1008', async (t) => {
    const client = await dial(t, small);
    for (let id = 100; id < 107; id++) client.send(requestFrame(id, 'wait', 'often')).send(resetFrame(id));
    assert.deepEqual(await client.end(), { code: 1008, reason: 'too many calls were reset (resets_per_second)' });
  });

  test('a reset behind the result is late, and is counted', async (t) => {
    const client = await dial(t, small);
    const before = await client.json('stats');
    client.send(resetFrame(1)).send(resetFrame(999));
    assert.equal((await client.json('stats')).late_resets, before.late_resets + 1);
  });

  test('a client that takes nothing is closed with 1013, and its calls are cancelled', async (t) => {
    const own = await start('frames.lua', ['--write-timeout', '200ms']);
    t.after(() => own.stop());
    const client = await dial(t, own);
    client.socket.pause();
    client.start('wait', 'starved');
    // Kernels hold up to tcp_rmem + tcp_wmem for a reader that is slow: 36 MiB on some machines.
    for (let i = 0; i < 24; i++) client.start('big', String(2 << 20));
    await own.log(/on_cancel starved slow_consumer/);
    client.socket.resume();
    assert.equal((await client.end()).code, 1013);
  });

  test('a drain answers what runs, then closes with 1001', async (t) => {
    const own = await start('frames.lua');
    const client = await dial(t, own);
    const { reply } = client.start('brief');
    await settled(client);
    const ended = own.stop();
    assert.equal(JSON.parse(await reply).error.code, 'deadline_exceeded');
    assert.equal((await client.end()).code, 1001);
    await ended;
  });
});

describe('the example cancellation', async () => {
  const example = await start('../../../examples/cancellation/app.lua');
  after(() => example.stop());

  test('answers what the published page calls', async (t) => {
    const client = await dial(t, example);
    const { address, port } = client.socket._socket.address();
    assert.equal(await client.text('myip', ''), `${address}:${port}`);
    assert.equal(await client.text('uppercase', 'hello'), 'HELLO');
    const replies = [client.text('long_running_task', []), client.text('long_runing_task', [])];
    assert.deepEqual(await Promise.all(replies), ['done!', 'done!']);
  });

  test('answers ping with pong, and tells broadcasts to all', async (t) => {
    const [one, two, three] = await Promise.all([dial(t, example), dial(t, example, { protocol: V1 }), connect(t, example)]);
    const ping = Buffer.from([0, 255, 1]);
    one.notify('ping', ping);
    assert.deepEqual((await one.on('pong').next()).value, ping);
    const text = new Promise((resolve) => { three.ws.on('message', (data) => resolve(JSON.parse(data))); });
    two.notify('broadcast', 'hello, all');
    assert.deepEqual([await one.next('message'), await two.next('message')], ['hello, all', 'hello, all']);
    assert.deepEqual(await text, { jsonrpc: '2.0', method: 'message', params: ['hello, all'] });
    assert.deepEqual(one.frames.map(({ name }) => name), ['pong', 'message']);
  });

  test('a client that has left is told nothing, and nobody waits for it', async (t) => {
    const [one, two] = await Promise.all([dial(t, example), dial(t, example)]);
    two.socket.terminate();
    one.notify('broadcast', 'still here?');
    assert.equal(await one.next('message'), 'still here?');
  });

  test('resets the long task on abort, silently; the connection serves on', async (t) => {
    const client = await dial(t, example);
    const aborter = new AbortController();
    const { id, reply } = client.start('long_runing_task', [], { signal: aborter.signal });
    await client.text('uppercase', 'a');
    aborter.abort('TimeOut!');
    await assert.rejects(reply, (reason) => reason === 'TimeOut!');
    await example.log(new RegExp(`procedure=long_runing_task outcome=canceled reason=reset .*request_id=${id}`));
    assert.equal(await client.text('uppercase', 'b'), 'B');
    assert.equal(client.frames.some((frame) => frame.id === id), false);
  });

  test('a lost connection ends calls and iterators of the client', async (t) => {
    const client = await dial(t, example);
    const { reply } = client.start('long_running_task');
    const messages = client.on('message');
    client.notify('broadcast', 'one');
    assert.equal((await messages.next()).value.toString(), 'one');
    const next = messages.next();
    client.socket._socket.destroy();
    await assert.rejects(reply, ConnectionLost);
    await assert.rejects(next, ConnectionLost);
    await example.log(/procedure=long_running_task outcome=canceled reason=disconnect/);
  });

  test('answers the same over JSON-RPC', async () => {
    assert.equal((await call(example, 'uppercase', ['hello'])).result, 'HELLO');
    assert.match((await call(example, 'myip')).result, /^127\.0\.0\.1:\d+$/);
  });
});
