// Declared params on every protocol, and rpc.discover: its document is valid OpenRPC, and its schemas
// mean to an independent validator what they mean to the gateway.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import openrpc from '@open-rpc/meta-schema';
import { appPath, cancela, start } from './lib/gateway.mjs';
import { call, post } from './lib/rpc.mjs';
import { connect } from './lib/ws.mjs';

const gateway = await start('params.lua');
after(() => gateway.stop());

const item = (price, more) => ({ price, ...more });
const PRICE = {
  code: -32602,
  message: 'params.items[1].price: must be at least 0, is -1',
  data: { code: 'invalid_argument', path: 'params.items[1].price', rule: 'minimum' },
};
const WRONG = { items: [item(1), item(-1)] };
const RIGHT = { items: [item(1), item(2, { count: 3.0 })] };
const FILLED = { items: [item(1, { count: 1 }), item(2, { count: 3 })] };

test('JSON-RPC over HTTP: -32602 names the path, and what fits is filled in', async () => {
  assert.deepEqual((await call(gateway, 'order', WRONG)).error, PRICE);
  assert.deepEqual((await call(gateway, 'order', RIGHT)).result, FILLED);
});

test('JSON-RPC on a WebSocket: the same, and _meta is not a member', async (t) => {
  const peer = await connect(t, gateway);
  assert.deepEqual((await peer.call('order', WRONG, 1)).error, PRICE);
  assert.deepEqual((await peer.call('order', { ...RIGHT, _meta: { timeout_ms: 900 } }, 2)).result, FILLED);
});

test('a batch: one element is refused, the others run', async () => {
  const calls = [['order', WRONG], ['order', RIGHT]].map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }));
  const replies = JSON.parse((await post(gateway, JSON.stringify(calls))).text);
  assert.deepEqual(replies.find(({ id }) => id === 0).error, PRICE);
  assert.deepEqual(replies.find(({ id }) => id === 1).result, FILLED);
});

test('/rpc/NAME: 400 and the path in the details', async () => {
  const { status, text } = await post(gateway, JSON.stringify(WRONG), { path: '/rpc/order' });
  const { code, message, details } = JSON.parse(text);
  assert.deepEqual([status, code, message], [400, 'invalid_argument', PRICE.message]);
  assert.deepEqual(details[0].debug, { path: PRICE.data.path, rule: 'minimum' });
});

test('GET: the params of the query are checked too', async () => {
  const get = (params) => fetch(`${gateway.rpcUrl}/order?message=${encodeURIComponent(JSON.stringify(params))}`);
  assert.equal((await get(WRONG)).status, 400);
  assert.deepEqual(await (await get(RIGHT)).json(), FILLED);
  assert.equal((await fetch(`${gateway.rpcUrl}/order`)).status, 400);
});

test('a notification whose params do not fit is answered with 204, and does not run', async () => {
  const { status } = await post(gateway, JSON.stringify({ jsonrpc: '2.0', method: 'pair', params: WRONG }));
  assert.equal(status, 204);
  await gateway.log(/ call .*procedure=pair outcome=invalid_argument /);
});

test('who is not admitted learns nothing of what the procedure takes', async () => {
  for (const method of ['order', 'rpc.discover']) {
    const { error } = await call(gateway, method, WRONG, { headers: { 'x-key': 'wrong' } });
    assert.deepEqual([error.code, error.data], [-32016, { code: 'unauthenticated' }]);
    assert.doesNotMatch(error.message, /price|items|order/);
  }
});

test('a huge value is not echoed', async () => {
  const huge = 'x'.repeat(100_000);
  for (const params of [{ items: huge }, { items: [item(1)], color: huge }, { items: [item(1)], name: huge },
    { items: [{ [huge]: 1 }] }, { items: [item(1)], [huge]: [] }]) {
    const { error } = await call(gateway, 'order', params);
    assert.equal(error.code, -32602);
    assert.ok(JSON.stringify(error).length < 500, JSON.stringify(error).slice(0, 600));
  }
});

// --- rpc.discover ---

const discover = async () => (await call(gateway, 'rpc.discover')).result;

test('rpc.discover is the same document on every way to it', async (t) => {
  const document = await discover();
  const peer = await connect(t, gateway);
  assert.deepEqual((await peer.call('rpc.discover')).result, document);
  assert.deepEqual(await (await fetch(`${gateway.rpcUrl}/rpc.discover`)).json(), document);
  assert.deepEqual(JSON.parse((await post(gateway, '', { path: '/rpc/rpc.discover' })).text), document);
  const { code, stdout } = await cancela('check', appPath('params.lua'), '--json');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), document);
});

test('the document is valid OpenRPC', async () => {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  // Its references to a meta-schema of draft 7 are left out: the schemas in the document are of draft 2020-12.
  const foreign = (key, value) => key === '$ref' && String(value).startsWith('https://meta.json-schema.tools');
  const { $schema, ...meta } = JSON.parse(JSON.stringify(openrpc.openrpcDocument),
    (key, value) => (foreign(key, value) ? undefined : value));
  const validate = ajv.compile(meta);
  const document = await discover();
  assert.ok(validate(document), JSON.stringify(validate.errors));
  assert.ok(!validate({ ...document, methods: [{ name: 'a' }] }), 'the validator refuses what is none');
  assert.deepEqual(document.methods.map(({ name }) => name), ['formats', 'open', 'order', 'pair']);
});

