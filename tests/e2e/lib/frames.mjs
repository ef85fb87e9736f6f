// A client of the binary frames, written from docs/protocols.md alone, on npm's ws.
import { once } from 'node:events';
import WebSocket from 'ws';
import { within } from './gateway.mjs';

export const V0_1 = 'websocket.io-rpc-v0.1', V1 = 'cancela.v1';
export const NOTIFY = 1, REQUEST = 2, RESET = 3, RESPONSE = 4, ERROR = 5, PART = 6;

const bytes = (data) => Buffer.from(data ?? '');

function u32(n) {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(n);
  return four;
}

function named(name) {
  const text = Buffer.from(name);
  return Buffer.concat([Buffer.from([text.length]), text]);
}

// The frames that a client sends.
export const notifyFrame = (name, data) => Buffer.concat([Buffer.from([NOTIFY]), named(name), bytes(data)]);
export const requestFrame = (id, name, data) =>
  Buffer.concat([Buffer.from([REQUEST]), u32(id), named(name), bytes(data)]);
export const resetFrame = (id) => Buffer.concat([Buffer.from([RESET]), u32(id)]);

// What a server sends: {kind, id, name, payload}.
export function parse(message) {
  const kind = message[0];
  if (kind === NOTIFY) {
    const end = 2 + message[1];
    return { kind, name: message.toString('utf8', 2, end), payload: message.subarray(end) };
  }
  if (![RESPONSE, ERROR, PART].includes(kind)) throw new Error(`no frame of a server: ${message.toString('hex')}`);
  return { kind, id: message.readUInt32BE(1), payload: message.subarray(5) };
}

export class ConnectionLost extends Error {}

// Values for one reader, in order; the reader ends with end(), or fails with fail().
class Queue {
  #values = [];
  #wake = () => {};
  #end;

  push(value) { this.#values.push(value); this.#wake(); }
  fail(error) { this.#end = error; this.#wake(); }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      if (this.#values.length > 0) {
        yield this.#values.shift();
      } else if (this.#end) {
        throw this.#end;
      } else {
        await new Promise((resolve) => { this.#wake = resolve; });
      }
    }
  }
}

export class FrameClient {
  #id;
  #calls = new Map();
  #events = new Map();
  frames = []; // every one that came, parsed

  constructor(socket, firstId) {
    this.#id = firstId;
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => {}); // a 'close' follows
    socket.on('message', (message, isBinary) => this.#take(message, isBinary));
    this.closed.then(({ code, reason }) => this.#lose(new ConnectionLost(`${code} ${reason}`)));
  }

  #take(message, isBinary) {
    if (!isBinary) throw new Error(`a text: ${message}`);
    const frame = parse(message);
    this.frames.push(frame);
    if (frame.kind === NOTIFY) return this.#queue(frame.name).push(frame.payload);
    const call = this.#calls.get(frame.id);
    if (frame.kind === PART) return call?.parts?.push(frame.payload);
    this.#calls.delete(frame.id);
    if (frame.kind === RESPONSE) return call?.resolve(frame.payload);
    return call?.reject(Object.assign(new Error(), JSON.parse(frame.payload)));
  }

  #lose(error) {
    this.#calls.forEach((call) => call.reject(error));
    this.#calls.clear();
    this.#events.forEach((queue) => queue.fail(error));
  }

  #queue(name) {
    if (!this.#events.has(name)) this.#events.set(name, new Queue());
    return this.#events.get(name);
  }

  send(frame) {
    this.socket.send(frame);
    return this;
  }

  // The payloads of the server's notifications with this name, from now on.
  on(name) {
    return this.#queue(name)[Symbol.asyncIterator]();
  }

  async next(name) {
    const { value } = await within(this.on(name).next(), () => `a notify ${name}`);
    return value.toString();
  }

  notify(name, data) {
    return this.send(notifyFrame(name, data));
  }

  // Starts a call: {id, reply}. An aborted signal resets it.
  start(name, data, { signal } = {}) {
    const id = this.#id;
    this.#id = (id + 1) % 2 ** 32;
    const reply = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      signal?.addEventListener('abort', () => {
        if (!this.#calls.delete(id)) return;
        this.send(resetFrame(id));
        reject(signal.reason);
      }, { once: true });
    });
    this.send(requestFrame(id, name, data));
    const timely = within(reply, () => `the reply to ${name} (${id})`);
    timely.catch(() => {}); // whoever awaits it minds
    return { id, reply: timely };
  }

  // Resolves to the payload.
  call(name, data, options) {
    return this.start(name, data, options).reply;
  }

  async text(name, data) {
    return (await this.call(name, data)).toString();
  }

  async json(name, data) {
    return JSON.parse(await this.call(name, data === undefined ? '' : JSON.stringify(data)));
  }

  // Resolves to {code, reason} of the close.
  end() {
    return within(this.closed, () => 'the close of the WebSocket');
  }
}

// Connects; the socket ends with the test 't'.
export async function dial(t, gateway, { protocol = V0_1, path = '/socket', firstId = 1, ...options } = {}) {
  const socket = new WebSocket(`ws://${gateway.address}${path}`, protocol, { perMessageDeflate: false, ...options });
  t.after(() => socket.terminate());
  const client = new FrameClient(socket, firstId);
  await once(socket, 'open');
  return client;
}
