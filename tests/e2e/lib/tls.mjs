// Gateways at https:// addresses, and clients of them. Certificates are made when this is loaded.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect as tcpConnect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { finish, start, within } from './gateway.mjs';
import { Raw } from './raw.mjs';
import { request } from './rpc.mjs';
import { spawn } from 'node:child_process';

const folder = mkdtempSync(join(tmpdir(), 'cancela-tls-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
execFileSync(fileURLToPath(new URL('../../certificates', import.meta.url)), [folder]);

// The path of a file that tests/certificates made.
export const file = (name) => join(folder, name);
export const ca = readFileSync(file('ca.pem'));

// What a client shows as its own: {cert, key}.
export const identity = (name) => ({
  cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)),
});

export const certificateFlags = (name = 'server') =>
  ['--tls-cert', file(`${name}.pem`), '--tls-key', file(`${name}.key`)];
export const clientAuth = (mode) => ['--tls-client-auth', mode, '--tls-client-ca', file('ca.pem')];

// Starts a gateway at https://127.0.0.1:PORT; it ends with the test 't', or { after }.
export async function serve(t, flags = [], app = 'app.lua') {
  const gateway = await start(app, ['--listen', 'https://127.0.0.1:0', ...certificateFlags(), ...flags]);
  t.after(() => gateway.stop());
  gateway.url = `https://localhost:${gateway.port}`;
  gateway.rpcUrl = `${gateway.url}/rpc`;
  return gateway;
}

// Calls 'method' over HTTPS; resolves to {socket, reply}, the JSON-RPC response.
export async function call(gateway, method, params, options = {}) {
  const text = JSON.stringify(request(method, params));
  const asked = httpsRequest(gateway.rpcUrl, {
    method: 'POST', ca, agent: false, ...options, headers: { 'content-type': 'application/json' },
  });
  asked.end(text);
  const [response] = await within(once(asked, 'response'), () => `the answer to ${method}`);
  const parts = await response.toArray();
  return { socket: asked.socket, reply: JSON.parse(Buffer.concat(parts)) };
}

// Connects with TLS; resolves to a Raw. The socket is destroyed when the test 't' ends.
export async function openTls(t, gateway, { port = gateway.port, ...options } = {}) {
  const socket = tlsConnect({ host: '127.0.0.1', port, servername: 'localhost', ca, allowHalfOpen: true, ...options });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  return new Raw(socket);
}

// A relay to the gateway that knows nothing of TLS: 'up' is its socket to the gateway, to be ended
// or reset behind the client's back.
export async function relay(t, gateway) {
  const server = createServer({ allowHalfOpen: true });
  const connected = once(server, 'connection').then(([down]) => {
    const up = tcpConnect({ host: '127.0.0.1', port: gateway.port, allowHalfOpen: true });
    down.on('error', () => {}).pipe(up, { end: false });
    up.on('error', () => {}).pipe(down);
    t.after(() => { up.destroy(); down.destroy(); });
    return up;
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return { port: server.address().port, up: connected };
}

// Runs openssl s_client with 'input'; resolves to all it said.
export async function sClient(gateway, args, input = '') {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${gateway.port}`, '-CAfile', file('ca.pem'), ...args]);
  child.stdin.on('error', () => {}).end(input);
  const { stdout, stderr } = await finish(child);
  return stdout + stderr;
}

export function requireOk({ code, stdout, stderr }) {
  assert.equal(code, 0, stderr);
  return stdout;
}
