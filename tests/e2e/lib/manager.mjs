// Stands in for systemd: hears what a gateway tells it, and passes sockets on.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from './gateway.mjs';

const tool = (name) => fileURLToPath(new URL(name, import.meta.url));

export const now = () => Number(process.hrtime.bigint() / 1000n); // microseconds of CLOCK_MONOTONIC

export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'cancela-manager-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

// What a gateway whose environment has NOTIFY_SOCKET = 'address' tells.
class Notified {
  #waiting = new Set();
  messages = []; // {READY, STATUS, …, at}

  constructor(child) {
    this.ready = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const message = JSON.parse(line);
        if (message.at === undefined) return resolve();
        this.messages.push(message);
        this.#waiting.forEach((look) => look());
      });
    });
  }

  // Resolves when 'look' returns something true, to that.
  until(look, what) {
    let again;
    const found = new Promise((resolve) => {
      again = () => {
        const value = look();
        if (value) resolve(value);
      };
    });
    this.#waiting.add(again);
    again();
    return within(found, () => `${what}: ${JSON.stringify(this.messages)}`).finally(() => this.#waiting.delete(again));
  }

  having(name) {
    return this.messages.filter((message) => message[name] !== undefined);
  }

  // Resolves to the message that is the n-th with that variable, from 1.
  nth(name, n = 1) {
    return this.until(() => this.having(name)[n - 1], `message ${n} with ${name}`);
  }

  // Resolves when so many signs of life more have come.
  alive(more) {
    const had = this.having('WATCHDOG').length;
    return this.nth('WATCHDOG', had + more);
  }
}

// Listens at a path, or at an abstract name behind an @.
export async function hear(t, address) {
  const child = spawn('python3', [tool('notified.py'), address], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.stdin.end());
  const notified = new Notified(child);
  await within(notified.ready, () => 'notified.py');
  return notified;
}

// The options of start() or spawnBinary() that pass sockets on: [[address, name] …], as activate.py says.
export function passing(sockets, more = {}) {
  assert.ok(Array.isArray(sockets));
  return { through: ['python3', tool('activate.py'), JSON.stringify({ sockets, ...more })] };
}
