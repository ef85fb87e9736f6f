// Streams on every protocol that has them: items in order, progress, the result or the error behind
// them; and what is refused, and how, where there are none.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { dial, PART, requestFrame, V0_1, V1 } from './lib/frames.mjs';
import { start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, post, request } from './lib/rpc.mjs';
import { begin, CONNECT, envelope, EnvelopeReader, EventReader, EVENTS, requestText, stream } from './lib/streams.mjs';
import { connect } from './lib/ws.mjs';

const gateway = await start('streams.lua', ['--access-log', 'all']);
after(() => gateway.hangUp().stop());

const META = { _meta: { itemToken: 'items', progressToken: 'progress' } };
const numbers = (n) => Array.from({ length: n }, (_, i) => ({ n: i + 1 }));

// What came under a token, in order.
const under = (peer, token) => peer.texts.filter(({ method, params }) => method === '$/progress' && params.token === token)
  .map(({ params }) => params.value);

// Each protocol's way to call: resolves to {items, progress, result, error}.
const WAYS = {
  async 'JSON-RPC on a WebSocket'(t, name, params) {
    const peer = await connect(t, gateway);
    const { result, error } = await peer.call(name, { ...params, ...META });
    assert.ok('id' in peer.texts.at(-1), 'nothing comes behind the reply');
    return { items: under(peer, 'items'), progress: under(peer, 'progress'), result, error: error?.data };
  },
  async [V1](t, name, params) {
    const client = await dial(t, gateway, { protocol: V1 });
    const outcome = await client.json(name, params).then((result) => ({ result }), (error) => ({ error }));
    const items = client.frames.filter(({ kind }) => kind === PART).map(({ payload }) => JSON.parse(payload));
    assert.notEqual(client.frames.at(-1).kind, PART);
    if (outcome.error) outcome.error = { code: outcome.error.code, ...outcome.error.data };
    return { items, progress: null, ...outcome };
  },
  Connect: (t, name, params) => overHttp(t, CONNECT, name, params),
  'server-sent events': (t, name, params) => overHttp(t, EVENTS, name, params),
};

// The result is the last item there.
async function overHttp(t, as, name, params) {
  const streamed = await stream(t, gateway, as, name, params);
  assert.equal(streamed.status, 200);
  assert.equal(streamed.type, as);
  const parts = await streamed.rest();
  assert.ok(parts.at(-1).end, 'the end is the last');
  const items = parts.filter((part) => 'item' in part).map(({ item }) => item);
  const { error } = parts.at(-1).end;
  const progress = parts.filter((part) => 'progress' in part).map((part) => part.progress);
  return { items, progress: as === EVENTS ? progress : null, last: true,
    error: error && { code: error.code, ...error.details?.[0].debug } };
}

