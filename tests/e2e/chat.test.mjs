// examples/chat, by npm's ws: three clients and one who watches.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import WebSocket from 'ws';
import { start, within } from './lib/gateway.mjs';
import { connect, wsUrl } from './lib/ws.mjs';

const gateway = await start('../../../examples/chat/app.lua');
after(() => gateway.stop());

const enter = (t, name) => connect(t, { rpcUrl: `${gateway.rpcUrl}?name=${name}` });

// Resolves once 'list' of a client's messages holds one with these members.
async function heard(ws, list, event, data) {
  const is = (m) => (m.method ?? m.event) === event && isDeepStrictEqual(m.params ?? m.data, data);
  while (!list.some(is)) {
    await within(once(ws, 'message'), () => `${event} ${JSON.stringify(data)}; so far ${JSON.stringify(list)}`);
  }
}

const hears = (peer, event, data) => heard(peer.ws, peer.texts, event, data);

async function watch(t, room) {
  const ws = new WebSocket(wsUrl(gateway).replace('/rpc', '/watch'));
  t.after(() => ws.terminate());
  const lines = [];
  ws.on('message', (data) => lines.push(JSON.parse(data)));
  await once(ws, 'open');
  ws.send(room);
  await heard(ws, lines, 'watching', { room });
  return { hears: (event, data) => heard(ws, lines, event, data), lines };
}

describe('a room', () => {
  test('of three: all hear who comes, who speaks and who is gone, and so does who watches', async (t) => {
    const watcher = await watch(t, 'tea');
    const [ana, bia, caio] = await Promise.all(['ana', 'bia', 'caio'].map((name) => enter(t, name)));
    assert.deepEqual((await ana.call('join', { room: 'tea' })).result, { room: 'tea', names: ['ana'] });
    await bia.call('join', { room: 'tea' });
    assert.deepEqual((await caio.call('join', { room: 'tea' })).result.names, ['ana', 'bia', 'caio']);
    await hears(ana, 'joined', { name: 'caio' });

    assert.equal((await bia.call('say', { text: 'olá' })).result, null);
    for (const peer of [ana, bia, caio]) await hears(peer, 'said', { name: 'bia', text: 'olá' });

    caio.ws.terminate();
    for (const peer of [ana, bia]) await hears(peer, 'left', { name: 'caio' });
    await bia.call('leave');
    await hears(ana, 'left', { name: 'bia' });
    assert.deepEqual((await ana.call('names', { room: 'tea' })).result, ['ana']);

    await watcher.hears('left', { name: 'bia' });
    assert.deepEqual(watcher.lines.map((line) => line.event),
      ['watching', 'joined', 'joined', 'joined', 'said', 'left', 'left']);
  });

  test('hears nothing of another', async (t) => {
    const [ana, bia] = [await enter(t, 'ana'), await enter(t, 'bia')];
    await ana.call('join', { room: 'one' });
    await bia.call('join', { room: 'two' });
    await bia.call('say', { text: 'hello' });
    await ana.call('join', { room: 'two' }, 'again');
    await hears(bia, 'joined', { name: 'ana' });
    assert.ok(!ana.texts.some((m) => m.method === 'said'));
    assert.deepEqual((await bia.call('names', { room: 'one' })).result, []);
  });
});

test('what cannot be done is an error that says what can', async (t) => {
  const [ana, other] = [await enter(t, 'ana'), await enter(t, 'ana')];
  assert.equal((await ana.call('say', { text: 'hello' })).error.message, 'join a room first');
  await ana.call('join', { room: 'bar' });
  assert.equal((await other.call('join', { room: 'bar' })).error.data.code, 'already_exists');
  assert.equal((await ana.call('say', {}, 'nothing')).error.data.code, 'invalid_argument');
});

test('who has no name is refused with 401', async () => {
  const ws = new WebSocket(wsUrl(gateway));
  const [request, response] = await once(ws, 'unexpected-response');
  assert.equal(response.statusCode, 401);
  request.destroy();
});
