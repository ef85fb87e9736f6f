// HTTP/1.1 by hand over a socket, for what no client library would send.
import { connect } from 'node:net';
import { once } from 'node:events';
import { within } from './gateway.mjs';

const HEAD_END = '\r\n\r\n';

function parseHead(text) {
  const [first, ...lines] = text.split('\r\n');
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  return { status: Number(first.split(' ')[1]), version: first.split(' ')[0], headers };
}

export class Raw {
  #text = '';
  #wake = () => {};
  reads = 0; // how many pieces the answers came in

  constructor(socket) {
    this.socket = socket;
    this.ended = false; // the peer ended its output, or reset
    this.closed = new Promise((resolve) => {
      const end = (how) => () => { this.ended = true; this.#wake(); resolve(how); };
      socket.once('end', end('end')).once('error', end('reset'));
    });
    socket.setEncoding('latin1').on('data', (text) => {
      this.reads++;
      this.#text += text;
      this.#wake();
    });
  }

  send(...parts) {
    this.socket.write(parts.join(''), 'latin1');
    return this;
  }

  // Waits until look() finds something in what came so far, or the peer ended.
  async #until(look, what) {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`closed before ${what}: ${JSON.stringify(this.#text)}`);
      const more = new Promise((resolve) => (this.#wake = resolve));
      await within(more, () => `${what}; so far ${JSON.stringify(this.#text)}`);
    }
  }

  #take(size) {
    const taken = this.#text.slice(0, size);
    this.#text = this.#text.slice(size);
    return taken;
  }

  // The next response, interim ones (1xx) included: {status, version, headers, body}.
  async response({ head = false } = {}) {
    const end = await this.#until(() => {
      const at = this.#text.indexOf(HEAD_END);
      return at < 0 ? undefined : at;
    }, 'the end of a head');
    const answer = parseHead(this.#take(end + HEAD_END.length).slice(0, end));
    const size = head || answer.status < 200 ? 0 : Number(answer.headers.get('content-length') ?? 0);
    await this.#until(() => (this.#text.length >= size ? true : undefined), `${size} bytes of body`);
    return { ...answer, body: this.#take(size) };
  }

  // The next 'size' bytes, as latin1.
  async bytes(size) {
    await this.#until(() => (this.#text.length >= size ? true : undefined), `${size} bytes`);
    return this.#take(size);
  }

  // Requires that the peer ends, and returns what came before that was not taken. Then ends too.
  async rest() {
    await within(this.closed, () => 'the connection to be closed');
    this.socket.end();
    return this.#take(this.#text.length);
  }

  // Ends our output (FIN).
  finish() {
    this.socket.end();
    return this;
  }

  // Resets the connection (RST).
  reset() {
    this.socket.resetAndDestroy();
    return this;
  }

  destroy() {
    this.socket.destroy();
  }
}

// Connects to the gateway, or as 'how' says (path, localAddress, port); the socket is destroyed when
// the test 't' ends.
export async function open(t, gateway, how = {}) {
  const socket = connect({ host: '127.0.0.1', port: gateway.port, allowHalfOpen: true, ...how });
  t.after(() => socket.destroy());
  gateway.sockets?.add(socket);
  await once(socket, 'connect');
  socket.setNoDelay(true);
  return new Raw(socket);
}

// The text of a POST to /rpc (or 'path') with 'body' and more header lines.
export function postText(gateway, body, { path = '/rpc', version = '1.1', lines = [] } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return [
    `POST ${path} HTTP/${version}`, `Host: ${gateway.address}`, 'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(text)}`, ...lines, '', text,
  ].join('\r\n');
}
