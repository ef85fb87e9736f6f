// Certificates: of the gateway, read again on SIGHUP, and of its clients.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { appPath, cancela, start } from './lib/gateway.mjs';
import { postText } from './lib/raw.mjs';
import { request } from './lib/rpc.mjs';
import { ca, call, certificateFlags, clientAuth, file, identity, openTls, serve } from './lib/tls.mjs';
import { connect } from './lib/ws.mjs';

const shown = (gateway, options) => call(gateway, 'certificate', {}, options).then(({ reply }) => reply.result);
const refused = /alert|ECONNRESET|socket hang up|EPIPE/;

test('none: a certificate is not asked for', async (t) => {
  const gateway = await serve(t);
  assert.equal(await shown(gateway), null);
  assert.equal(await shown(gateway, identity('client')), null);
});

const { fingerprint256 } = new X509Certificate(identity('client').cert);
const CLIENT = {
  subject: 'CN=Zoë,O=Testers\\, Inc.', issuer: 'CN=Test Authority', serial: 'C11E',
  fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
};

test('optional: with none, with one, and with one that nobody vouches for', async (t) => {
  const gateway = await serve(t, clientAuth('optional'));
  assert.equal(await shown(gateway), null);
  assert.deepEqual(await shown(gateway, identity('client')), CLIENT);
  await assert.rejects(shown(gateway, identity('stranger')), refused);
  await gateway.log(/ tls failed why="certificate verify failed: self-signed certificate" peer=/);
});

test('require: only clients with a certificate come in', async (t) => {
  const gateway = await serve(t, clientAuth('require'));
  await assert.rejects(shown(gateway), refused);
  await gateway.log(/ tls failed why="peer did not return a certificate" peer=/);
  await assert.rejects(shown(gateway, identity('stranger')), refused);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    assert.deepEqual(await shown(gateway, { ...identity('client'), maxVersion }), CLIENT);
  }
});

test('the certificate is that of the client on WebSockets and resumed sessions too', async (t) => {
  const gateway = await serve(t, clientAuth('require'));
  const peer = await connect(t, gateway, { ca, ...identity('client') });
  assert.deepEqual((await peer.call('certificate')).result, CLIENT);

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    let session;
    const first = await openTls(t, gateway, { ...identity('client'), maxVersion });
    first.socket.on('session', (ticket) => (session = ticket));
    await first.send(postText(gateway, request('certificate'))).response();
    session ??= first.socket.getSession();
    const second = await openTls(t, gateway, { ...identity('client'), maxVersion, session });
    assert.ok(second.socket.isSessionReused(), maxVersion);
    const { body } = await second.send(postText(gateway, request('certificate'))).response();
    assert.deepEqual(JSON.parse(Buffer.from(body, 'latin1')).result, CLIENT);
  }
});

test('a plain address knows no certificate', async (t) => {
  const gateway = await start('app.lua');
  t.after(() => gateway.stop());
  const response = await fetch(gateway.rpcUrl, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request('certificate')),
  });
  assert.equal((await response.json()).result, null);
});

test('plain and TLS addresses are served side by side', async (t) => {
  const gateway = await serve(t, ['--listen', 'http://127.0.0.1:0']);
  const [, plain] = await gateway.log(/ listening address=(\S+) procedures=\d+$/);
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).reply.result, 2);
  assert.equal((await fetch(`http://${plain}/rpc/version`)).status, 200);
});

// --- SIGHUP. ---

