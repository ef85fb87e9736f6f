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
const IDLE = 10_000;

async function serve(t, ...flags) {
  const gateway = await start('load.lua', ['--access-log', 'off', ...flags]);
  t.after(() => gateway.stop());
  return gateway;
}

const seen = async (gateway) => (await call(gateway, 'seen')).result;

const WAITS = Array.from({ length: CALLS_EACH }, (_, id) => frame(request('wait', [], id))).join('');
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
