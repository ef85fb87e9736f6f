// WebSocket clients as people use them, unmodified: each makes the same calls.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import WebSocket from 'ws';
import { clients } from './lib/clients.mjs';
import { start, within } from './lib/gateway.mjs';
import { connect, wsUrl } from './lib/ws.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());

const sums = Array.from({ length: 100 }, (_, i) => 2 * i);
const addAll = (add) => Promise.all(sums.map((_, i) => add({ a: i, b: i })));

describe('ws in particular', () => {
  const large = ['a phrase that is there again and again, '.repeat(5000)];

  for (const [name, perMessageDeflate] of [
    ['without compression', false],
    ['with compression', { threshold: 0 }],
    ['with compression, each message on its own',
      { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }],
    ['with compression in small windows', { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
  ]) {
    test(name, async (t) => {
      const peer = await connect(t, gateway, { perMessageDeflate });
      assert.equal(peer.ws.extensions !== '', perMessageDeflate !== false);
      for (let i = 0; i < 3; i++) assert.deepEqual((await peer.call('echo', large)).result, large);
      assert.deepEqual((await addAll((params) => peer.call('add', params, `sum ${params.a}`))).map((r) => r.result), sums);
      peer.ws.close(1000, 'bye');
      assert.equal((await peer.end()).code, 1000);
    });
  }

  test('compression saves most of a message that repeats itself', async (t) => {
    const ws = new WebSocket(wsUrl(gateway), { perMessageDeflate: true });
    t.after(() => ws.terminate());
    const [[{ socket }]] = await Promise.all([once(ws, 'upgrade'), once(ws, 'open')]);
    ws.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'echo', params: large }));
    const [data] = await once(ws, 'message');
    assert.deepEqual(JSON.parse(data).result, large);
    assert.ok(socket.bytesRead < data.length / 20, `${socket.bytesRead} bytes for ${data.length}`);
    assert.ok(socket.bytesWritten < data.length / 20, `${socket.bytesWritten} bytes for ${data.length}`);
  });

  test('offers the subprotocol jsonrpc, which is accepted', async (t) => {
    const peer = await connect(t, gateway, { protocols: ['other', 'jsonrpc'] });
    assert.equal(peer.ws.protocol, 'jsonrpc');
    assert.equal((await peer.call('add', { a: 1, b: 1 })).result, 2);
  });
});

for (const [name, dial] of Object.entries(clients)) {
  describe(name, () => {
    const label = (what) => `${name} ${what}`;
    const plain = (what) => label(what).replace(/[.@/]/g, '\\$&');

    test('calls with named and positional params', async (t) => {
      const client = await dial(t, gateway);
      assert.equal(await client.call('add', { a: 2, b: 40 }), 42);
      assert.equal(await client.call('subtract', [42, 2]), 40);
    });

    test('gets errors as errors', async (t) => {
      const client = await dial(t, gateway);
      await assert.rejects(client.call('not_found', {}), (error) => {
        assert.equal(error.code, -32005);
        assert.deepEqual(error.data, { code: 'not_found', user: 7 });
        return true;
      });
      await assert.rejects(client.call('nowhere', {}), { code: -32601 });
    });

    test('notifies', async (t) => {
      await (await dial(t, gateway)).notify('note', { label: label('notified') });
      await gateway.log(new RegExp(`noted ${plain('notified')} true`));
    });

    test('makes a hundred calls at once, and a slow one before them holds up none', async (t) => {
      const client = await dial(t, gateway);
      let answered = false;
      client.call('slow', { label: label('slow') }).finally(() => (answered = true)).catch(() => {});
      await gateway.log(new RegExp(`started ${plain('slow')}$`));
      assert.deepEqual(await addAll((params) => client.call('add', params)), sums);
      assert.equal(answered, false);
      client.close();
      await gateway.log(new RegExp(`on_cancel ${plain('slow')} disconnect`));
    });

    test('cancels a call: the script sees it, and it is answered once', async (t) => {
      const client = await dial(t, gateway);
      const texts = [];
      client.socket?.on('message', (data) => texts.push(JSON.parse(data)));
      const { reply, cancel } = client.cancel('slow_to_close', { label: label('cancelled') });
      const rejected = assert.rejects(reply, { code: -32800 });
      await gateway.log(new RegExp(`started ${plain('cancelled')}$`));
      await cancel();
      await rejected;
      await gateway.log(new RegExp(`on_cancel ${plain('cancelled')} reset`));
      await gateway.log(new RegExp(`closed ${plain('cancelled')} last`));
      assert.equal(await client.call('add', { a: 1, b: 1 }), 2);
      if (client.socket) assert.deepEqual(texts.map((text) => text.error?.code), [-32800, undefined]);
    });

    test('pings while a call runs', async (t) => {
      const client = await dial(t, gateway);
      const slow = client.call('slow', { label: label('pinged'), seconds: 0.05 });
      await gateway.log(new RegExp(`started ${plain('pinged')}$`));
      if (client.socket) {
        const pong = once(client.socket, 'pong');
        client.socket.ping('there?');
        const [payload] = await within(pong, () => 'the pong');
        assert.equal(String(payload), 'there?');
      } else {
        await client.ping('there?');
      }
      assert.equal(await slow, 'done!');
    });

    test('connects again thirty times', async (t) => {
      const lanes = name === 'wscat' ? 5 : 1; // a process each time
      await Promise.all(Array.from({ length: lanes }, async () => {
        for (let i = 0; i < 30 / lanes; i++) {
          const client = await dial(t, gateway);
          assert.equal(await client.call('add', { a: i, b: 1 }), i + 1);
          await client.close();
        }
      }));
    });
  });
}

for (const name of ['ws', 'json-rpc-2.0', '@open-rpc/client-js', 'wscat', 'jayson']) {
  test(`${name} sends a batch`, async (t) => {
    const client = await clients[name](t, gateway);
    const replies = await client.batch([
      { jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 1 } }, { jsonrpc: '2.0', id: 2, method: 'nowhere' },
    ]);
    assert.equal(replies.find((r) => r.id === 1).result, 2);
    assert.equal(replies.find((r) => r.id === 2).error.code, -32601);
  });
}

test('docs/protocols.md names each client with its version', async () => {
  const page = await readFile(new URL('../../docs/protocols.md', import.meta.url), 'utf8');
  const { devDependencies } = JSON.parse(await readFile(new URL('package.json', import.meta.url)));
  for (const name of Object.keys(clients)) {
    const row = `\n| ${name} ${devDependencies[name]} |`;
    assert.ok(page.includes(row), `there is no row ${row.trim()}`);
  }
});
