// A well-behaved client in a thread of its own, so that what it measures is the gateway and not the
// event loop of the test: one call after the other, over one WebSocket.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const PAUSE_MS = 1;
const WARM_UP = 50;

// Starts calling; the returned function stops and resolves to {calls, p50, p99, max} in ms.
export async function watch(upgrade, call, port) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { upgrade, call, port } });
  const failed = once(worker, 'error').then(([error]) => { throw error; });
  failed.catch(() => {});
  await Promise.race([failed, once(worker, 'message')]);
  return async () => {
    worker.postMessage('stop');
    const [times] = await Promise.race([failed, once(worker, 'message')]);
    await worker.terminate();
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.ceil(times.length * share) - 1];
    return { calls: times.length, p50: at(0.5), p99: at(0.99), max: at(1) };
  };
}

async function run({ upgrade, call, port }) {
  const socket = connect({ host: '127.0.0.1', port });
  const times = [];
  let stopped = false;
  const ended = once(socket, 'close').then(() => { throw new Error('the gateway closed a bystander'); });
  const answer = () => Promise.race([ended, once(socket, 'data')]);
  ended.catch(() => {});
  parentPort.once('message', () => { stopped = true; });
  await once(socket, 'connect');
  socket.setNoDelay(true);
  socket.write(upgrade, 'latin1');
  await answer();
  for (let n = 0; !stopped; n++) {
    const began = performance.now();
    socket.write(call, 'latin1');
    await answer();
    if (n >= WARM_UP) times.push(performance.now() - began);
    if (n === WARM_UP) parentPort.postMessage('ready');
    await pause(PAUSE_MS);
  }
  parentPort.postMessage(times);
}

if (!isMainThread) await run(workerData);
