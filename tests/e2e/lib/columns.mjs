// The ways to call a procedure, each behind the same few functions. A session is made by open(t, gateway):
//   start(name, params, {timeoutMs, stream, progress}) → {reply, items, shown, reset?}
//     reply resolves to {result}, {error: {code, message, data}}, or {lost: true} where the connection ended before
//     the end of the answer; items and shown grow as items and progress come
//   notify?(name, params), told?(event), leave(): the connection is gone, stall() and go(): stop reading, and go on
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import WebSocket from 'ws';
import { PART, V0_1, V1, dial } from './frames.mjs';
import { within } from './gateway.mjs';

const JSON_TYPE = 'application/json';

// --- HTTP. ---

// One request on a connection of its own; 'take' is given the answer's bytes as they come, and gives the outcome at the
// end of them.
class HttpCall {
  items = [];
  shown = [];

  constructor(session, path, body, headers, take) {
    this.request = httpRequest(session.gateway.url + path, { method: 'POST', agent: false, headers });
    session.calls.push(this);
    const done = new Promise((resolve) => {
      this.request.on('error', () => resolve({ lost: true }));
      this.request.on('response', (response) => {
        this.response = response;
        const outcome = take(this, response);
        response.on('data', (bytes) => outcome.feed(bytes)).on('error', () => {});
        response.on('close', () => resolve(response.complete ? outcome.end() : { lost: true }));
        if (session.stalled) response.pause();
      });
    });
    this.reply = within(done, () => `the answer to ${path}; so far ${this.items.length} items`);
    this.reply.catch(() => {}); // whoever awaits it minds
    this.request.end(body);
  }
}

// The outcome of an answer that is whole.
const whole = (outcomeOf) => (call, response) => {
  let text = '';
  return { feed: (bytes) => (text += bytes), end: () => outcomeOf(text, response) };
};

function http(name, { started, notified }) {
  return {
    name,
    async open(t, gateway) {
      const session = {
        gateway, calls: [], stalled: false,
        start: (procedure, params, options = {}) => started(session, procedure, params, options),
        leave: () => session.calls.forEach(({ request }) => request.destroy()),
        stall() { this.stalled = true; },
        go() {
        this.stalled = false;
        this.calls.forEach(({ response }) => response?.resume());
      },
      };
      if (notified) session.notify = (procedure, params) => notified(session, procedure, params);
      t.after(() => session.leave());
      return session;
    },
  };
}

const timeoutField = ({ timeoutMs }) => (timeoutMs === undefined ? {} : { 'connect-timeout-ms': String(timeoutMs) });

function rpcOutcome({ result, error }) {
  return error ? { error: { code: error.data.code, message: error.message, data: error.data } } : { result };
}

export const jsonRpcHttp = http('JSON-RPC, HTTP', {
  started: (session, method, params, options) => new HttpCall(session, '/rpc',
    JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), { 'content-type': JSON_TYPE, ...timeoutField(options) },
    whole((text) => rpcOutcome(JSON.parse(text)))),
  notified: (session, method, params) => new HttpCall(session, '/rpc', JSON.stringify({ jsonrpc: '2.0', method, params }),
    { 'content-type': JSON_TYPE }, whole((text, { statusCode }) => ({ text, status: statusCode }))).reply,
});

// Enveloped messages: flags, length, JSON.
function envelope(text) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

function takeEnvelopes(call) {
  let rest = Buffer.alloc(0), end;
  return {
    feed(bytes) {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const size = 5 + rest.readUInt32BE(1), value = JSON.parse(rest.toString('utf8', 5, size));
        if (rest[0] & 2) end = value;
        else call.items.push(value);
        rest = rest.subarray(size);
      }
    },
    end: () => (end === undefined ? { lost: true } : end.error ? { error: end.error } : { result: undefined }),
  };
}

export const connectRpc = http('Connect', {
  started(session, name, params, options) {
    const headers = { 'connect-protocol-version': '1', ...timeoutField(options) }, text = JSON.stringify(params);
    if (options.stream) {
      return new HttpCall(session, `/rpc/${name}`, envelope(text), { ...headers, 'content-type': 'application/connect+json' },
        takeEnvelopes);
    }
    return new HttpCall(session, `/rpc/${name}`, text, { ...headers, 'content-type': JSON_TYPE },
      whole((body, { statusCode }) => (statusCode === 200 ? { result: JSON.parse(body) } : { error: JSON.parse(body) })));
  },
});

