// However a TLS client leaves, its calls are cancelled.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { postText } from './lib/raw.mjs';
import { request } from './lib/rpc.mjs';
import { ca, call, openTls, relay, serve } from './lib/tls.mjs';
import { connect } from './lib/ws.mjs';

const gateway = await serve({ after }, ['--access-log', 'all', '--pipeline-bytes', '4KiB']);

// Sends what the gateway does not read while a call runs, but the system takes.
async function sendUnread(raw) {
  const text = postText(gateway, request('echo', { text: 'x'.repeat(4000) }));
  raw.send(text, text);
  await call(gateway, 'add', { a: 1, b: 1 });
  raw.send(...Array(5).fill(text));
}

// Leaves in a way that the gateway sees as the name says.
const WAYS = {
  'FIN without close_notify': (raw, up) => up.end(),
  RST: (raw, up) => up.resetAndDestroy(),
};

for (const [way, leave] of Object.entries(WAYS)) {
  for (const behind of ['', ' behind unread input']) {
    test(`${way}${behind} cancels the call`, async (t) => {
      const { port, up } = await relay(t, gateway);
      const label = `${way}${behind}`;
      const raw = await openTls(t, gateway, { port });
      raw.send(postText(gateway, request('slow', { label })));
      await gateway.log(new RegExp(`started ${label}$`));
      if (behind) await sendUnread(raw);
      leave(raw, await up);
      await gateway.log(new RegExp(`on_cancel ${label} disconnect$`));
      await gateway.log(new RegExp(`closed ${label}$`));
    });
  }
}

for (const behind of ['', ' behind unread input']) {
  test(`close_notify and FIN${behind} cancels the call`, async (t) => {
    const label = `orderly${behind}`;
    const raw = await openTls(t, gateway);
    raw.send(postText(gateway, request('slow', { label })));
    await gateway.log(new RegExp(`started ${label}$`));
    if (behind) await sendUnread(raw);
    raw.finish();
    await gateway.log(new RegExp(`on_cancel ${label} disconnect$`));
  });
}

test('close_notify alone, without FIN, cancels the call', async (t) => {
  const { port } = await relay(t, gateway); // which keeps its side to the gateway open
  const raw = await openTls(t, gateway, { port });
  raw.send(postText(gateway, request('slow', { label: 'half' })));
  await gateway.log(/started half$/);
  raw.finish();
  await gateway.log(/on_cancel half disconnect$/);
});

test('half_close=allow answers a client that ended with close_notify, not one that was cut', async (t) => {
  const lenient = await serve(t, ['--half-close', 'allow']);
  const raw = await openTls(t, lenient);
  raw.send(postText(lenient, request('slow', { label: 'orderly', seconds: 0.1 })));
  await lenient.log(/started orderly$/);
  raw.finish();
  assert.equal(JSON.parse((await raw.response()).body).result, 'done!');

  const { port, up } = await relay(t, lenient);
  const cut = await openTls(t, lenient, { port });
  cut.send(postText(lenient, request('slow', { label: 'cut' })));
  await lenient.log(/started cut$/);
  (await up).end();
  await lenient.log(/on_cancel cut disconnect$/);
});

test('a WebSocket that is lost cancels its calls', async (t) => {
  const peer = await connect(t, gateway, { ca });
  for (const id of [1, 2, 3]) peer.send(request('slow', { label: `wss ${id}` }, id));
  for (const id of [1, 2, 3]) await gateway.log(new RegExp(`started wss ${id}$`));
  peer.ws.terminate();
  for (const id of [1, 2, 3]) await gateway.log(new RegExp(`on_cancel wss ${id} disconnect$`));
});

test('a hundred connections lost at once leave nothing', async (t) => {
  const raws = await Promise.all(Array.from({ length: 100 }, () => openTls(t, gateway)));
  raws.forEach((raw, i) => raw.send(postText(gateway, request('slow', { label: `crowd ${i}.` }))));
  for (let i = 0; i < 100; i++) await gateway.log(new RegExp(`started crowd ${i}\\.$`));
  raws.forEach((raw) => raw.destroy());
  for (let i = 0; i < 100; i++) await gateway.log(new RegExp(`closed crowd ${i}\\.$`));
});