// A gateway whose certificate and key are copies that use() replaces.
async function serveCopies(t, flags = []) {
  const folder = mkdtempSync(join(tmpdir(), 'cancela-reload-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const cert = join(folder, 'cert.pem'), key = join(folder, 'key.pem');
  const use = (certName, keyName = certName) => {
    copyFileSync(file(`${certName}.pem`), cert);
    copyFileSync(file(`${keyName}.key`), key);
  };
  use('server');
  const gateway = await serve(t, ['--tls-cert', cert, '--tls-key', key, ...flags]);
  const serial = async () => (await openTls(t, gateway)).socket.getPeerCertificate().serialNumber;
  return { gateway, use, serial, cert, key };
}

test('SIGHUP: new connections get the new certificate, open ones go on', async (t) => {
  const { gateway, use, serial } = await serveCopies(t);
  const before = await serial();
  const raw = await openTls(t, gateway);
  raw.send(postText(gateway, request('slow', { label: 'open', seconds: 0.5 })));
  await gateway.log(/started open$/);
  use('second');
  assert.equal(await serial(), before); // not before it is told to
  gateway.signal('SIGHUP');
  await gateway.log(/INFO +certificates reloaded$/);
  assert.equal(await serial(), '02');
  assert.equal(JSON.parse((await raw.response()).body).result, 'done!');
  raw.send(postText(gateway, request('add', { a: 1, b: 1 })));
  assert.equal(JSON.parse((await raw.response()).body).result, 2);
});

const MISHAPS = {
  'a key of another certificate': ({ use }) => use('server', 'second'),
  'a certificate that is none': ({ cert }) => writeFileSync(cert, 'nonsense'),
  'a file that is gone': ({ key }) => rmSync(key),
};
for (const [what, spoil] of Object.entries(MISHAPS)) {
  test(`SIGHUP with ${what} is an error that names the file, and changes nothing`, async (t) => {
    const copies = await serveCopies(t);
    const { gateway, serial } = copies;
    const before = await serial();
    spoil(copies);
    gateway.signal('SIGHUP');
    await gateway.log(/ERROR certificates not reloaded, those in use stay: tls_(cert|key) '\/.*(cert|key)\.pem'/);
    assert.equal(await serial(), before);
    copies.use('second'); // and it can be mended
    gateway.signal('SIGHUP');
    await gateway.log(/INFO +certificates reloaded$/);
    assert.equal(await serial(), '02');
  });
}

test('SIGHUP under many connections that come and go loses none', async (t) => {
  const { gateway, use } = await serveCopies(t, ['--workers', '2']);
  let over = false;
  const client = async () => {
    let calls = 0;
    for (; !over; calls++) assert.equal((await call(gateway, 'add', { a: calls, b: 1 })).reply.result, calls + 1);
    return calls;
  };
  const clients = Array.from({ length: 4 }, client);
  for (let i = 0; i < 20; i++) {
    use(i % 2 ? 'server' : 'second');
    gateway.signal('SIGHUP');
    await call(gateway, 'add', { a: 1, b: 1 });
  }
  over = true;
  for (const calls of await Promise.all(clients)) assert.ok(calls > 0);
});

test('SIGHUP does not end a gateway without TLS', async (t) => {
  const gateway = await start('app.lua');
  t.after(() => gateway.stop());
  gateway.signal('SIGHUP');
  await gateway.log(/reload gen 2 in/);
  assert.equal((await fetch(`${gateway.url}/rpc/version`)).status, 200);
});

// --- Start-up. ---

const listen = ['--listen', 'https://127.0.0.1:0'];
const MISTAKES = {
  'without a certificate': [[], /tls_cert is not set/],
  'without a key': [['--tls-cert', file('server.pem')], /tls_key is not set/],
  'with a file that is missing': [['--tls-cert', '/nowhere/cert.pem', '--tls-key', file('server.key')],
    /tls_cert '\/nowhere\/cert\.pem': No such file/],
  'with a key of another certificate': [['--tls-cert', file('server.pem'), '--tls-key', file('second.key')],
    /tls_key '.*second\.key' is not the key of the certificate in tls_cert '.*server\.pem'/],
  'with a key that has a passphrase': [['--tls-cert', file('server.pem'), '--tls-key', file('locked.key')],
    /tls_key '.*locked\.key': the key has a passphrase/],
  'that asks for client certificates without an authority': [[...certificateFlags(), '--tls-client-auth', 'require'],
    /tls_client_ca is not set/],
};
for (const [what, [flags, said]] of Object.entries(MISTAKES)) {
  for (const command of ['run', 'check']) {
    test(`${command} of an https:// address ${what} ends with 2 and one line`, async () => {
      const { code, stderr } = await cancela(command, appPath('table.lua'), ...listen, ...flags);
      assert.equal(code, 2, stderr);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.match(stderr, said);
    });
  }
}

test('a certificate without an https:// address is warned of', async (t) => {
  const gateway = await start('table.lua', certificateFlags());
  t.after(() => gateway.stop());
  assert.ok(gateway.lines.some((line) => /WARN .*no address in 'listen' begins with https/.test(line)));
});

test('config prints what was set', async () => {
  const { stdout } = await cancela('config', ...certificateFlags(), '--tls-client-auth', 'optional');
  assert.ok(stdout.includes(`tls_cert = "${file('server.pem')}",`), stdout);
  assert.ok(stdout.includes('tls_client_auth = "optional",'));
});