for (const [way, run] of Object.entries(WAYS)) {
  describe(way, () => {
    test('items come in order, and then the result', async (t) => {
      const { items, result, error, last } = await run(t, 'count', { n: 50, result: 'done' });
      assert.equal(error, undefined);
      assert.deepEqual(items, last ? [...numbers(50), 'done'] : numbers(50));
      if (!last) assert.equal(result, 'done');
    });

    test('without a result nothing follows the items', async (t) => {
      const { items, result } = await run(t, 'count', { n: 3 });
      assert.deepEqual(items, numbers(3));
      assert.ok(result === undefined || result === null);
    });

    test('progress comes between the items, where there is any', async (t) => {
      const { items, progress } = await run(t, 'count', { n: 4, progress: true });
      assert.deepEqual(items, numbers(4));
      if (progress) assert.deepEqual(progress, [0, 1, 2, 3].map((done) => ({ done })));
    });

    test('an error may come behind items', async (t) => {
      const { items, error } = await run(t, 'count', { n: 2, fail: true });
      assert.deepEqual(items, numbers(2));
      assert.deepEqual([error.code, error.after], ['not_found', 2]);
    });

    test('the text of a script error stays in the log', async (t) => {
      const { items, error } = await run(t, 'crash');
      assert.deepEqual(items, [1]);
      assert.equal(error.code, 'internal');
      assert.ok(!JSON.stringify(error).includes('secret'));
    });

    test('no items at all', async (t) => {
      const { items, error } = await run(t, 'nothing');
      assert.deepEqual([items, error], [[], undefined]);
    });

    test('items are any JSON values, null too', async (t) => {
      const { items } = await run(t, 'values');
      assert.deepEqual(items, [1, 'two\n\u2028', true, [3], { four: 4 }, null]);
    });

    test('an item that is no JSON value fails the call, and the log says why', async (t) => {
      const { items, error } = await run(t, 'bad_item');
      assert.deepEqual([items, error.code], [[], 'internal']);
      await gateway.log(/call:send: value\.f: .*function/);
    });

    test('1000 items are all there', async (t) => {
      const { items } = await run(t, 'count', { n: 1000 });
      assert.deepEqual(items, numbers(1000));
    });

    test('items of subtasks: none is lost, those of each are in order', async (t) => {
      const { items, last } = await run(t, 'subtasks', { tasks: 5, n: 20 });
      if (last) assert.equal(items.pop(), 'done');
      assert.equal(items.length, 100);
      for (let at = 1; at <= 5; at++) {
        assert.deepEqual(items.filter((item) => item.at === at).map(({ n }) => n), numbers(20).map(({ n }) => n));
      }
    });

    test('send_op in select, beside a channel; an operation may be used again', async (t) => {
      const { items, result, last } = await run(t, 'offer');
      const sent = [{ n: 1, value: 1 }, { n: 2, value: 2 }, { n: 3, value: 3 }, { n: 4 }, 'again', 'again'];
      assert.deepEqual(items, last ? [...sent, [1, 1]] : sent);
      if (!last) assert.deepEqual(result, [1, 1]);
    });
  });
}

describe('payloads', () => {
  test('text in frames is as it is', async (t) => {
    const client = await dial(t, gateway, { protocol: V1 });
    assert.equal(await client.text('words', 'ä {"b" c'), 'ä {"B" C');
    assert.deepEqual(client.frames.filter(({ kind }) => kind === PART).map(({ payload }) => payload.toString()), ['ä', '{"b"', 'c']);
  });

  test('bytes in frames are as they are', async (t) => {
    const client = await dial(t, gateway, { protocol: V1 });
    const data = Buffer.from([0, 255, 254, 10, 128]);
    assert.deepEqual(await client.call('bytes', data), Buffer.from([128, 10, 254, 255, 0]));
    assert.deepEqual(client.frames.slice(0, -1).map(({ payload }) => [...payload]), [[0, 255], [254, 10], [128]]);
  });

  test('over JSON bytes are base64', async (t) => {
    const peer = await connect(t, gateway);
    peer.send({ ...request('bytes', [Buffer.from([0, 255, 254]).toString('base64')]), ...META });
    assert.equal((await peer.reply(1)).result, Buffer.from([254, 255, 0]).toString('base64'));
    assert.deepEqual(under(peer, 'items'), ['AP8=', '/g==']);
    for (const as of [CONNECT, EVENTS]) {
      const parts = await (await stream(t, gateway, as, 'bytes', ['AP/+'])).rest();
      assert.deepEqual(parts.map(({ item }) => item), ['AP8=', '/g==', '/v8A', undefined]);
    }
  });

  test('over JSON text is a string', async (t) => {
    for (const as of [CONNECT, EVENTS]) {
      const parts = await (await stream(t, gateway, as, 'words', ['a\nb'])).rest();
      assert.deepEqual(parts.map(({ item }) => item), ['a', 'b', 'A\nB', undefined]);
    }
  });

  test('a result that does not fit the payload is an error behind the items', async (t) => {
    const client = await dial(t, gateway, { protocol: V1 });
    await assert.rejects(client.call('text', 'a b'), { code: 'internal' });
    assert.deepEqual(client.frames.map(({ kind }) => kind), [PART, PART, 5]);
  });
});

