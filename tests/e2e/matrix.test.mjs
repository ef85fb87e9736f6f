// Every protocol by everything that can happen to a call: one script (apps/matrix.lua). docs/protocols.md shows the same
// table, and is compared with what is tested here.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { after, describe, test } from 'node:test';
import { cancelaV1, connectRpc, frames, jsonRpcHttp, jsonRpcSocket, sse } from './lib/columns.mjs';
import { cancela, start, within } from './lib/gateway.mjs';

const COLUMNS = [jsonRpcHttp, jsonRpcSocket, frames, cancelaV1, connectRpc, sse];

const admin = join(mkdtempSync(join(tmpdir(), 'cancela-matrix-')), 'admin.sock');
const gateway = await start('matrix.lua', ['--admin', admin]);
after(() => gateway.stop());
after(() => rmSync(dirname(admin), { recursive: true }));
const hasty = await start('matrix.lua', ['--write-timeout', '200ms']);
after(() => hasty.stop());

const logged = (label, how) => gateway.log(new RegExp(`${how} ${label.replaceAll('.', '\\.')}\\b`));

// Waits until look() gives something.
async function until(look, what) {
  let over = false;
  const found = (async () => {
    for (let value; !over; await pause(5)) if ((value = await look())) return value;
    return undefined;
  })();
  return within(found, () => what).finally(() => (over = true));
}

// What a call that waits is answered with when 'end' happens to it, which the script sees as 'kind'.
async function ended(session, label, kind, end, { name = 'wait', options } = {}) {
  const call = session.start(name, { label }, options);
  const [, id] = await gateway.log(new RegExp(`started ${label.replaceAll('.', '\\.')} id=(\\d+)`));
  await end(call, id);
  await logged(label, 'on_cancel');
  assert.ok(gateway.lines.some((line) => line.endsWith(`on_cancel ${label} ${kind}`)), gateway.lines.at(-1));
  await logged(label, 'closed');
  return call;
}

const errorOf = async ({ reply }) => (await reply).error;

// --- What is done in each row. ---

async function called(session) {
  assert.equal((await session.start('add', { a: 2, b: 40 }).reply).result, 42);
}

async function failed(session) {
  const { code, message } = await errorOf(session.start('fail', {}));
  assert.deepEqual([code, message], ['not_found', 'no such user']);
}

async function unknown(session) {
  assert.equal((await errorOf(session.start('nope', {}))).code, 'unimplemented');
}

async function refused(session, label) {
  assert.equal((await errorOf(session.start('add', { a: 8080, b: label }))).code, 'invalid_argument');
  assert.equal((await session.start('add', { a: 1, b: 1 }).reply).result, 2);
  assert.ok(!gateway.lines.some((line) => line.includes('added 8080')));
}

async function expired(session, label) {
  const call = await ended(session, label, 'timeout', () => {}, { options: { timeoutMs: 50 } });
  assert.equal((await errorOf(call)).code, 'deadline_exceeded');
}

// Of a protocol without options of a call: the procedure's own.
async function expiredByProcedure(session, label) {
  const call = await ended(session, label, 'timeout', () => {}, { name: 'brief' });
  assert.equal((await errorOf(call)).code, 'deadline_exceeded');
}

async function resetAnswered(session, label) {
  const call = await ended(session, label, 'reset', (it) => it.reset());
  assert.equal((await errorOf(call)).code, 'canceled');
}

async function resetSilently(session, label) {
  const call = await ended(session, label, 'reset', (it) => it.reset());
  await called(session);
  assert.ok(!call.answered());
}

async function left(session, label) {
  const call = await ended(session, label, 'disconnect', () => session.leave());
  assert.deepEqual(await call.reply, { lost: true });
}

async function aborted(session, label, open) {
  const call = await ended(session, label, 'user', async () => {
    const other = await open();
    assert.equal((await other.start('abort', { label }).reply).result, true);
  });
  const { code, message } = await errorOf(call);
  assert.deepEqual([code, message], ['aborted', 'told to']);
}