test('the document tells params, result and limits', async () => {
  const order = (await discover()).methods.find(({ name }) => name === 'order');
  assert.equal(order.summary, 'Takes an order');
  assert.equal(order.paramStructure, 'by-name');
  assert.deepEqual(order.params.map(({ name, required }) => [name, required]),
    [['at', false], ['color', false], ['items', true], ['name', false]]);
  assert.deepEqual(order.result, { name: 'result', schema: { type: 'object' } });
  assert.deepEqual(order['x-cancela'], { timeout_ms: 5000, read_only: true });
  assert.deepEqual(order.errors.map(({ code }) => code), [-32602, -32016, -32004]);
});

test('discover = false: there is no such procedure', async () => {
  const silent = await start('params.lua', ['--discover=false']);
  try {
    assert.equal((await call(silent, 'rpc.discover')).error.code, -32601);
    assert.equal((await fetch(`${silent.rpcUrl}/rpc.discover`)).status, 404);
    assert.deepEqual((await call(silent, 'order', RIGHT)).result, FILLED);
  } finally {
    await silent.stop();
  }
});

test('other names of rpc. are still unknown', async () => {
  assert.equal((await call(gateway, 'rpc.describe')).error.code, -32601);
});

// --- The same schemas, read by ajv ---

const { methods } = await discover();
const ajv = addFormats(new Ajv2020({ strict: false }));
const validators = new Map(methods.filter((m) => m['x-params']).map((m) => [m.name, ajv.compile(m['x-params'])]));

async function agrees(name, params) {
  const { error } = await call(gateway, name, params);
  if (error) assert.equal(error.code, -32602, JSON.stringify(error));
  assert.equal(error === undefined, validators.get(name)(params),
    `${name} ${JSON.stringify(params)}: ${JSON.stringify(error ?? validators.get(name).errors)}`);
  return error === undefined;
}

// Mulberry32: the same values every time.
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const VALUES = [0, 1, -1, 2.5, 1000, 1000.5, 7, 1e3, '', 'a', 'ab', 'abcd', 'abcde', '😀😀', 'red', 'green', 'blue', true, false,
  [], [1], {}, { price: 1 }, { price: 'x' }, { price: 1, count: 0 }, { price: 1, count: 2 }, { price: 1, x: 1 },
  [{ price: 1 }], [{ price: 1 }, { price: 1000.25 }], [{ price: -0.5 }], [1, 2, 3, 4], '2026-11-22T13:35:07Z', 'noon'];

test('1000 values made at random: the gateway takes what ajv takes', async () => {
  const next = random(20261122);
  const pick = (list) => list[Math.floor(next() * list.length)];
  const taken = { order: 0, pair: 0 };
  for (let i = 0; i < 1000; i++) {
    const order = { items: next() < 0.6 ? [{ price: 1 }] : pick(VALUES) };
    for (const name of ['color', 'name', 'at', 'other']) if (next() < 0.3) order[name] = pick(VALUES);
    if (next() < 0.1) delete order.items;
    taken.order += await agrees('order', order);
    const pair = Array.from({ length: Math.floor(next() * 4) }, () => pick(VALUES));
    taken.pair += await agrees('pair', pair);
  }
  assert.ok(taken.order > 100 && taken.order < 900, `${taken.order} orders were taken`);
  assert.ok(taken.pair > 10 && taken.pair < 900, `${taken.pair} pairs were taken`);
});

// Strings on which both must agree; where ajv-formats is laxer or stricter than the RFC the unit tests decide.
const FORMATS = {
  date: ['2026-11-22', '2024-02-29', '2023-02-29', '2026-13-01', '2026-1-1', ''],
  time: ['12:00:00Z', '23:59:60Z', '24:00:00Z', '12:00:00', '12:00:00+01:00', '12:00:60Z'],
  uuid: ['123e4567-e89b-12d3-a456-426614174000', '123e4567e89b12d3a456426614174000', 'x'],
  ipv4: ['192.0.2.1', '256.0.0.1', '1.2.3', '01.2.3.4'],
  ipv6: ['::1', '2001:db8::1', '1::2::3', '::ffff:192.0.2.1', '1.2.3.4'],
  byte: ['aGVsbG8=', 'QQ==', 'QQ=', 'QQ', '-_-_'],
  duration: ['P3DT4H', 'P1W', 'PT', 'P', '1D', 'P1D'],
  hostname: ['example.com', 'localhost', '-a', 'a_b', 'a..b'],
  uri: ['https://example.com/', 'urn:isbn:1', 'example.com', '/a', 'http://a b/'],
  email: ['ana@example.com', 'a.b+c@example.org', 'ana', '@example.com', 'a@', '.a@example.com'],
};
test('formats: the gateway takes what ajv takes', async () => {
  for (const [name, texts] of Object.entries(FORMATS)) {
    for (const text of texts) await agrees('formats', { [name]: text });
  }
});