describe('JSON-RPC on a WebSocket', () => {
  test('tokens may be numbers, and may stand in params as in LSP', async (t) => {
    const peer = await connect(t, gateway);
    await peer.call('count', { n: 2, progress: true, partialResultToken: 7, workDoneToken: -8 });
    assert.deepEqual(under(peer, 7), numbers(2));
    assert.deepEqual(under(peer, -8), [{ done: 0 }, { done: 1 }]);
  });

  test('a token that is none is an invalid argument', async (t) => {
    const peer = await connect(t, gateway);
    for (const token of [1.5, {}, true]) {
      for (const params of [{ partialResultToken: token }, { _meta: { itemToken: token } }]) {
        const { error } = await peer.call('count', { n: 1, ...params });
        assert.equal(error.data.code, 'invalid_argument', JSON.stringify(params));
      }
    }
  });

  test('progress without its token is dropped', async (t) => {
    const peer = await connect(t, gateway);
    await peer.call('count', { n: 2, progress: true, _meta: { itemToken: 'i' } });
    assert.deepEqual(peer.texts.map(({ params }) => params?.token), ['i', 'i', undefined]);
  });

  test('a procedure that does not stream tells of its progress', async (t) => {
    const peer = await connect(t, gateway);
    assert.deepEqual((await peer.call('unary_progress', { n: 2, ...META })).result, [true, true]);
    assert.deepEqual(under(peer, 'progress'), [{ done: 1 }, { done: 2 }]);
    assert.deepEqual((await peer.call('unary_progress', { n: 2 })).result, [false, false]);
    assert.deepEqual((await call(gateway, 'unary_progress', { n: 1, ...META })).result, [false]);
  });

  test('two streams on one connection do not wait for each other', async (t) => {
    const peer = await connect(t, gateway);
    const replies = ['a', 'b'].map((itemToken) => peer.call('count', { n: 5, every: 0.02, _meta: { itemToken } }, itemToken));
    await Promise.all(replies);
    const order = peer.texts.map(({ params }) => params?.token).filter(Boolean).join('');
    assert.match(order, /^(ab|ba){4}/);
    assert.equal(order.length, 10);
  });

  test('in a batch a stream sends its items before the reply of the batch', async (t) => {
    const peer = await connect(t, gateway);
    peer.send([request('add', { a: 1, b: 1 }, 'sum'), request('count', { n: 2, result: 'r', ...META }, 'stream'), request('count', { n: 1 }, 'refused')]);
    while (!Array.isArray(peer.texts.at(-1))) await once(peer.ws, 'message');
    assert.deepEqual(under(peer, 'items'), numbers(2));
    const replies = new Map(peer.texts.at(-1).map((reply) => [reply.id, reply]));
    assert.equal(replies.get('sum').result, 2);
    assert.equal(replies.get('stream').result, 'r');
    assert.equal(replies.get('refused').error.data.code, 'failed_precondition');
  });
});

describe('refused before it begins', () => {
  const refused = (error, said) => {
    assert.equal(error.code === 'failed_precondition' || error.data.code === 'failed_precondition', true, JSON.stringify(error));
    assert.match(error.message, said);
  };

  test('JSON-RPC over HTTP, also in a batch', async () => {
    const said = /streams, and JSON-RPC over HTTP cannot: .*WebSocket with an itemToken.*Accept: text\/event-stream/;
    refused((await call(gateway, 'watched_count', { n: 1, label: 'refused', ...META })).error, said);
    const batch = [request('watched_count', { n: 1, label: 'refused' }, 1), request('add', { a: 1, b: 1 }, 2)];
    const replies = JSON.parse((await post(gateway, JSON.stringify(batch))).text).sort((a, b) => a.id - b.id);
    refused(replies[0].error, said);
    assert.equal(replies[1].result, 2);
  });

  test('JSON-RPC on a WebSocket without a token', async (t) => {
    const peer = await connect(t, gateway);
    for (const params of [{}, [], { _meta: { progressToken: 1 } }]) {
      refused((await peer.call('watched_count', params)).error, /_meta\.itemToken or partialResultToken/);
    }
  });

  test('the frames of v0.1', async (t) => {
    const client = await dial(t, gateway, { protocol: V0_1 });
    refused((await client.json('watched_count', { n: 1, label: 'refused' })).error, /subprotocol cancela\.v1/);
  });

  test('Connect unary, with POST and GET', async () => {
    const { status, text } = await post(gateway, '{"n":1,"label":"refused"}', { path: '/rpc/watched_count' });
    assert.equal(status, 400);
    refused(JSON.parse(text), /streams/);
    for (const method of ['GET', 'HEAD']) {
      const answer = await fetch(`${gateway.rpcUrl}/read?message={"n":1}`, { method });
      assert.equal(answer.status, 400);
      const body = await answer.text();
      if (method === 'GET') refused(JSON.parse(body), /application\/connect\+json|text\/event-stream/);
      else assert.equal(body, '');
    }
  });

  test('notifications, of every kind', async (t) => {
    const peer = await connect(t, gateway);
    peer.send({ jsonrpc: '2.0', method: 'watched_count', params: { n: 1, label: 'refused', ...META } });
    const client = await dial(t, gateway, { protocol: V1 });
    client.notify('watched_count', '{"n":1,"label":"refused"}');
    await post(gateway, JSON.stringify({ jsonrpc: '2.0', method: 'watched_count', params: { n: 1, label: 'refused' } }));
    assert.equal((await peer.call('add', { a: 1, b: 1 })).result, 2);
    assert.equal(await client.json('add', { a: 1, b: 1 }), 2);
    assert.deepEqual([peer.texts.length, client.frames.length], [1, 1]);
  });

  test('the procedure never ran', () => {
    assert.ok(!gateway.lines.some((line) => line.includes('started refused')));
  });
});

