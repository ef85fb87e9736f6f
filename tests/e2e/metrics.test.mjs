// /metrics, /healthz and /readyz: what is counted, and that they answer whatever the workers do.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { appPath, cancela, start, within } from './lib/gateway.mjs';
import { skip, until } from './lib/load.mjs';
import { Metrics } from './lib/metrics.mjs';
import { call, post, request } from './lib/rpc.mjs';
import { connect } from './lib/ws.mjs';

const run = promisify(execFile);

// What 'skip' skips computes: ThreadSanitizer holds back the signals that end slices.

async function serve(t, ...flags) {
  const gateway = await start('metrics.lua', ['--metrics-listen', '127.0.0.1:0', '--admin', 'off', ...flags]);
  const [, address] = await gateway.log(/ metrics address=(\S+)/);
  gateway.ops = `http://${address}`;
  t.after(() => gateway.hangUp().stop());
  return gateway;
}

const page = (gateway, path) => fetch(gateway.ops + path);

async function scrape(gateway) {
  const response = await page(gateway, '/metrics');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return new Metrics(await response.text());
}

// Waits until a sample has that value.
async function reaches(gateway, value, name, labels) {
  let last;
  assert.ok(await until(async () => {
    last = (await scrape(gateway)).get(name, labels);
    return last === value;
  }, 10_000), `${name} ${JSON.stringify(labels)} is ${last}, not ${value}`);
}

const cancelled = (gateway, reason, value = 1) => reaches(gateway, value, 'cancela_cancellations_total', { reason });

