// WebSocket clients as people use them, unmodified: ws, vscode-jsonrpc, json-rpc-2.0, rpc-websockets, jayson.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import jayson from 'jayson';
import { JSONRPCClient, JSONRPCErrorException } from 'json-rpc-2.0';
import { Client as RpcWebSocket } from 'rpc-websockets';
import rpc from 'vscode-jsonrpc/node.js';
import WebSocket from 'ws';
import { start } from './lib/gateway.mjs';
import { connect, wsUrl } from './lib/ws.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());

const sums = Array.from({ length: 100 }, (_, i) => 2 * i);
const addAll = (add) => Promise.all(sums.map((_, i) => add({ a: i, b: i })));

describe('ws', () => {
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

describe('vscode-jsonrpc', () => {
  class Reader extends rpc.AbstractMessageReader {
    constructor(ws) {
      super();
      this.ws = ws;
    }

    listen(callback) {
      this.ws.on('message', (data) => callback(JSON.parse(data)));
      this.ws.on('close', () => this.fireClose());
      return { dispose() {} };
    }
  }

  class Writer extends rpc.AbstractMessageWriter {
    constructor(ws) {
      super();
      this.ws = ws;
    }

    async write(message) {
      this.ws.send(JSON.stringify(message));
    }

    end() {}
  }

  async function dial(t) {
    const ws = new WebSocket(wsUrl(gateway));
    t.after(() => ws.terminate());
    await once(ws, 'open');
    const connection = rpc.createMessageConnection(new Reader(ws), new Writer(ws));
    connection.listen();
    return connection;
  }

  test('calls with named and positional params', async (t) => {
    const connection = await dial(t);
    assert.equal(await connection.sendRequest('add', { a: 2, b: 40 }), 42);
    assert.equal(await connection.sendRequest('subtract', 42, 2), 40);
    assert.deepEqual(await addAll((params) => connection.sendRequest('add', params)), sums);
  });

  test('throws errors with code and data', async (t) => {
    const connection = await dial(t);
    await assert.rejects(connection.sendRequest('not_found', {}), (error) => {
      assert.ok(error instanceof rpc.ResponseError);
      assert.equal(error.code, -32005);
      assert.deepEqual(error.data, { code: 'not_found', user: 7 });
      return true;
    });
  });

  test('notifies', async (t) => {
    await (await dial(t)).sendNotification('note', { label: 'vscode' });
    await gateway.log(/noted vscode true/);
  });

  test('its CancellationTokenSource cancels the call in the script', async (t) => {
    const connection = await dial(t);
    const source = new rpc.CancellationTokenSource();
    const reply = connection.sendRequest('slow_to_close', { label: 'vscode cancelled' }, source.token);
    await gateway.log(/started vscode cancelled/);
    source.cancel();
    await assert.rejects(reply, { code: rpc.LSPErrorCodes?.RequestCancelled ?? -32800 });
    await gateway.log(/on_cancel vscode cancelled reset/);
    await gateway.log(/closed vscode cancelled last/);
    assert.equal(await connection.sendRequest('add', { a: 1, b: 1 }), 2);
  });
});

describe('json-rpc-2.0', () => {
  async function dial(t) {
    const { ws } = await connect(t, gateway);
    const client = new JSONRPCClient((payload) => ws.send(JSON.stringify(payload)));
    ws.on('message', (data) => client.receive(JSON.parse(data)));
    return client;
  }

  test('calls, and throws errors', async (t) => {
    const client = await dial(t);
    assert.deepEqual(await addAll((params) => client.request('add', params)), sums);
    await assert.rejects(async () => client.request('not_found', {}), (error) => {
      assert.ok(error instanceof JSONRPCErrorException);
      assert.deepEqual(error.data, { code: 'not_found', user: 7 });
      return true;
    });
  });

  test('notifies', async (t) => {
    (await dial(t)).notify('note', { label: 'json-rpc-2.0 on a socket' });
    await gateway.log(/noted json-rpc-2\.0 on a socket true/);
  });

  test('sends a batch', async (t) => {
    const client = await dial(t);
    const replies = await client.requestAdvanced([
      { jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 1 } },
      { jsonrpc: '2.0', id: 2, method: 'nowhere' },
    ]);
    assert.equal(replies.find((r) => r.id === 1).result, 2);
    assert.equal(replies.find((r) => r.id === 2).error.code, -32601);
  });
});

describe('rpc-websockets', () => {
  async function dial(t) {
    const client = new RpcWebSocket(wsUrl(gateway), { reconnect: false });
    t.after(() => client.close());
    await once(client, 'open');
    return client;
  }

  test('calls, and throws errors', async (t) => {
    const client = await dial(t);
    assert.equal(await client.call('subtract', [42, 2]), 40);
    assert.deepEqual(await addAll((params) => client.call('add', params)), sums);
    await assert.rejects(client.call('nowhere'), { code: -32601 });
  });

  test('notifies', async (t) => {
    await (await dial(t)).notify('note', { label: 'rpc-websockets' });
    await gateway.log(/noted rpc-websockets true/);
  });
});

describe('jayson', () => {
  test('calls on a WebSocket, and gets errors as errors', async (t) => {
    const client = jayson.Client.websocket({ url: wsUrl(gateway) });
    t.after(() => client.ws.terminate());
    await once(client.ws, 'open');
    const send = promisify(client.request.bind(client));
    assert.equal((await send('add', { a: 2, b: 40 })).result, 42);
    assert.equal((await send('nowhere', {})).error.code, -32601);
  });
});
