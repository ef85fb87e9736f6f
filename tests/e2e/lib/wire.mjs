// A WebSocket byte by byte: frames of any kind out, frames in, compression by hand.
import { once } from 'node:events';
import { connect } from 'node:net';
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import { within } from './gateway.mjs';
import { upgradeText } from './ws.mjs';

export const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

const KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

function mask(payload) {
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i] ^= KEY[i & 3];
  return masked;
}

function headOf(first, size, masked) {
  const bit = masked ? 0x80 : 0;
  if (size < 126) return Buffer.from([first, bit | size]);
  const head = Buffer.alloc(size < 65536 ? 4 : 10);
  head[0] = first;
  if (size < 65536) {
    head[1] = bit | 126;
    head.writeUInt16BE(size, 2);
  } else {
    head[1] = bit | 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  return head;
}

// A masked frame. 'rsv' holds the reserved bits as a number from 0 to 7.
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true } = {}) {
  const bytes = Buffer.from(payload);
  const head = headOf((fin ? 0x80 : 0) | (rsv << 4) | opcode, bytes.length, masked);
  return masked ? Buffer.concat([head, KEY, mask(bytes)]) : Buffer.concat([head, bytes]);
}

// The payload of a close frame.
export function closing(code, reason = '') {
  const bytes = Buffer.from([code >> 8 & 255, code & 255]);
  return Buffer.concat([bytes, Buffer.from(reason)]);
}

// A message in frames of at most 'size' bytes.
export function fragments(opcode, payload, size, { rsv = 0 } = {}) {
  const bytes = Buffer.from(payload), frames = [];
  for (let at = 0; at < bytes.length; at += size) {
    const fin = at + size >= bytes.length;
    frames.push(frame(at === 0 ? opcode : CONTINUATION, bytes.subarray(at, at + size), { fin, rsv: at === 0 ? rsv : 0 }));
  }
  return frames;
}

class Wire {
  #pieces = [];
  #size = 0;
  #wake = () => {};
  #ended = false;

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (piece) => {
      this.#pieces.push(piece);
      this.#size += piece.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('error', end).on('close', end);
  }

  // Writes buffers, in pieces of 'chop' bytes if it is given.
  async send(...parts) {
    for (const part of parts) this.socket.write(part);
  }

  async chopped(bytes, chop) {
    for (let at = 0; at < bytes.length; at += chop) {
      if (!this.socket.write(bytes.subarray(at, at + chop))) await once(this.socket, 'drain');
    }
  }

  // The next 'size' bytes, or null if the peer ended before.
  async #bytes(size) {
    while (this.#size < size) {
      if (this.#ended) return null;
      await within(new Promise((wake) => (this.#wake = wake)), () => `${size} bytes; there are ${this.#size}`);
    }
    const all = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = all.length > size ? [all.subarray(size)] : [];
    this.#size -= size;
    return all.subarray(0, size);
  }

  async head() {
    let text = '';
    while (!text.endsWith('\r\n\r\n')) text += await this.#bytes(1);
    return text;
  }

  // The next frame {fin, rsv, opcode, payload}, or null at the end.
  async next() {
    const head = await this.#bytes(2);
    if (!head) return null;
    const [first, second] = head;
    if (second & 0x80) throw new Error('the gateway masked a frame');
    let length = second;
    if (length === 126) length = (await this.#bytes(2)).readUInt16BE();
    else if (length === 127) length = Number((await this.#bytes(8)).readBigUInt64BE());
    return { fin: first >> 7 === 1, rsv: first >> 4 & 7, opcode: first & 15, payload: await this.#bytes(length) };
  }

  end() {
    this.socket.destroy();
  }
}

// Connects and upgrades; 'extensions' is what is offered. Resolves to a Wire with the 'answer'.
export async function dialWire(gateway, { path = '/echo', extensions = null } = {}) {
  const socket = connect({ host: '127.0.0.1', port: gateway.port });
  await once(socket, 'connect');
  socket.setNoDelay(true);
  const wire = new Wire(socket);
  wire.send(upgradeText(gateway, { 'Sec-WebSocket-Extensions': extensions }, `GET ${path} HTTP/1.1`));
  const head = await wire.head();
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`refused: ${head}`);
  wire.agreed = head.match(/^Sec-WebSocket-Extensions: (.*)\r$/m)?.[1] ?? null;
  return wire;
}

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

// One direction of permessage-deflate: feeds a zlib stream and takes what comes out of a flush.
class Squeeze {
  #make;
  #stream;

  constructor(make, takeover) {
    this.#make = make;
    this.takeover = takeover;
  }

  async run(input) {
    this.#stream ??= this.#make();
    const stream = this.#stream, out = [];
    const take = (piece) => out.push(piece);
    stream.on('data', take);
    const failed = once(stream, 'error').then(([error]) => { throw error; });
    failed.catch(() => {});
    stream.write(input);
    await Promise.race([new Promise((resolve) => stream.flush(constants.Z_SYNC_FLUSH, resolve)), failed]);
    stream.off('data', take);
    stream.removeAllListeners('error');
    if (!this.takeover) this.close();
    return Buffer.concat(out);
  }

  close() {
    this.#stream?.close();
    this.#stream = undefined;
  }
}

const bits = (agreed, name) => Number(agreed.match(new RegExp(`${name}=(\\d+)`))?.[1] ?? 15);

// A client's compression as 'agreed' says (the value of Sec-WebSocket-Extensions). What the gateway
// compressed is read with the window that it agreed to, so that a larger one would not go unseen.
export function deflating(agreed) {
  const out = new Squeeze(() => createDeflateRaw({ windowBits: bits(agreed, 'client_max_window_bits') }),
    !agreed.includes('client_no_context_takeover'));
  const back = new Squeeze(() => createInflateRaw({ windowBits: bits(agreed, 'server_max_window_bits') }),
    !agreed.includes('server_no_context_takeover'));
  return {
    async compress(payload) {
      if (payload.length === 0) return Buffer.from([0]); // RFC 7692 section 7.2.3.6
      const bytes = await out.run(payload);
      return bytes.subarray(0, bytes.length - TAIL.length);
    },
    decompress: (payload) => back.run(Buffer.concat([payload, TAIL])),
    close() {
      out.close();
      back.close();
    },
  };
}
