// Many reloads under load: no call fails, no connection is lost, every reply is of a generation that was current when
// its call began, and what old generations held comes back. RELOADS sets how many (200 is the full measure).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { watch } from './lib/bystander.mjs';
import { MIB, rss, sanitized, until } from './lib/load.mjs';
import { postText } from './lib/raw.mjs';
import { appText, gone, serve } from './lib/reload.mjs';
import { request } from './lib/rpc.mjs';
import { frame, upgradeText } from './lib/ws.mjs';

const RELOADS = Number(process.env.RELOADS ?? (sanitized ? 12 : 60));
const CLIENTS = RELOADS >= 200 ? 64 : 16; // of each kind
const BROKEN_EVERY = 4;
const WARM_UP = Math.ceil(RELOADS * 0.3);
const LOOK_EVERY = Math.ceil(RELOADS / 10);
const FLAT = 0.05;

// A call that takes up to half a second.
const WORK = `app.procedures.work = function(params, call)
  if params.ms > 0 then cancela.sleep(params.ms / 1000) end
  return { generation = call.generation, version = tonumber(version), data = params.data }
end
local ballast = {}
for i = 1, 2000 do ballast[i] = { i, tostring(i) } end
app.procedures.ballast = function() return #ballast end`;
const working = (version) => appText(String(version), { before: WORK });
const broken = [
  (text) => `${text}\nend`,
  () => '',
  () => 'return 1',
  (text) => text.slice(0, text.length / 2),
  (text) => text.replace('log.info("loads', 'error("boom") log.info("loads'),
  (text) => text.replace('log.info("loads', 'require "no.such" log.info("loads'),
  (text) => text.replace('return cancela.app', 'app.procedurs = {} return cancela.app'),
  (text) => text.replace('return cancela.app', 'app.on_load = function() error("no database") end return cancela.app'),
];

// What the clients know: 'current' before a call is sent, 'begun' when a reload is asked for.
class Truth {
  current = 1; // a reload that has returned
  asked = 1; // a reload that may be over
  calls = 0;
  wrong = [];
  stopped = false;
  closed = false; // the clients make a break
  gate = Promise.resolve(); // its end

  // Has the clients send nothing more; the returned function has them go on.
  pause() {
    this.closed = true;
    let open;
    this.gate = new Promise((resolve) => { open = resolve; });
    return () => {
      this.closed = false;
      open();
    };
  }

  // Judges a reply to a call that was sent when 'current' was 'least'.
  judge(reply, least, data) {
    this.calls++;
    const { generation, version } = reply.result ?? {};
    const fine = generation >= least && generation <= this.asked && version === generation && reply.result.data === data;
    if (!fine) this.wrong.push({ reply, least, asked: this.asked });
  }
}

const duration = () => (Math.random() < 0.3 ? 0 : Math.floor(Math.random() * 500));

// One socket, read as 'take' cuts replies from its bytes; any end of it is an error.
class Line {
  #bytes = Buffer.alloc(0);
  #wake = () => {};
  lost;

