// Starts the gateway, waits for lines of its log, and stops it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const binary =
  process.env.CANCELA_BIN ?? fileURLToPath(new URL('../../../build/dev/cancela', import.meta.url));
const apps = fileURLToPath(new URL('../apps/', import.meta.url));
export const appPath = (name) => resolve(apps, name);

const SANITIZER = /(ERROR|WARNING): \w*Sanitizer|runtime error:|CHECK failed/;
const PATIENCE_MS = 10_000;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

// Spawns 'cancela ARGUMENTS', with so many files it may open; it dies with the test at the latest.
export function spawnBinary(args, { files, ...options } = {}) {
  const [command, ...rest] = files === undefined ? [binary, ...args]
    : ['sh', '-c', `ulimit -n ${files}; exec "$0" "$@"`, binary, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

// Rejects after PATIENCE_MS, saying what was waited for.
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what()}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The log of a running binary: every line so far, and whoever waits for one.
class Log {
  #waiting = new Set();
  lines = [];

  constructor(stream) {
    createInterface({ input: stream }).on('line', (line) => {
      this.lines.push(line);
      this.#waiting.forEach((look) => look());
    });
  }

  // Resolves to the match of the first line that matches (one already there counts).
  until(regex, ended) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const line = this.lines.find((l) => regex.test(l));
        if (line !== undefined) resolve(line.match(regex));
      };
    });
    this.#waiting.add(look);
    look();
    const gone = ended.then(() => {
      look(); // its last words may be the ones
      throw new Error(`the gateway ended before it logged ${regex}:\n${this.tail()}`);
    });
    return within(Promise.race([found, gone]), () => `${regex} in the log:\n${this.tail()}`)
      .finally(() => this.#waiting.delete(look));
  }

  tail() {
    return this.lines.slice(-30).join('\n');
  }
}

class Gateway {
  constructor(child) {
    this.child = child;
    this.stderr = new Log(child.stderr);
    this.sockets = new Set(); // of raw connections
    child.stdout.resume();
    // 'close' comes when the output has been read to its end, 'exit' may come before.
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  get lines() {
    return this.stderr.lines;
  }

  log(regex) {
    return this.stderr.until(regex, this.ended);
  }

  // Ends raw connections that it has answered: it would wait for them a while when it stops.
  hangUp() {
    this.sockets.forEach((socket) => socket.destroy());
    return this;
  }

  signal(name) {
    this.child.kill(name);
  }

  // Resolves to {code, signal} once it has ended, however that came.
  exited() {
    return within(this.ended, () => `the gateway's end:\n${this.stderr.tail()}`);
  }

  // Asks it to stop and requires a clean end.
  async stop({ signal = 'SIGTERM', code = 0 } = {}) {
    if (this.child.exitCode === null && this.child.signalCode === null) this.signal(signal);
    const end = await this.exited();
    const text = this.lines.join('\n');
    assert.ok(!SANITIZER.test(text), `a sanitizer spoke up:\n${text}`);
    assert.deepEqual(end, { code, signal: null }, this.stderr.tail());
  }
}

// Runs tests/e2e/apps/APP, or APP itself if it is a whole path, on a free port, or where 'flags' say; resolves when it listens.
export async function start(app, flags = [], options = {}) {
  const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const gateway = new Gateway(spawnBinary(['run', appPath(app), ...listen, ...flags], options));
  const [, address] = await gateway.log(/ listening .*address=(\S+)/);
  gateway.address = address;
  gateway.port = Number(address.split(':').at(-1));
  gateway.url = `http://${address}`;
  gateway.rpcUrl = `${gateway.url}/rpc`;
  return gateway;
}

// Runs a command to its end; resolves to {code, stdout, stderr}.
export function finish(child) {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name]?.setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const closed = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...output }));
  });
  return within(closed, () => `the end of ${child.spawnargs.join(' ')}: ${JSON.stringify(output)}`);
}

// Runs 'cancela ARGUMENTS' to its end and requires that no sanitizer spoke up.
export async function cancela(...args) {
  const result = await finish(spawnBinary(args));
  assert.ok(!SANITIZER.test(result.stderr), result.stderr);
  return result;
}