// Server-sent events; the answer of what has no stream is its one item. What is refused before is an error object.
function takeEvents(call, response) {
  let rest = '', end;
  const events = response.headers['content-type'] === 'text/event-stream';
  const take = ({ event, data }) => {
    if (event === 'end') end = JSON.parse(data);
    else (event === 'progress' ? call.shown : call.items).push(JSON.parse(data));
  };
  return {
    feed(bytes) {
      rest += bytes;
      if (!events) return;
      const pieces = rest.split('\n\n');
      rest = pieces.pop();
      pieces.forEach((piece) => take(Object.fromEntries(piece.split('\n').map((line) => line.split(/: (.*)/s)))));
    },
    end() {
      if (!events) return { error: JSON.parse(rest) };
      if (end === undefined) return { lost: true };
      return end.error ? { error: end.error } : { result: call.items.at(-1) };
    },
  };
}

export const sse = http('SSE', {
  started: (session, name, params, options) => new HttpCall(session, `/rpc/${name}`, JSON.stringify(params),
    { 'content-type': JSON_TYPE, accept: 'text/event-stream', ...timeoutField(options) }, takeEvents),
});

// --- WebSockets. ---

export const jsonRpcSocket = {
  name: 'JSON-RPC, WebSocket',
  async open(t, gateway) {
    const ws = new WebSocket(gateway.rpcUrl.replace('http', 'ws'), { perMessageDeflate: false });
    t.after(() => ws.terminate());
    const calls = new Map(), events = new Map();
    let ids = 0;
    const parts = (token, value) => {
      const call = calls.get(token.slice(1));
      (token[0] === 'i' ? call.items : call.shown).push(value);
    };
    ws.on('error', () => {}); // a 'close' follows
    ws.on('message', (text) => {
      const { id, method, params, ...answer } = JSON.parse(text);
      if (method === '$/progress') parts(params.token, params.value);
      else if (method) events.get(method)?.(params);
      else calls.get(id).resolve(rpcOutcome(answer));
    });
    ws.on('close', () => calls.forEach(({ resolve }) => resolve({ lost: true })));
    await once(ws, 'open');
    return {
      start(method, params, { timeoutMs, stream, progress } = {}) {
        const id = `${++ids}`, call = { items: [], shown: [] };
        const _meta = {
          ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
          ...(stream && { itemToken: `i${id}` }), ...(progress && { progressToken: `p${id}` }),
        };
        calls.set(id, call);
        call.reply = within(new Promise((resolve) => (call.resolve = resolve)), () => `the reply to ${method}`);
        call.reply.catch(() => {}); // whoever awaits it minds
        call.reset = () => ws.send(JSON.stringify({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } }));
        ws.send(JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } }));
        return call;
      },
      notify: async (method, params) => ws.send(JSON.stringify({ jsonrpc: '2.0', method, params })),
      told: (event) => within(new Promise((resolve) => events.set(event, resolve)), () => `the notification ${event}`),
      leave: () => ws.terminate(),
      stall: () => ws.pause(),
      go: () => ws.resume(),
    };
  },
};

function framed(name, protocol) {
  return {
    name,
    async open(t, gateway) {
      const client = await dial(t, gateway, { protocol });
      const json = (payload) => (payload.length ? JSON.parse(payload) : undefined);
      return {
        start(procedure, params) {
          const { id, reply } = client.start(procedure, JSON.stringify(params));
          const items = () => client.frames.filter((frame) => frame.kind === PART && frame.id === id).map(({ payload }) => json(payload));
          return {
            shown: [], get items() { return items(); },
            reset: () => client.send(Buffer.from([3, id >> 24, id >> 16, id >> 8, id])),
            answered: () => client.frames.some((frame) => frame.id === id && frame.kind !== PART),
            reply: reply.then((payload) => {
              const value = json(payload);
              return value?.error ? { error: value.error } : { result: value };
            }, (error) => (error.code ? { error } : { lost: true })),
          };
        },
        notify: async (procedure, params) => client.notify(procedure, JSON.stringify(params)),
        told: async (event) => JSON.parse(await client.next(event)),
        leave: () => client.socket.terminate(),
        stall: () => client.socket.pause(),
        go: () => client.socket.resume(),
      };
    },
  };
}

export const frames = framed('frames v0.1', V0_1), cancelaV1 = framed('cancela.v1', V1);
