// cancela call https://…
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { cancela, finish, spawnBinary, start } from './lib/gateway.mjs';
import { clientAuth, file, serve } from './lib/tls.mjs';

const gateway = await serve({ after }, clientAuth('optional'));
const trusting = ['--cacert', file('ca.pem')];
const sum = ['add', 'a=40', 'b=2'];

async function requireResult(url, ...args) {
  const { code, stdout, stderr } = await cancela('call', url, ...sum, ...args);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '42\n');
}

async function requireFailure(url, args, exit, said) {
  const { code, stdout, stderr } = await cancela('call', url, ...args);
  assert.match(stderr, said);
  assert.equal(code, exit, stderr);
  assert.equal(stdout, '');
}

test('a name and an address of the certificate are as good', async () => {
  await requireResult(gateway.url, ...trusting);
  await requireResult(`https://127.0.0.1:${gateway.port}/rpc`, ...trusting);
});

test('a certificate that nobody vouches for is refused, unless --insecure', async () => {
  await requireFailure(gateway.url, sum, 3, /cannot connect to localhost:\d+: TLS failed: certificate verify failed/);
  await requireResult(gateway.url, '--insecure');
  await requireResult(gateway.url, '-k');
});

test('SSL_CERT_FILE stands for the authorities of the system', async () => {
  const { code, stderr } = await finish(spawnBinary(['call', gateway.url, ...sum],
    { env: { ...process.env, SSL_CERT_FILE: file('ca.pem') } }));
  assert.equal(code, 0, stderr);
});

test('a certificate for another name is refused', async (t) => {
  const elsewhere = await serve(t, ['--tls-cert', file('elsewhere.pem'), '--tls-key', file('elsewhere.key')]);
  await requireFailure(elsewhere.url, [...sum, ...trusting], 3, /hostname mismatch/);
});

test('--cert and --key are presented', async () => {
  const { code, stdout, stderr } = await cancela('call', gateway.url, 'certificate', ...trusting,
    '--cert', file('client.pem'), '--key', file('client.key'));
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).serial, 'C11E');
});

test('a server that wants a certificate says so', async (t) => {
  const strict = await serve(t, clientAuth('require'));
  await requireFailure(strict.url, [...sum, ...trusting], 3, /certificate required/);
});

const MISTAKES = [
  [['--cacert', '/nowhere.pem'], /--cacert '\/nowhere\.pem': No such file/],
  [['--cert', file('client.pem')], /--key is not set/],
  [['--key', file('client.key')], /--cert is not set/],
  [['--cert', file('client.pem'), '--key', file('server.key')], /--key '.*server\.key' is not the key of the certificate in --cert/],
];
for (const [args, said] of MISTAKES) {
  test(`call with ${args.filter((arg) => arg.startsWith('--')).join(' and ')} amiss ends with 2`, async () => {
    await requireFailure(gateway.url, [...sum, ...args], 2, said);
  });
}

test('https:// to a plain address, and the other way round, is said', async (t) => {
  const plain = await start('app.lua');
  t.after(() => plain.stop());
  await requireFailure(`https://${plain.address}`, sum, 3, /the server answers in plain text: it does not speak TLS/);
  await requireFailure(`http://127.0.0.1:${gateway.port}`, sum, 1, /400[^]*write https:\/\//);
});

test('--timeout limits the handshake too', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  await requireFailure(`https://127.0.0.1:${silent.address().port}`, [...sum, '--timeout', '100ms'], 4, /deadline_exceeded/);
});

test('Ctrl-C cancels a call over TLS', async () => {
  const child = spawnBinary(['call', gateway.url, 'slow', 'label=ctrl-c', ...trusting]);
  const ended = finish(child);
  await gateway.log(/started ctrl-c$/);
  child.kill('SIGINT');
  assert.equal((await ended).code, 130);
  await gateway.log(/on_cancel ctrl-c disconnect$/);
});
