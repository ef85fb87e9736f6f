// Many connections at a time, by hand, and what the gateway's process takes for them.
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { binary } from './gateway.mjs';
import { upgradeText } from './ws.mjs';

const PAGE_BYTES = 4096;
const AT_A_TIME = 128;

export const MIB = 1 << 20;

// Whether the binary under test is watched by a sanitizer: its memory and its pace are not those of users.
export const sanitized = ['__asan_init', '__tsan_init'].some((name) => readFileSync(binary).includes(name));

// ThreadSanitizer keeps the stack of each allocation, and takes what awaits leave behind for part of
// it: many calls cost it more and more. Its part is threads, which these tests are not about.
export const skip = /\/build\/tsan\//.test(binary) && 'run on the other builds';

// Bytes of memory that the gateway holds now.
export function rss(gateway) {
  return Number(readFileSync(`/proc/${gateway.child.pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
}

// How many times longer things take than on a machine of the gateway's own: its threads' time on a
// CPU and in wait of one, from now until the returned function is called. 1 where nobody tells.
export function stretch(gateway) {
  const times = () => {
    let ran = 0, waited = 0;
    try {
      for (const id of readdirSync(`/proc/${gateway.child.pid}/task`)) {
        const [run, wait] = readFileSync(`/proc/${gateway.child.pid}/task/${id}/schedstat`, 'utf8').split(' ');
        ran += Number(run);
        waited += Number(wait);
      }
    } catch { /* a kernel without it, or a thread that has just ended */ }
    return { ran, waited };
  };
  const from = times();
  return () => {
    const to = times();
    return 1 + Math.max(0, to.waited - from.waited) / Math.max(1e6, to.ran - from.ran);
  };
}

// How many descriptors this process may open, and so may the gateway that it starts.
export function descriptors() {
  return Number(readFileSync('/proc/self/limits', 'utf8').match(/Max open files\s+(\d+)/)[1]);
}

// Opens one connection, with 'text' sent at once and its answer awaited, if there is to be one.
export async function openOne(gateway, text, answer) {
  const socket = connect({ host: '127.0.0.1', port: gateway.port });
  await once(socket, 'connect');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  if (text) socket.write(text, 'latin1');
  if (answer) {
    const [head] = await once(socket, 'data');
    if (!head.toString('latin1').startsWith(answer)) throw new Error(`answered ${head}`);
  }
  return socket.resume();
}

// Opens 'count' connections, some at a time; they end with the test 't'.
export async function openMany(t, gateway, count, text = upgradeText(gateway), answer = 'HTTP/1.1 101') {
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  while (sockets.length < count) {
    const some = Math.min(AT_A_TIME, count - sockets.length);
    sockets.push(...await Promise.all(Array.from({ length: some }, () => openOne(gateway, text, answer))));
  }
  return sockets;
}

// Looks again and again until 'look' returns true or 'ms' are over; resolves to whether it did.
export async function until(look, ms) {
  const end = performance.now() + ms;
  for (;;) {
    if (await look()) return true;
    if (performance.now() > end) return false;
    await pause(10);
  }
}
