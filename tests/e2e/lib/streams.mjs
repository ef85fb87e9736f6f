// Streams over HTTP, read by hand and piece by piece: chunks by RFC 9112, server-sent events by the
// HTML standard, envelopes by Connect's protocol. None of it knows how the gateway writes them.
import { open } from './raw.mjs';

export const EVENTS = 'text/event-stream', CONNECT = 'application/connect+json';

// HTML, section 9.2.6 "Interpreting an event stream". An event is dispatched by its empty line: what
// stands behind the last one is none.
export class EventReader {
  #text = '';
  #began = false;
  #type = '';
  #data = [];
  #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  lastId = '';

  // Takes bytes; returns the events that they complete: {type, data}.
  push(bytes) {
    const events = [];
    this.#text += this.#decoder.decode(bytes, { stream: true });
    if (!this.#began && this.#text.length > 0) {
      this.#began = true;
      if (this.#text.startsWith('\ufeff')) this.#text = this.#text.slice(1);
    }
    for (let line; (line = this.#line()) !== null;) {
      const event = this.#take(line);
      if (event) events.push(event);
    }
    return events;
  }

  // The next line, which ends in CR LF, LF or CR; null: it is not complete.
  #line() {
    const end = this.#text.search(/[\r\n]/);
    if (end < 0 || (this.#text[end] === '\r' && end + 1 === this.#text.length)) return null;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + (this.#text.startsWith('\r\n', end) ? 2 : 1));
    return line;
  }

  #take(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#type = value;
    if (name === 'data') this.#data.push(value);
    if (name === 'id' && !value.includes('\0')) this.lastId = value;
    return null;
  }

  #dispatch() {
    const event = { type: this.#type || 'message', data: this.#data.join('\n') };
    const empty = this.#data.length === 0;
    this.#type = '';
    this.#data = [];
    return empty ? null : event;
  }
}

// https://connectrpc.com/docs/protocol#streaming-rpcs
export class EnvelopeReader {
  #bytes = Buffer.alloc(0);

  // Takes bytes; returns the envelopes that they complete: {flags, data}.
  push(bytes) {
    const envelopes = [];
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 5 && this.#bytes.length >= 5 + this.#bytes.readUInt32BE(1)) {
      const end = 5 + this.#bytes.readUInt32BE(1);
      envelopes.push({ flags: this.#bytes[0], data: this.#bytes.toString('utf8', 5, end) });
      this.#bytes = this.#bytes.subarray(end);
    }
    return envelopes;
  }

  get left() {
    return this.#bytes.length;
  }
}

// The message of a Connect request.
export function envelope(value, flags = 0) {
  const data = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}

// The text of a request for a stream, as latin1. 'as' is EVENTS or CONNECT; 'body' replaces the params.
export function requestText(gateway, as, name, params, { lines = [], body, version = '1.1' } = {}) {
  const bytes = body ?? (as === CONNECT ? envelope(params ?? {}) : Buffer.from(JSON.stringify(params ?? {})));
  return [
    `POST /rpc/${name} HTTP/${version}`, `Host: ${gateway.address}`, `Content-Length: ${bytes.length}`,
    ...(as === CONNECT ? [`Content-Type: ${CONNECT}`] : ['Content-Type: application/json', `Accept: ${EVENTS}`]),
    ...lines, '', bytes.toString('latin1'),
  ].join('\r\n');
}

// The response under way on a Raw.
export class Streamed {
  #raw;
  #reader;
  #ready = [];
  all = []; // every item, progress and end so far, as next() gave them
  whole = false; // the last chunk came

  constructor(raw, head) {
    this.#raw = raw;
    Object.assign(this, head);
    this.type = head.headers.get('content-type');
    this.#reader = this.type === CONNECT ? new EnvelopeReader() : new EventReader();
  }

  async #line() {
    let line = '';
    while (!line.endsWith('\r\n')) line += await this.#raw.bytes(1);
    return line.slice(0, -2);
  }

  // The next chunk; empty: it was the last.
  async chunk() {
    const size = parseInt(await this.#line(), 16);
    const bytes = Buffer.from(await this.#raw.bytes(size), 'latin1');
    const after = await this.#line();
    if (after !== '') throw new Error(`behind a chunk: ${after}`);
    this.whole ||= size === 0;
    return bytes;
  }

  #name({ flags, type, data }) {
    const value = JSON.parse(data);
    if (this.type === CONNECT) return flags === 2 ? { end: value } : { item: value };
    if (type === 'message') return { item: value };
    return { [type]: value };
  }

  // The next part: {item}, {progress} or {end}; null: the body is complete.
  async next() {
    while (this.#ready.length === 0) {
      if (this.whole) return null;
      this.#ready.push(...this.#reader.push(await this.chunk()).map((part) => this.#name(part)));
    }
    const part = this.#ready.shift();
    this.all.push(part);
    return part;
  }

  // Reads to the end of the body, which must be there; returns all parts.
  async rest() {
    while (await this.next()) { /* kept in 'all' */ }
    return this.all;
  }
}

// Sends a request for a stream on 'raw' and awaits the head of its response.
export async function begin(raw, text) {
  return new Streamed(raw, await raw.send(text).response());
}

// Asks for a stream on a connection of its own; resolves to the Streamed, with its 'raw'.
export async function stream(t, gateway, as, name, params, options) {
  const raw = await open(t, gateway);
  const streamed = await begin(raw, requestText(gateway, as, name, params, options));
  return Object.assign(streamed, { raw });
}