  constructor(socket, take) {
    this.socket = socket.setNoDelay(true);
    this.take = take;
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake();
    });
    for (const event of ['end', 'error', 'close']) socket.on(event, () => { this.lost = event; this.#wake(); });
  }

  async next() {
    for (;;) {
      const found = this.take(this.#bytes);
      if (found) {
        this.#bytes = this.#bytes.subarray(found.end);
        return found.text;
      }
      if (this.lost) throw new Error(`connection lost: ${this.lost}`);
      await new Promise((resolve) => { this.#wake = resolve; });
    }
  }
}

function takeHttp(bytes) {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return null;
  const end = head + 4 + Number(/content-length: (\d+)/i.exec(bytes.subarray(0, head).toString('latin1'))?.[1] ?? 0);
  return bytes.length < end ? null : { end, text: bytes.subarray(head + 4, end).toString() };
}

function takeFrame(bytes) {
  if (bytes.length < 2) return null;
  const long = bytes[1] === 126, head = long ? 4 : 2;
  if (bytes.length < head) return null;
  const end = head + (long ? bytes.readUInt16BE(2) : bytes[1]);
  return bytes.length < end ? null : { end, text: bytes.subarray(head, end).toString() };
}

async function line(gateway, take) {
  const socket = dial(gateway.port, '127.0.0.1');
  await once(socket, 'connect');
  return new Line(socket, take);
}

// One call after the other on one connection.
async function overHttp(gateway, truth, client) {
  const own = await line(gateway, takeHttp);
  for (let n = 0; ; n++) {
    await truth.gate;
    if (truth.stopped) break;
    const least = truth.current, data = `${client} ${n}`;
    own.socket.write(postText(gateway, request('work', { ms: duration(), data })));
    truth.judge(JSON.parse(await own.next()), least, data);
  }
  own.socket.destroy();
}

// Some at a time on one connection.
async function overWebSocket(gateway, truth, client) {
  const own = await line(gateway, takeHttp);
  own.socket.write(upgradeText(gateway));
  await own.next();
  own.take = takeFrame;
  const sent = new Map();
  const send = (id) => {
    const data = `${client} ${id}`;
    sent.set(id, { least: truth.current, data });
    own.socket.write(frame(request('work', { ms: duration(), data }, id)), 'latin1');
  };
  let id = 0;
  for (;;) {
    if (sent.size === 0) {
      await truth.gate;
      if (truth.stopped) break;
      for (let some = 0; some < 3; some++) send(id++);
    }
    const reply = JSON.parse(await own.next());
    const { least, data } = sent.get(reply.id);
    sent.delete(reply.id);
    truth.judge(reply, least, data);
    if (!truth.stopped && !truth.closed) send(id++);
  }
  own.socket.destroy();
}

// The memory when the clients make a break: the least that is seen in a while.
async function atRest(gateway, truth) {
  const goOn = truth.pause();
  assert.ok(await until(async () => (await gateway.json('ps')).calls.length === 0, 10_000));
  let least = Infinity;
  for (let i = 0; i < 20; i++) {
    least = Math.min(least, rss(gateway));
    await pause(50);
  }
  goOn();
  return least;
}

test(`${RELOADS} reloads under ${2 * CLIENTS} connections`, { timeout: 600_000 }, async (t) => {
  const gateway = await serve(t, working(1), ['--workers', '2', '--access-log', 'off', '--max-generations', '8']);
  const truth = new Truth();
  const clients = [];
  for (let i = 0; i < CLIENTS; i++) {
    clients.push(overHttp(gateway, truth, `http ${i}`), overWebSocket(gateway, truth, `ws ${i}`));
  }
  const load = Promise.all(clients);
  load.catch((error) => truth.wrong.push({ error: error.message }));
  const steady = () => watch(upgradeText(gateway), frame(request('who')), gateway.port);
  const quiet = await steady();
  await pause(1000);
  const without = await quiet();
  const during = await steady();
  let refused = 0;
  const rests = [];
  const took = [];
  for (let n = 0; n < RELOADS && truth.wrong.length === 0; n++) {
    const next = truth.current + 1;
    if (n % BROKEN_EVERY === 3) {
      await gateway.refused(broken[refused++ % broken.length](working(next)));
    }
    truth.asked = next;
    const answer = await gateway.reload(working(next));
    assert.equal(answer.generation, next);
    took.push(answer.took_ms);
    truth.current = next;
    if (n >= WARM_UP && n % LOOK_EVERY === 0) rests.push(await atRest(gateway, truth));
  }
  rests.push(await atRest(gateway, truth));
  const after = await during();
  truth.stopped = true;
  await load;
  assert.deepEqual(truth.wrong.slice(0, 3), []);
  for (let generation = 1; generation < truth.current; generation++) await gone(gateway, generation);
  const status = await gateway.json('status');
  assert.deepEqual([status.generation, status.reloads, status.reloads_failed], [RELOADS + 1, RELOADS, refused]);
  took.sort((a, b) => a - b);
  const ms = ({ p50, p99, max }) => `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} max ${max.toFixed(1)}`;
  t.diagnostic(`${truth.calls} calls; ${refused} broken saves; a reload took ${took[took.length >> 1]} ms, at most ${took.at(-1)}`);
  t.diagnostic(`MiB from ${WARM_UP} reloads on: ${rests.map((bytes) => (bytes / MIB).toFixed(1)).join(' ')}`);
  t.diagnostic(`ms of a steady client without reloads: ${ms(without)}; with: ${ms(after)}`);
  const mean = (some) => some.reduce((sum, each) => sum + each, 0) / some.length;
  const warm = mean(rests.slice(0, 3)), end = mean(rests.slice(-3));
  if (!sanitized) assert.ok(end < warm * (1 + FLAT), `${warm} grew to ${end}`);
  assert.ok(await until(async () => (await gateway.json('ps')).calls.length === 0, 10_000));
});
