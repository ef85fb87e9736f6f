// WebSocket clients, unmodified, behind one face, so that the same cases can be put to all of them.
// dial(t, gateway) resolves to a session:
//   call(method, params)   resolves to the result, or rejects with what the client makes of an error
//   notify(method, params)
//   batch(requests)        resolves to the replies
//   cancel(method, params) starts a call: {reply, cancel()}
//   socket                 npm's ws, where the client shows it; else ping(data), which resolves with the pong
//   close()
// A client that cannot do something lacks it.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client as OpenRpc, RequestManager, WebSocketTransport } from '@open-rpc/client-js';
import jayson from 'jayson';
import { JSONRPCClient } from 'json-rpc-2.0';
import { Client as RpcWebSocket } from 'rpc-websockets';
import rpc from 'vscode-jsonrpc/node.js';
import WebSocket from 'ws';
import { Terminal } from './terminal.mjs';
import { connect, wsUrl } from './ws.mjs';

const RESET = '$/cancelRequest';

// Makes reply objects what promises make of them.
function settle({ result, error }) {
  if (error) throw Object.assign(new Error(error.message), error);
  return result;
}

// A session made of texts: send(text), and reply(id), which resolves to the reply object.
function session(send, reply, more) {
  let ids = 0;
  const start = (method, params) => {
    const id = `call ${++ids}`;
    const answer = reply(id).then(settle);
    send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return { id, reply: answer };
  };
  const notify = (method, params) => send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  return {
    notify,
    call: (method, params) => start(method, params).reply,
    cancel(method, params) {
      const { id, reply: answer } = start(method, params);
      return { reply: answer, cancel: () => notify(RESET, { id }) };
    },
    ...more,
  };
}

async function ws(t, gateway) {
  const { ws: socket } = await connect(t, gateway);
  const waiting = new Map();
  const reply = (id) => new Promise((resolve) => waiting.set(id, resolve));
  socket.on('message', (data) => {
    const value = JSON.parse(data);
    waiting.get(Array.isArray(value) ? 'batch' : value.id)?.(value);
  });
  return session((text) => socket.send(text), reply, {
    socket,
    batch(requests) {
      socket.send(JSON.stringify(requests));
      return reply('batch');
    },
    close: () => socket.close(),
  });
}

class Reader extends rpc.AbstractMessageReader {
  constructor(socket) {
    super();
    this.socket = socket;
  }

  listen(callback) {
    this.socket.on('message', (data) => callback(JSON.parse(data)));
    this.socket.on('close', () => this.fireClose());
    return { dispose() {} };
  }
}

class Writer extends rpc.AbstractMessageWriter {
  constructor(socket) {
    super();
    this.socket = socket;
  }

  async write(message) {
    this.socket.send(JSON.stringify(message));
  }

  end() {}
}

async function vscode(t, gateway) {
  const socket = new WebSocket(wsUrl(gateway));
  t.after(() => socket.terminate());
  await once(socket, 'open');
  const connection = rpc.createMessageConnection(new Reader(socket), new Writer(socket));
  connection.listen();
  const call = (method, params, ...more) =>
    connection.sendRequest(method, ...(Array.isArray(params) ? params : [params]), ...more);
  return {
    call, socket,
    notify: (method, params) => connection.sendNotification(method, params),
    cancel(method, params) {
      const source = new rpc.CancellationTokenSource();
      return { reply: call(method, params, source.token), cancel: () => source.cancel() };
    },
    close: () => socket.close(),
  };
}

async function jsonRpc2(t, gateway) {
  const { ws: socket } = await connect(t, gateway);
  let ids = 0;
  const client = new JSONRPCClient((payload) => socket.send(JSON.stringify(payload)), () => ++ids);
  socket.on('message', (data) => client.receive(JSON.parse(data)));
  const call = async (method, params) => client.request(method, params);
  return {
    call, socket,
    notify: (method, params) => client.notify(method, params),
    batch: (requests) => client.requestAdvanced(requests),
    cancel(method, params) {
      const reply = call(method, params), id = ids;
      return { reply, cancel: () => client.notify(RESET, { id }) };
    },
    close: () => socket.close(),
  };
}