async function killed(session, label) {
  const call = await ended(session, label, 'killed', async (_, id) => {
    assert.equal((await cancela('kill', id, '--admin', admin)).code, 0);
  });
  assert.equal((await errorOf(call)).code, 'aborted');
}

async function streamed(session, label) {
  const call = session.start('count', { label, n: 3 }, { stream: true });
  const { error } = await call.reply;
  assert.equal(error, undefined);
  assert.deepEqual(call.items.map(({ n }) => n), [1, 2, 3]);
  const lost = session.start('count', { label, n: 2, fails: true }, { stream: true });
  assert.equal((await errorOf(lost)).code, 'data_loss');
  assert.deepEqual(lost.items.map(({ n }) => n), [1, 2]);
  const long = await ended(session, `${label} left`, 'disconnect', async (it) => {
    await until(() => it.items.length === 1, 'an item');
    session.leave();
  }, { name: 'stall', options: { stream: true } });
  assert.deepEqual(await long.reply, { lost: true });
}

async function notStreamed(session, label) {
  const { code, message } = await errorOf(session.start('count', { label, n: 3 }));
  assert.equal(code, 'failed_precondition');
  assert.match(message, /itemToken|cancela\.v1|connect\+json/);
  assert.ok(!gateway.lines.some((line) => line.includes(`started ${label} `)));
}

async function shown(session) {
  const call = session.start('report', {}, { progress: true });
  assert.deepEqual((await call.reply).result, { shown: true });
  assert.deepEqual(call.shown, [{ percent: 50 }]);
}

async function notShown(session) {
  const call = session.start('report', {});
  assert.deepEqual((await call.reply).result, { shown: false });
  assert.deepEqual(call.shown, []);
}

async function heard(session, label) {
  await session.notify('note', { label });
  await gateway.log(new RegExp(`noted ${label.replaceAll('.', '\\.')} true$`));
}

async function heardAndTold(session, label) {
  await heard(session, label);
  const told = session.told('news');
  await session.start('tell', { event: 'news', data: { from: label } }).reply;
  assert.deepEqual(await told, { from: label });
}

async function heardWith204(session, label) {
  const notified = session.notify('note', { label });
  await logged(label, 'noted');
  assert.deepEqual(await notified, { text: '', status: 204 });
}

const SIZE = 64 << 10, MANY = 1024; // more than kernels hold for a reader that is slow

async function suspended(session, label, _, column, t) {
  session.stall();
  const began = written(gateway);
  const call = session.start('count', { label, n: MANY, bytes: SIZE }, { stream: true });
  let before = -1;
  const isStuck = () => {
    const count = written(gateway);
    const same = count === before && count > began + SIZE;
    before = count;
    return same;
  };
  await logged(label, 'started');
  await until(isStuck, 'the stream to be stuck');
  assert.ok(!gateway.lines.some((line) => line.includes(`closed ${label} `)));
  session.go();
  assert.equal((await call.reply).error, undefined);
  assert.deepEqual(call.items.map(({ n }) => n), Array.from({ length: MANY }, (_, i) => i + 1));
  await dropped(label, column, t);
}

// Bytes that the gateway has written.
const written = (it) => Number(readFileSync(`/proc/${it.child.pid}/io`, 'utf8').match(/wchar: (\d+)/)[1]);

async function dropped(label, column, t) {
  const session = await column.open(t, hasty);
  session.stall();
  const call = session.start('count', { label, n: MANY, bytes: SIZE }, { stream: true });
  const [, sent] = await hasty.log(new RegExp(`closed ${label.replaceAll('.', '\\.')} sent=(\\d+)`));
  await hasty.log(new RegExp(`on_cancel ${label.replaceAll('.', '\\.')} slow_consumer`));
  assert.ok(Number(sent) < MANY);
  session.go();
  assert.deepEqual(await call.reply, { lost: true });
}

// How many sockets the gateway has open.
const socketsOf = (it) => readdirSync(`/proc/${it.child.pid}/fd`).filter((fd) => {
  try {
    return readlinkSync(`/proc/${it.child.pid}/fd/${fd}`).startsWith('socket:');
  } catch {
    return false; // closed meanwhile
  }
}).length;