describe('/metrics', () => {
  test('counts calls by procedure, protocol and outcome', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    for (let i = 0; i < 3; i++) await call(gateway, 'add', { a: 1, b: 2 });
    await call(gateway, 'fail');
    await call(gateway, 'no "such"\nthing');
    await call(gateway, 'nor such');
    await post(gateway, '{"a":1,"b":2}', { path: '/rpc/add' });
    assert.equal(await (await fetch(`${gateway.url}/hello/you`)).text(), 'hello you');
    const peer = await connect(t, gateway);
    await peer.call('add', { a: 1, b: 2 });
    const metrics = await scrape(gateway);
    const count = (procedure, protocol, outcome) =>
      metrics.get('cancela_calls_total', { procedure, protocol, outcome });
    assert.equal(count('add', 'jsonrpc', 'ok'), 4);
    assert.equal(count('add', 'connect', 'ok'), 1);
    assert.equal(count('fail', 'jsonrpc', 'not_found'), 1);
    assert.equal(count('GET /hello/:name', 'http', 'ok'), 1);
    assert.equal(count('(unknown)', 'jsonrpc', 'unimplemented'), 2);
    assert.equal(metrics.get('cancela_calls_total'), 9);
    assert.equal(metrics.get('cancela_call_duration_seconds_count', { procedure: 'add' }), 5);
  });

  test('says how long calls took', async (t) => {
    const gateway = await serve(t);
    await call(gateway, 'brief');
    const metrics = await scrape(gateway);
    const under = (le) => metrics.get('cancela_call_duration_seconds_bucket', { procedure: 'brief', le });
    assert.equal(under('0.025'), 0);
    assert.equal(under('30'), 1);
    assert.ok(metrics.get('cancela_call_duration_seconds_sum', { procedure: 'brief' }) >= 0.05);
  });

  test('counts cancelled calls by reason, and how long they took to end', async (t) => {
    const gateway = await serve(t);
    await call(gateway, 'brief');
    await cancelled(gateway, 'timeout');
    await call(gateway, 'give_up');
    await cancelled(gateway, 'user');
    const peer = await connect(t, gateway);
    for (const [id, method] of [[1, 'wait'], [2, 'stubborn']]) {
      peer.send(request(method, {}, id));
      await reaches(gateway, 1, 'cancela_calls_in_flight');
      const reply = peer.reply(id);
      peer.cancel(id);
      assert.equal((await reply).error.code, -32800);
    }
    await cancelled(gateway, 'reset', 2);
    await reaches(gateway, 1, 'cancela_ignored_cancels_total');
    peer.send(request('wait', {}, 3));
    await reaches(gateway, 1, 'cancela_calls_in_flight');
    peer.ws.terminate();
    await cancelled(gateway, 'disconnect');
    await reaches(gateway, 5, 'cancela_cancel_latency_seconds_count');
    await reaches(gateway, 0, 'cancela_calls_in_flight');
    const metrics = await scrape(gateway);
    assert.equal(metrics.get('cancela_cancellations_total'), 5);
    assert.equal(metrics.get('cancela_calls_total', { outcome: 'canceled' }), 3);
    assert.deepEqual(metrics.values('cancela_cancellations_total', 'reason').sort(), ['disconnect', 'killed',
      'limit', 'reload', 'reset', 'shutdown', 'slow_consumer', 'timeout', 'user']);
  });

  test('counts resets that came too late', async (t) => {
    const gateway = await serve(t);
    const peer = await connect(t, gateway);
    await peer.call('add', { a: 1, b: 2 }, 1);
    await peer.cancel(1).call('add', { a: 1, b: 2 }, 2);
    await reaches(gateway, 1, 'cancela_late_resets_total');
    assert.equal((await scrape(gateway)).get('cancela_cancellations_total'), 0);
  });

  test('tells connections, WebSockets and calls in flight, up and down', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    const peers = [];
    for (let i = 1; i <= 4; i++) {
      peers.push(await connect(t, gateway));
      await reaches(gateway, i, 'cancela_websockets');
      await reaches(gateway, i, 'cancela_connections');
    }
    for (const worker of ['0', '1']) {
      assert.equal((await scrape(gateway)).get('cancela_websockets', { worker }), 2);
    }
    peers[0].send(request('wait', {}, 1)).send(request('wait', {}, 2));
    await reaches(gateway, 2, 'cancela_calls_in_flight');
    for (const peer of peers) peer.ws.terminate();
    for (const name of ['calls_in_flight', 'connections', 'websockets']) await reaches(gateway, 0, `cancela_${name}`);
  });

  test('counts computing: slices, holds, what is cut', { skip }, async (t) => {
    const gateway = await serve(t, '--hold-limit', '100ms');
    assert.equal((await call(gateway, 'hold')).error.data.code, 'resource_exhausted');
    await cancelled(gateway, 'limit');
    const metrics = await scrape(gateway);
    assert.equal(metrics.get('cancela_holds_total'), 1);
    assert.ok(metrics.get('cancela_cuts_total') >= 1);
    const before = metrics.get('cancela_preemptions_total');
    await call(gateway, 'spin', { seconds: 0.1 });
    assert.ok((await scrape(gateway)).get('cancela_preemptions_total') > before);
  });

  test('counts messages, those that were dropped, and slow consumers', async (t) => {
    const gateway = await serve(t);
    const [slow, other] = [await connect(t, gateway), await connect(t, gateway)];
    for (const topic of ['close', 'drop']) await slow.call('subscribe', { topic }, topic);
    slow.ws.pause();
    await other.call('flood', { topic: 'drop', count: 200 });
    const metrics = await scrape(gateway);
    assert.equal(metrics.get('cancela_messages_published_total'), 200);
    assert.ok(metrics.get('cancela_messages_dropped_total') > 0);
    assert.ok(metrics.get('cancela_messages_delivered_total') > 0);
    assert.equal(metrics.get('cancela_slow_consumers_total'), 0);
    await other.call('flood', { topic: 'close', count: 200 }, 2);
    await reaches(gateway, 1, 'cancela_slow_consumers_total');
    await reaches(gateway, 1, 'cancela_websockets');
    slow.ws.terminate();
  });

  test('says what the process is and takes', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    const metrics = await scrape(gateway);
    const { stdout } = await cancela('--version');
    assert.ok(stdout.includes(metrics.values('cancela_build_info', 'version')[0]));
    assert.equal(metrics.get('cancela_generation'), 1);
    assert.equal(metrics.get('cancela_reloads_total'), 0);
    assert.ok(Math.abs(metrics.get('process_start_time_seconds') - Date.now() / 1000) < 60);
    assert.ok(metrics.get('process_cpu_seconds_total') > 0);
    assert.ok(metrics.get('process_resident_memory_bytes') > 1e6);
    assert.ok(metrics.get('process_virtual_memory_bytes') > metrics.get('process_resident_memory_bytes'));
    const open = metrics.get('process_open_fds');
    assert.ok(open > 5 && open < metrics.get('process_max_fds'), `${open}`);
    for (let i = 0; i < 10; i++) await connect(t, gateway);
    const more = (await scrape(gateway)).get('process_open_fds') - open;
    assert.ok(more >= 9 && more <= 12, `${more}`); // connections of scrapes come and go
    for (const worker of ['0', '1']) assert.ok(metrics.get('cancela_vm_memory_bytes', { worker }) > 10_000);
    assert.equal(metrics.get('cancela_worker_up'), 2);
  });

  test('counts 500 procedures one by one, and the others together', async (t) => {
    const gateway = await serve(t, '--workers', '2');
    const names = Array.from({ length: 600 }, (_, i) => `many.p${i + 1}`);
    const batch = (from, to) => post(gateway, JSON.stringify(names.slice(from, to).map((name, i) => request(name, {}, i))));
    for (let i = 0; i < 2; i++) for (let at = 0; at < 600; at += 100) await batch(at, at + 100);
    const metrics = await scrape(gateway);
    const values = metrics.values('cancela_calls_total', 'procedure');
    assert.equal(values.length, 501);
    assert.equal(metrics.get('cancela_calls_total', { procedure: 'many.p1' }), 2);
    assert.equal(metrics.get('cancela_calls_total', { procedure: 'many.p500' }), 2);
    assert.equal(metrics.get('cancela_calls_total', { procedure: '(other)' }), 200);
    assert.equal(metrics.get('cancela_calls_total'), 1200);
  });

  test('answers while a call holds the VM, and while nothing can interrupt one', { skip }, async (t) => {
    const gateway = await serve(t, '--workers', '2', '--hold-limit', '0', '--call-timeout', '3s');
    await call(gateway, 'add', { a: 1, b: 2 });
    const held = call(gateway, 'hold');
    await reaches(gateway, 1, 'cancela_calls_in_flight');
    assert.equal((await scrape(gateway)).get('cancela_worker_up'), 2);
    const stuck = call(gateway, 'stuck', { seconds: 3 });
    await gateway.log(/ stuck$/);
    const metrics = await scrape(gateway);
    assert.equal(metrics.get('cancela_worker_up'), 1);
    assert.equal(metrics.get('cancela_calls_total', { procedure: 'add', outcome: 'ok' }), 1); // did not go back
    assert.equal((await page(gateway, '/healthz')).status, 200);
    assert.equal((await page(gateway, '/readyz')).status, 200);
    await Promise.all([held, stuck]);
    await reaches(gateway, 2, 'cancela_worker_up');
  });
});

