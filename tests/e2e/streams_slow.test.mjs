// A producer that is faster than its reader: what is produced waits in the script, not in memory,
// and another client does not notice.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { watch } from './lib/bystander.mjs';
import { requestFrame, V1 } from './lib/frames.mjs';
import { start } from './lib/gateway.mjs';
import { MIB, openOne, rss, sanitized, skip, stretch } from './lib/load.mjs';
import { request } from './lib/rpc.mjs';
import { CONNECT, EVENTS, requestText } from './lib/streams.mjs';
import { BINARY, frame, upgradeText } from './lib/ws.mjs';

const ITEM_BYTES = 1 << 16;
const ITEMS = (sanitized ? 32 : 1024) * MIB / ITEM_BYTES;
const SIP_BYTES = 4 * MIB; // read at a time, before a pause
const OUT_BYTES = MIB; // the default of out_bytes

// Beside what waits to be sent there may be as much again that is being encoded and written, and
// garbage of the script's that has not been collected yet.
const SLACK_BYTES = 4 * MIB;

const P99_MS = sanitized ? 250 : 50; // of the other client's calls, while the gateway has a CPU
const ATTEMPTS = 3;

// Reads at least 'bytes' with pauses between sips; resolves to how many came.
async function sip(socket, bytes) {
  let taken = 0, since = 0, ended;
  socket.on('data', (data) => {
    taken += data.length;
    since += data.length;
    if (since < SIP_BYTES) return;
    since = 0;
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  socket.once('close', () => { ended = true; });
  while (taken < bytes && !ended) await pause(5);
  socket.destroy();
  return taken;
}

const META = { _meta: { itemToken: 'items' } };
const params = (label) => ({ items: ITEMS, label });

// Each sends its request and resolves to a socket from which nothing has been read but the upgrade.
const WAYS = {
  async 'JSON-RPC on a WebSocket'(gateway) {
    const socket = await openOne(gateway, upgradeText(gateway), 'HTTP/1.1 101');
    socket.write(frame(request('flood', { ...params('ws'), ...META })), 'latin1');
    return socket;
  },
  async [V1](gateway) {
    const socket = await openOne(gateway, upgradeText(gateway, { 'Sec-WebSocket-Protocol': V1 }), 'HTTP/1.1 101');
    socket.write(frame(requestFrame(1, 'flood', JSON.stringify(params('frames'))), { opcode: BINARY }), 'latin1');
    return socket;
  },
  Connect: (gateway) => openOne(gateway, requestText(gateway, CONNECT, 'flood', params('connect')), null),
  'server-sent events': (gateway) => openOne(gateway, requestText(gateway, EVENTS, 'flood', params('sse')), null),
};

describe(`${ITEMS * ITEM_BYTES / MIB} MiB for a slow reader`, { skip }, () => {
  for (const [way, begin] of Object.entries(WAYS)) {
    test(way, async (t) => {
      const gateway = await start('streams.lua', ['--access-log', 'off', '--out-bytes', String(OUT_BYTES)]);
      t.after(() => gateway.stop());
      let high = 0, over;
      for (let attempt = 0; attempt < ATTEMPTS && over !== false; attempt++) {
        const stop = await watch(upgradeText(gateway), frame(request('add', { a: 1, b: 1 })), gateway.port);
        const before = rss(gateway), stretched = stretch(gateway);
        let most = before;
        const look = setInterval(() => { most = Math.max(most, rss(gateway)); }, 2);
        const began = performance.now();
        const taken = await sip(await begin(gateway), ITEMS * ITEM_BYTES);
        clearInterval(look);
        const times = stretched();
        const { calls, p50, p99, max } = await stop();
        assert.ok(taken >= ITEMS * ITEM_BYTES, `${taken} bytes came`);
        high = Math.max(high, most - before);
        t.diagnostic(`${((performance.now() - began) / 1000).toFixed(1)} s, ${((most - before) / MIB).toFixed(1)} MiB more; ` +
          `${calls} calls, ms: p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)}, stretched ${times.toFixed(2)}`);
        over = p99 >= P99_MS * Math.min(2, times) && p99;
      }
      assert.equal(over, false, `another client waited ${over} ms (p99)`);
      if (!sanitized) assert.ok(high <= 2 * OUT_BYTES + SLACK_BYTES, `${(high / MIB).toFixed(1)} MiB more`);
    });
  }
});