async function rpcWebsockets(t, gateway) {
  let ids = 0;
  const client = new RpcWebSocket(wsUrl(gateway), { reconnect: false }, () => ++ids);
  t.after(() => client.socket?.terminate()); // it forgets a socket that has closed
  await once(client, 'open');
  const call = (method, params) => client.call(method, params);
  return {
    call,
    socket: client.socket.socket ?? client.socket,
    notify: (method, params) => client.notify(method, params),
    cancel(method, params) {
      const reply = call(method, params), id = ids;
      return { reply, cancel: () => client.notify(RESET, { id }) };
    },
    close: () => client.close(),
  };
}

async function openRpc(t, gateway) {
  let ids = 0;
  const transport = new WebSocketTransport(wsUrl(gateway));
  t.after(() => transport.connection.terminate());
  const manager = new RequestManager([transport], () => ++ids);
  const client = new OpenRpc(manager);
  await manager.connectPromise;
  const call = (method, params) => client.request({ method, params });
  return {
    call,
    socket: transport.connection,
    notify: (method, params) => client.notify({ method, params }),
    async batch(requests) {
      client.startBatch();
      const replies = requests.map(({ id, method, params }) =>
        manager.request({ method, params }, false).then((result) => ({ id, result }), (error) => ({ id, error })));
      client.stopBatch();
      return Promise.all(replies);
    },
    cancel(method, params) {
      const reply = manager.request({ method, params }, false), id = String(ids);
      return { reply, cancel: () => client.notify({ method: RESET, params: { id } }) };
    },
    close: () => client.close(),
  };
}

async function jaysonWebsocket(t, gateway) {
  const client = jayson.Client.websocket({ url: wsUrl(gateway) });
  t.after(() => client.ws.terminate());
  await once(client.ws, 'open');
  let ids = 0;
  const send = promisify(client.request.bind(client));
  const call = async (method, params) => settle(await send(method, params, ++ids));
  return {
    call,
    socket: client.ws,
    notify: (method, params) => send(method, params, null),
    batch: (requests) => send(requests),
    cancel(method, params) {
      const reply = call(method, params), id = ids;
      return { reply, cancel: () => send(RESET, { id }, null) };
    },
    close: () => client.ws.close(),
  };
}

const wscatPath = fileURLToPath(import.meta.resolve('wscat/bin/wscat'));

async function wscat(t, gateway) {
  const terminal = new Terminal(t, process.execPath, wscatPath, '--no-color', '--slash', '-P', '-c', wsUrl(gateway));
  await terminal.shows(/Connected \(press/);
  const waiting = new Map();
  (async () => { // one reader for all: replies may come in any order
    for (;;) {
      const [, line] = await terminal.shows(/< (\{.*?|\[.*?|Received pong .*?)(\x1b\[39m)?\r/);
      const text = line.startsWith('R') ? { id: line } : JSON.parse(line);
      waiting.get(Array.isArray(text) ? 'batch' : text.id)?.(text);
    }
  })().catch(() => {});
  const reply = (id) => new Promise((resolve) => waiting.set(id, resolve));
  return session((text) => terminal.type(`${text}\n`), reply, {
    batch(requests) {
      terminal.type(`${JSON.stringify(requests)}\n`);
      return reply('batch');
    },
    ping(data) {
      terminal.type(`/ping ${data}\n`);
      return reply(`Received pong (data: "${data}")`);
    },
    close() {
      terminal.type('/close\n');
      return terminal.code();
    },
  });
}

export const clients = {
  ws, 'vscode-jsonrpc': vscode, 'json-rpc-2.0': jsonRpc2, 'rpc-websockets': rpcWebsockets,
  '@open-rpc/client-js': openRpc, wscat, jayson: jaysonWebsocket,
};