describe('/healthz and /readyz', () => {
  test('tell of a drain, in which there are metrics still', async (t) => {
    const gateway = await serve(t);
    const peer = await connect(t, gateway);
    for (const path of ['/healthz', '/readyz']) assert.equal((await page(gateway, path)).status, 200);
    peer.send(request('wait', {}, 1));
    await reaches(gateway, 1, 'cancela_calls_in_flight');
    gateway.signal('SIGTERM');
    await gateway.log(/ draining calls=1 /);
    const ready = await page(gateway, '/readyz');
    assert.deepEqual([ready.status, await ready.text()], [503, 'draining\n']);
    const healthy = await page(gateway, '/healthz');
    assert.deepEqual([healthy.status, await healthy.text()], [200, 'ok\n']);
    assert.equal((await scrape(gateway)).get('cancela_calls_in_flight'), 1);
    peer.ws.terminate();
    assert.deepEqual(await gateway.exited(), { code: 0, signal: null });
  });

  test('are there for curl: HEAD, keep-alive, and what is refused', async (t) => {
    const gateway = await serve(t);
    const curl = async (...args) => (await run('curl', ['-sS', '--max-time', '10', ...args])).stdout;
    const status = ['-o', '/dev/null', '-w', '%{http_code} %{num_connects} %header{allow}\n'];
    const url = (path) => gateway.ops + path;
    assert.match(await curl('-I', url('/metrics')), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
    assert.equal(await curl(...status, url('/healthz'), '-o', '/dev/null', url('/nowhere')), '200 1 \n404 0 \n');
    assert.equal(await curl(...status, '-X', 'DELETE', url('/metrics')), '405 1 GET, HEAD\n');
    assert.equal(await curl(...status, '-d', 'x', url('/metrics')), '405 1 GET, HEAD\n');
    assert.equal(await curl(...status, '-X', 'GET', '-d', 'x', url('/metrics')), '413 1 \n');
    assert.equal(await curl(...status, '-H', 'Host: evil.example', url('/metrics')), '403 1 \n');
  });

  test('are not among what clients are served, nor the other way round', async (t) => {
    const gateway = await serve(t);
    assert.equal((await fetch(`${gateway.url}/metrics`)).status, 404);
    assert.equal((await page(gateway, '/rpc')).status, 404);
  });
});

describe('the setting metrics_listen', () => {
  test('takes a unix socket, which goes with the gateway', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'cancela-metrics-'));
    t.after(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, 'ops.sock');
    const gateway = await start('metrics.lua', ['--metrics-listen', `unix:${socketPath} mode=0660`]);
    assert.equal((await stat(socketPath)).mode & 0o777, 0o660);
    const status = await within(new Promise((resolve, reject) => {
      httpRequest({ socketPath, path: '/readyz', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).once('error', reject).end();
    }), () => 'an answer');
    assert.equal(status, 200);
    await gateway.stop();
    await assert.rejects(stat(socketPath));
  });

  test('is off by default, and checked', async (t) => {
    const gateway = await start('metrics.lua', []);
    t.after(() => gateway.stop());
    assert.ok(!gateway.lines.some((line) => / metrics address=/.test(line)));
    const fails = async (where) => cancela('run', appPath('metrics.lua'), '--listen', '127.0.0.1:0', '--metrics-listen', where);
    const secure = await fails('https://127.0.0.1:9464');
    assert.equal(secure.code, 2);
    assert.match(secure.stderr, /metrics.listen.*is served by plain HTTP; write it without https:/);
    const taken = await fails(gateway.address);
    assert.equal(taken.code, 3);
    assert.match(taken.stderr, /cannot listen on '\S+' \(metrics_listen\): it is in use; choose another address/);
  });
});

