// Many connections and many calls at a time: what they take, that the script sees the end of each,
// and that the memory comes back. Memory is looked at where no sanitizer has its own.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { MIB, descriptors, openMany, rss, sanitized, skip, stretch, until } from './lib/load.mjs';
import { call, request } from './lib/rpc.mjs';
import { CLOSE, frame } from './lib/ws.mjs';

const CONNECTIONS = 100;
const CALLS_EACH = 100;
const CALLS = CONNECTIONS * CALLS_EACH;
const BYTES = 2048; // that a call may take while it waits
const IDLE = 10_000;

async function serve(t, ...flags) {
  // On a busy machine thousands of calls may need longer to end than the grace of clean-up is.
  const gateway = await start('load.lua', ['--access-log', 'off', '--grace', '20s', ...flags]);
  t.after(() => gateway.stop());
  return gateway;
}

const seen = async (gateway) => (await call(gateway, 'seen')).result;

const waits = (procedure, params) =>
  Array.from({ length: CALLS_EACH }, (_, id) => frame(request(procedure, params, id))).join('');
const WAITS = waits('wait', []);
const BYE = Buffer.from(frame(Buffer.from([3, 232]), { opcode: CLOSE }), 'latin1');

describe(`${CALLS} calls in flight over ${CONNECTIONS} WebSockets end, and give their memory back, with`, { skip }, () => {
  const ways = [
    ['RST', (socket) => socket.resetAndDestroy()],
    ['FIN', (socket) => socket.end()],
    ['a close frame', (socket) => socket.write(BYE)],
  ];
  for (const [name, leave] of ways) {
    test(name, async (t) => {
      const gateway = await serve(t);
      const atRest = rss(gateway);
      const sockets = await openMany(t, gateway, CONNECTIONS);
      sockets.forEach((socket) => socket.write(WAITS, 'latin1'));
      assert.ok(await until(async () => (await seen(gateway)).active === CALLS, 20_000), 'all calls run');
      const busy = rss(gateway);
      const stretched = stretch(gateway);
      sockets.forEach(leave);
      const left = performance.now();
      assert.ok(await until(async () => (await seen(gateway)).active === 0, 20_000), 'no call is left');
      assert.deepEqual(await seen(gateway), { active: 0, cancels: CALLS, closed: CALLS });
      if (sanitized) return;
      const over = () => performance.now() - left > 1000 * stretched();
      const low = () => rss(gateway) <= atRest + 2 * MIB;
      await until(() => low() || over(), 20_000);
      const back = low();
      t.diagnostic(`MiB at rest ${(atRest / MIB).toFixed(1)}, busy ${(busy / MIB).toFixed(1)}, ` +
        `${Math.round(performance.now() - left)} ms after ${(rss(gateway) / MIB).toFixed(1)}`);
      assert.ok(back, `${rss(gateway) - atRest} bytes more than before the first call`);
    });
  }
});

// Opens the connections with their calls, resets them all, and looks when the last call is gone.
// Resolves to the milliseconds until then, as on a machine of the gateway's own, and to what each
// call had taken.
async function unwind(t, gateway, texts) {
  const sockets = await openMany(t, gateway, CONNECTIONS);
  const before = rss(gateway);
  sockets.forEach((socket) => socket.write(texts, 'latin1'));
  assert.ok(await until(async () => (await seen(gateway)).active === CALLS, 20_000), 'all calls run');
  // What the input took while it waited to be read goes back a moment later.
  const each = () => (rss(gateway) - before) / CALLS;
  await until(() => each() <= BYTES, 2000);
  const bytes = each();
  const stretched = stretch(gateway);
  const began = performance.now();
  sockets.forEach((socket) => socket.resetAndDestroy());
  while ((await seen(gateway)).active > 0) assert.ok(performance.now() - began < 20_000, 'no call is left');
  return { ms: (performance.now() - began) / stretched(), bytes };
}

// The bounds are several times what an idle machine needs, and the best of some tries counts: they
// are to catch what makes the end of a call dear, not a busy machine.
describe(`${CALLS} calls that are reset at once end soon, with`, { skip }, () => {
  const TRIES = sanitized ? 1 : 5;
  const cases = [
    ['a clean-up', 'wait_deferred', 100],
    ['a clean-up that awaits 20 ms', 'wait_deferred_slowly', 200],
  ];
  for (const [name, procedure, most] of cases) {
    test(name, async (t) => {
      const gateway = await serve(t);
      const tries = [];
      while (tries.length < TRIES) tries.push(await unwind(t, gateway, waits(procedure, [60])));
      assert.equal((await seen(gateway)).closed, TRIES * CALLS);
      const each = tries.map(({ ms }) => Math.round(ms));
      const { bytes } = tries[0]; // later ones find memory that is there already
      t.diagnostic(`ms until the last had ended: ${each.join(', ')}; ${bytes.toFixed(0)} bytes a call`);
      if (sanitized) return;
      assert.ok(Math.min(...each) <= most, `${Math.min(...each)} ms at best, ${most} are allowed`);
      assert.ok(bytes <= BYTES, `${bytes} bytes a call`);
    });
  }
});

test(`${IDLE} idle WebSockets take at most 2 KB each`, { skip }, async (t) => {
  if (descriptors() < IDLE + 200) {
    t.skip(`this machine lets a process open ${descriptors()} descriptors`);
    return;
  }
  const gateway = await serve(t);
  await openMany(t, gateway, 1); // what the first connection needs once
  const before = rss(gateway);
  await openMany(t, gateway, IDLE);
  const each = (rss(gateway) - before) / IDLE;
  t.diagnostic(`${each.toFixed(0)} bytes each`);
  assert.equal((await call(gateway, 'add', { a: 1, b: 1 })).result, 2);
  if (!sanitized) assert.ok(each <= 2000, `${each} bytes each`);
});