test('send in a procedure that does not stream is an error, and the log says what to do', async () => {
  assert.equal((await call(gateway, 'unary')).error.data.code, 'internal');
  await gateway.log(/call:send: 'unary' does not stream: declare it with stream = true/);
});

test('send after the end is "closed"', async (t) => {
  for (const [way, run] of Object.entries(WAYS)) {
    assert.deepEqual((await run(t, 'detached', { label: way })).items, ['in time'], way);
    await gateway.log(new RegExp(`${way} late: nil closed, nil closed, false`));
  }
});

describe('Connect', () => {
  const bodies = [
    ['an empty body', Buffer.alloc(0), /one whole message/],
    ['half a prefix', Buffer.from([0, 0, 0]), /one whole message/],
    ['less than its length says', envelope({}).subarray(0, 6), /one whole message/],
    ['a length of 4 GiB', Buffer.from([0, 255, 255, 255, 255, 123, 125]), /one whole message/],
    ['a compressed message', envelope({}, 1), /compression is not supported/],
    ['an end for a message', envelope({}, 2), /flags of a request's message must be 0/],
    ['reserved flags', envelope({}, 0x80), /flags of a request's message must be 0/],
    ['a second message', Buffer.concat([envelope({}), envelope({})]), /one message: more follow/],
    ['a second prefix that is cut off', Buffer.concat([envelope({}), Buffer.from([0])]), /one message: more follow/],
    ['JSON without an envelope', Buffer.from('{"n":1}'), /one whole message/],
    ['no JSON', envelope('{"n":'), /./],
    ['JSON that is no params', envelope('7'), /./],
  ];
  for (const [what, body, said] of bodies) {
    test(`${what} is an invalid argument, in the end frame of a 200`, async (t) => {
      const streamed = await stream(t, gateway, CONNECT, 'count', null, { body });
      assert.equal(streamed.status, 200);
      const parts = await streamed.rest();
      assert.equal(parts.length, 1);
      assert.equal(parts[0].end.error.code, 'invalid_argument');
      assert.match(parts[0].end.error.message, said);
    });
  }

  test('an empty message is no params', async (t) => {
    const parts = await (await stream(t, gateway, CONNECT, 'nothing', null, { body: envelope('') })).rest();
    assert.deepEqual(parts, [{ end: {} }]);
  });

  test('an unknown procedure is unimplemented, in the end frame of a 200', async (t) => {
    const streamed = await stream(t, gateway, CONNECT, 'no.such');
    assert.equal(streamed.status, 200);
    const [{ end }] = await streamed.rest();
    assert.equal(end.error.code, 'unimplemented');
  });

  test('params that do not fit are an invalid argument', async (t) => {
    const [{ end }] = await (await stream(t, gateway, CONNECT, 'declared', { size: 'big' })).rest();
    assert.equal(end.error.code, 'invalid_argument');
    assert.match(end.error.message, /size/);
  });

  test('Connect-Content-Encoding other than identity is unimplemented', async (t) => {
    const [{ end }] = await (await stream(t, gateway, CONNECT, 'count', { n: 1 }, { lines: ['Connect-Content-Encoding: gzip'] })).rest();
    assert.equal(end.error.code, 'unimplemented');
    assert.match(end.error.message, /Connect-Content-Encoding/);
    const parts = await (await stream(t, gateway, CONNECT, 'count', { n: 1 }, { lines: ['Connect-Content-Encoding: identity', 'Connect-Accept-Encoding: gzip', 'Connect-Protocol-Version: 1'] })).rest();
    assert.deepEqual(parts, [{ item: { n: 1 } }, { end: {} }]);
  });

  test('another Connect-Protocol-Version is refused', async (t) => {
    const [{ end }] = await (await stream(t, gateway, CONNECT, 'count', { n: 1 }, { lines: ['Connect-Protocol-Version: 2'] })).rest();
    assert.equal(end.error.code, 'invalid_argument');
  });

  test('a procedure that does not stream gives one item', async (t) => {
    const parts = await (await stream(t, gateway, CONNECT, 'add', { a: 1, b: 2 })).rest();
    assert.deepEqual(parts, [{ item: 3 }, { end: {} }]);
  });

  test('the type may have parameters', async (t) => {
    const raw = await open(t, gateway);
    const text = requestText(gateway, CONNECT, 'count', { n: 1 }).replace(CONNECT, `${CONNECT}; charset=utf-8`);
    assert.deepEqual(await (await begin(raw, text)).rest(), [{ item: { n: 1 } }, { end: {} }]);
  });

  test('GET with this type is not taken for a stream', async () => {
    const answer = await fetch(`${gateway.rpcUrl}/read?message={"n":1}`, { headers: { 'content-type': CONNECT } });
    assert.equal(answer.status, 400);
  });
});

describe('server-sent events', () => {
  test('GET of a read_only procedure', async (t) => {
    const raw = await open(t, gateway);
    const text = `GET /rpc/read?message=%7B%22n%22%3A2%7D HTTP/1.1\r\nHost: ${gateway.address}\r\nAccept: text/html, ${EVENTS};q=0.5\r\n\r\n`;
    const streamed = await begin(raw, text);
    assert.deepEqual(await streamed.rest(), [{ item: { n: 1 } }, { item: { n: 2 } }, { end: {} }]);
    assert.equal(streamed.headers.get('cache-control'), 'no-store');
    assert.equal(streamed.headers.get('transfer-encoding'), 'chunked');
    assert.equal(streamed.headers.get('content-length'), undefined);
  });

  test('a Connect GET query, as others write it', async (t) => {
    const raw = await open(t, gateway);
    const message = Buffer.from('{"n":1}').toString('base64url');
    const text = `GET /rpc/read?connect=v1&encoding=json&base64=1&message=${message} HTTP/1.1\r\nHost: ${gateway.address}\r\nAccept: ${EVENTS}\r\n\r\n`;
    assert.deepEqual(await (await begin(raw, text)).rest(), [{ item: { n: 1 } }, { end: {} }]);
  });

  test('params that do not fit end the stream with an error', async (t) => {
    const [{ end }] = await (await stream(t, gateway, EVENTS, 'declared', { size: 'big' })).rest();
    assert.equal(end.error.code, 'invalid_argument');
    assert.match(end.error.message, /size/);
  });

  for (const body of ['{"size":', '7']) {
    test(`a body of ${body} is 400, which EventSource looks at`, async () => {
      const { status, headers, text } = await post(gateway, body, { path: '/rpc/declared', headers: { accept: EVENTS } });
      assert.deepEqual([status, headers.get('content-type')], [400, 'application/json']);
      assert.equal(JSON.parse(text).code, 'invalid_argument');
    });
  }

  test('an unknown procedure is 404', async () => {
    const answer = await fetch(`${gateway.rpcUrl}/no.such`, { method: 'POST', body: '{}', headers: { accept: EVENTS, 'content-type': 'application/json' } });
    assert.equal(answer.status, 404);
    assert.equal((await answer.json()).code, 'unimplemented');
  });

  test('GET of a procedure that is not read_only is 405', async () => {
    const answer = await fetch(`${gateway.rpcUrl}/count`, { headers: { accept: EVENTS } });
    assert.equal(answer.status, 405);
    await answer.arrayBuffer();
  });

  test('a procedure that does not stream gives one message', async (t) => {
    assert.deepEqual(await (await stream(t, gateway, EVENTS, 'add', { a: 1, b: 2 })).rest(), [{ item: 3 }, { end: {} }]);
    assert.deepEqual(await (await stream(t, gateway, EVENTS, 'unary_progress', { n: 1 })).rest(), [{ progress: { done: 1 } }, { item: [true] }, { end: {} }]);
  });

  test('an Accept that only sounds like it is not it', async () => {
    for (const accept of ['text/event-streams', 'text/*', '*/*', 'x; text/event-stream']) {
      const { status } = await post(gateway, '{"n":1}', { path: '/rpc/count', headers: { accept } });
      assert.equal(status, 400, accept);
    }
  });
});

describe('HTTP', () => {
  for (const as of [CONNECT, EVENTS]) {
    test(`requests pipelined behind a stream are answered after it (${as})`, async (t) => {
      const raw = await open(t, gateway);
      raw.send(requestText(gateway, as, 'count', { n: 3, every: 0.01 }), postText(gateway, request('add', { a: 1, b: 1 })));
      raw.send(requestText(gateway, as, 'count', { n: 1 }), postText(gateway, request('add', { a: 2, b: 2 })));
      assert.equal((await (await begin(raw, '')).rest()).length, 4);
      assert.equal(JSON.parse((await raw.response()).body).result, 2);
      assert.equal((await (await begin(raw, '')).rest()).length, 2);
      assert.equal(JSON.parse((await raw.response()).body).result, 4);
    });

    test(`Connection: close ends the connection behind the last chunk (${as})`, async (t) => {
      const streamed = await stream(t, gateway, as, 'count', { n: 2 }, { lines: ['Connection: close'] });
      assert.equal(streamed.headers.get('connection'), 'close');
      await streamed.rest();
      assert.equal(await streamed.raw.rest(), '');
    });

    test(`to HTTP/1.0 there are no chunks, and the end of the connection is the end (${as})`, async (t) => {
      for (const lines of [[], ['Connection: keep-alive']]) {
        const streamed = await stream(t, gateway, as, 'count', { n: 2 }, { version: '1.0', lines });
        assert.equal(streamed.headers.get('transfer-encoding'), undefined);
        assert.equal(streamed.headers.get('content-length'), undefined);
        assert.notEqual(streamed.headers.get('connection'), 'keep-alive');
        const reader = as === CONNECT ? new EnvelopeReader() : new EventReader();
        const parts = reader.push(Buffer.from(await streamed.raw.rest(), 'latin1')).map(({ data }) => JSON.parse(data));
        assert.deepEqual(parts, [{ n: 1 }, { n: 2 }, {}]);
      }
    });

    test(`each item leaves as it is sent (${as})`, async (t) => {
      const streamed = await stream(t, gateway, as, 'stall', { label: `early ${as}` });
      assert.deepEqual(await streamed.next(), { item: 'one' });
      streamed.raw.reset();
      await gateway.log(new RegExp(`closed early ${as.replace('+', '\\+')}`));
    });
  }

  test('the access log has the outcome, and the bytes of items as well', async (t) => {
    const parts = await (await stream(t, gateway, EVENTS, 'count', { n: 100, result: 'logged' })).rest();
    const bytes = parts.map((part) => `${part.end ? 'event: end\n' : ''}data: ${JSON.stringify(part.item ?? part.end)}\n\n`);
    const size = Buffer.byteLength(bytes.slice(0, 100).join('')) + '"logged"'.length;
    await gateway.log(new RegExp(` call .*procedure=count outcome=ok .*out=${size} .*protocol=sse`));
  });
});

test('a Request frame of a stream whose client has gone is no harm', async (t) => {
  const client = await dial(t, gateway, { protocol: V1 });
  client.send(requestFrame(1, 'watched_count', '{"n":1000,"label":"gone at once"}'));
  client.socket.terminate();
  await gateway.log(/closed gone at once/);
});