test('every metric is in the page about them, and no other', async (t) => {
  const gateway = await serve(t);
  const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const [section] = text.match(/^## Health and metrics$[^]*?(?=^## )/m);
  const cells = section.match(/^\| `(?:cancela|process)_[^|]*/mg).flatMap((cell) => cell.match(/\w+/g));
  assert.deepEqual(cells.sort(), [...(await scrape(gateway)).families.keys()].sort());
});

test('the dashboard asks for metrics that there are', async (t) => {
  const gateway = await serve(t);
  await call(gateway, 'add', { a: 1, b: 2 });
  const { families } = await scrape(gateway);
  const dashboard = JSON.parse(await readFile(new URL('../../docs/grafana/cancela.json', import.meta.url)));
  const asked = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  assert.ok(asked.length >= 12);
  const names = new Set(asked.flatMap((expr) => expr.match(/\b(?:cancela|process)_\w+/g)));
  for (const name of names) {
    assert.ok(families.has(name) || families.get(name.replace(/_(bucket|sum|count)$/, ''))?.type === 'histogram', name);
  }
  for (const name of ['calls_total', 'call_duration_seconds_bucket', 'cancellations_total', 'cancel_latency_seconds_bucket',
    'calls_in_flight', 'connections', 'websockets', 'generation', 'reloads_total', 'vm_memory_bytes', 'preemptions_total',
    'holds_total', 'slow_consumers_total', 'worker_up']) {
    assert.ok(names.has(`cancela_${name}`), name);
  }
  const sources = dashboard.panels.flatMap(({ datasource, targets = [] }) => [datasource, ...targets.map((each) => each.datasource)]);
  assert.ok(sources.filter(Boolean).every(({ uid }) => uid === '${datasource}'));
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});
