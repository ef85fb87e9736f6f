// WebSockets: by npm's ws, with replies sorted by id; and frame by frame, for what it would not send.
import { once } from 'node:events';
import WebSocket from 'ws';
import { within } from './gateway.mjs';
import { open } from './raw.mjs';

// A connection of npm's ws that speaks JSON-RPC.
class Peer {
  #waiting = new Map();
  texts = []; // every message, parsed

  constructor(ws) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    ws.on('error', () => {}); // a 'close' follows
    ws.on('message', (data) => {
      const value = JSON.parse(data);
      this.texts.push(value);
      this.#waiting.get(value.id)?.(value);
    });
  }

  send(value) {
    this.ws.send(typeof value === 'string' ? value : JSON.stringify(value));
    return this;
  }

  // The reply with this id, from now on.
  reply(id) {
    const reply = new Promise((resolve) => this.#waiting.set(id, resolve));
    const timely = within(reply, () => `the reply ${id}; so far ${JSON.stringify(this.texts)}`);
    timely.catch(() => {}); // whoever awaits it minds
    return timely;
  }

  call(method, params, id = `call ${method}`) {
    const reply = this.reply(id);
    this.send({ jsonrpc: '2.0', id, method, params });
    return reply;
  }

  cancel(id) {
    return this.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } });
  }

  // Resolves to {code, reason} of the close.
  end() {
    return within(this.closed, () => 'the close of the WebSocket');
  }
}

export const wsUrl = (gateway) => gateway.rpcUrl.replace('http', 'ws');

// Connects; the socket ends with the test 't'.
export async function connect(t, gateway, { protocols = [], ...options } = {}) {
  const ws = new WebSocket(wsUrl(gateway), protocols, { perMessageDeflate: false, ...options });
  t.after(() => ws.terminate());
  const peer = new Peer(ws);
  await once(ws, 'open');
  return peer;
}

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

function lengthOf(size) {
  if (size < 126) return Buffer.from([size]);
  const bytes = Buffer.alloc(3);
  bytes.writeUInt8(126);
  bytes.writeUInt16BE(size, 1);
  return bytes;
}

// A masked frame as a latin1 string.
export function frame(payload, { opcode = TEXT, fin = true, rsv = 0, masked = true } = {}) {
  const bytes = Buffer.from(typeof payload === 'object' && !Buffer.isBuffer(payload)
    ? JSON.stringify(payload) : payload);
  const head = Buffer.concat([Buffer.from([(fin ? 128 : 0) | rsv | opcode]), lengthOf(bytes.length)]);
  if (!masked) return Buffer.concat([head, bytes]).toString('latin1');
  const key = [1, 2, 3, 4];
  head[1] |= 128;
  return Buffer.concat([head, Buffer.from(key), bytes.map((byte, i) => byte ^ key[i % 4])]).toString('latin1');
}

// The text of an upgrade request; 'fields' replaces header fields, null leaves one out.
export function upgradeText(gateway, fields = {}, line = 'GET /rpc HTTP/1.1') {
  const all = {
    Host: gateway.address, Connection: 'Upgrade', Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13', ...fields,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null);
  return `${[line, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n`;
}

// Connects by hand; resolves to a Raw behind the handshake.
export async function upgrade(t, gateway) {
  const raw = await open(t, gateway);
  const { status } = await raw.send(upgradeText(gateway)).response();
  if (status !== 101) throw new Error(`refused with ${status}`);
  return raw;
}

// The next frame that the gateway sends: {first, opcode, payload}.
export async function nextFrame(raw) {
  const [first, size] = Buffer.from(await raw.bytes(2), 'latin1');
  const more = { 126: 2, 127: 8 }[size] ?? 0;
  const length = more ? parseInt(Buffer.from(await raw.bytes(more), 'latin1').toString('hex'), 16) : size;
  return { first, opcode: first & 15, payload: Buffer.from(await raw.bytes(length), 'latin1') };
}

// The JSON of the next frame.
export async function nextText(raw) {
  return JSON.parse((await nextFrame(raw)).payload);
}

// Reads on to the close frame: {code, reason}.
export async function closeFrame(raw) {
  for (;;) {
    const { opcode, payload } = await nextFrame(raw);
    if (opcode === CLOSE) {
      return { code: payload.length ? payload.readUInt16BE() : 1005, reason: payload.subarray(2).toString() };
    }
  }
}