async function cutOff(_, label, __, column, t) {
  const before = socketsOf(hasty);
  const session = await column.open(t, hasty);
  session.stall();
  const call = session.start('big', { bytes: 64 << 20 });
  await until(() => socketsOf(hasty) > before, 'the connection');
  await until(() => socketsOf(hasty) === before, 'the connection to be closed');
  session.go();
  assert.deepEqual(await call.reply, { lost: true });
}

async function closed(_, label, __, column, t) {
  const session = await column.open(t, hasty);
  session.stall();
  const waiting = session.start('wait', { label });
  for (let i = 0; i < 24; i++) session.start('big', { bytes: 2 << 20 });
  await hasty.log(new RegExp(`on_cancel ${label.replaceAll('.', '\\.')} slow_consumer`));
  session.go();
  assert.deepEqual(await waiting.reply, { lost: true });
}

// --- The table. Each cell: what happens, in the words of docs/protocols.md, and what shows it. ---

const cell = (says, run) => ({ says, run });
const none = (why) => ({ says: `– (${why})` }); // does not exist here; the note of that letter says why
const all = (it) => COLUMNS.map(() => it);

const ROWS = {
  call: all(cell('result', called)),
  error: all(cell('its code', failed)),
  'unknown procedure': all(cell('`unimplemented`', unknown)),
  'bad params': all(cell('`invalid_argument`', refused)),
  deadline: [
    ...Array(2).fill(cell('`deadline_exceeded`', expired)),
    ...Array(2).fill(cell("the procedure's", expiredByProcedure)),
    ...Array(2).fill(cell('`deadline_exceeded`', expired)),
  ],
  'client reset': [
    none('a'), cell('`canceled`', resetAnswered),
    cell('not answered', resetSilently), cell('not answered', resetSilently), none('a'), none('a'),
  ],
  disconnect: all(cell('`disconnect`', left)),
  'server cancel': all(cell('`aborted`', aborted)),
  kill: all(cell('`aborted`', killed)),
  stream: [
    cell('refused (b)', notStreamed), cell('`$/progress`', streamed), cell('refused (b)', notStreamed), cell('Part', streamed),
    cell('messages', streamed), cell('events', streamed),
  ],
  progress: [
    cell('dropped (c)', notShown), cell('`$/progress`', shown), cell('dropped (c)', notShown), cell('dropped (c)', notShown),
    cell('dropped (c)', notShown), cell('`event: progress`', shown),
  ],
  notification: [
    cell('to the gateway', heardWith204), cell('both ways', heardAndTold), cell('both ways', heardAndTold),
    cell('both ways', heardAndTold), none('d'), none('d'),
  ],
  'slow consumer': [
    cell('closed', cutOff), cell('suspended, 1013', suspended), cell('1013', closed), cell('suspended, 1013', suspended),
    cell('suspended, closed', suspended), cell('suspended, closed', suspended),
  ],
};

for (const [row, cells] of Object.entries(ROWS)) {
  describe(row, () => {
    cells.forEach(({ run }, i) => {
      const column = COLUMNS[i];
      if (!run) return;
      test(column.name, async (t) => {
        const open = () => column.open(t, gateway);
        await run(await open(), `${row} ${column.name}`, open, column, t);
      });
    });
  });
}

test('docs/protocols.md shows this table', () => {
  const page = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8');
  const table = [
    ['', ...COLUMNS.map(({ name }) => name)], Array(COLUMNS.length + 1).fill('---'),
    ...Object.entries(ROWS).map(([row, cells]) => [row, ...cells.map(({ says }) => says)]),
  ].map((line) => (line[0] === '---' ? `|${line.join('|')}|` : `| ${line.join(' | ')} |`).replace('|  |', '| |')).join('\n');
  assert.ok(page.includes(`\n${table}\n`), `the page does not hold\n${table}`);
  const notes = new Set([...table.matchAll(/\((\w)\)/g)].map(([, letter]) => letter));
  for (const letter of notes) assert.ok(page.includes(`\n- (${letter}) `), `there is no note (${letter})`);
});
