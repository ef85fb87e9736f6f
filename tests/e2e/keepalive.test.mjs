// Clients that vanish without a word: their system answers no more, as when a cable is pulled.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { appPath, binary, start } from './lib/gateway.mjs';
import { until } from './lib/load.mjs';
import { open } from './lib/raw.mjs';

// What the kernel's timer of the gateway's end of a connection is for, as /proc/net/tcp writes it.
async function timerOf(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  const established = rows.filter((row) => row[1]?.endsWith(local) && row[3] === '01');
  assert.equal(established.length, 1);
  return established[0][5].split(':')[0];
}

const NONE = '00', KEEPALIVE = '02';

for (const [what, flags, expected] of [
  ['by default', [], KEEPALIVE],
  ['1s', ['--tcp-keepalive', '1s'], KEEPALIVE],
  ['12h', ['--tcp-keepalive', '12h'], KEEPALIVE],
  ['0 turns it off', ['--tcp-keepalive', '0'], NONE],
]) {
  test(`tcp_keepalive: ${what}`, async (t) => {
    const gateway = await start('echo.lua', flags);
    t.after(() => gateway.hangUp().stop());
    const client = await open(t, gateway);
    client.send('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await client.response();
    assert.equal(await timerOf(gateway.port), expected);
  });
}

const namespaces = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;
const skip = !namespaces && 'needs unshare -rn and ip: a network of its own, to be cut';

// A shell in a network of its own, which types what it is told; 'lines' is all that comes out of it.
function isolated(t) {
  const shell = spawn('unshare', ['-rn', 'bash'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = [];
  for (const output of [shell.stdout, shell.stderr]) {
    createInterface({ input: output }).on('line', (line) => lines.push(line));
  }
  t.after(() => shell.kill('SIGKILL'));
  return {
    type: (...commands) => commands.forEach((command) => shell.stdin.write(`${command}\n`)),
    sees: async (regex) => {
      assert.ok(await until(() => lines.some((line) => regex.test(line)), 15_000), `${regex} in ${lines.join('\n')}`);
    },
  };
}

const body = '{"label":"cut"}';
const request = ['POST /rpc/slow_to_close HTTP/1.1', 'Host: localhost', 'Content-Type: application/json',
  `Content-Length: ${body.length}`, '', body].join('\\r\\n');

test('case 81: a plain HTTP client that vanishes during its call is a disconnect', { skip }, async (t) => {
  const shell = isolated(t);
  shell.type('ip link set lo up',
    `'${binary}' run '${appPath('cases.lua')}' --listen 127.0.0.1:3000 --tcp-keepalive 2s & gateway=$!`);
  await shell.sees(/ listening /);
  shell.type('exec 3<>/dev/tcp/127.0.0.1/3000', `printf '${request}' >&3`);
  await shell.sees(/started cut$/);
  shell.type('ip link set lo down');
  await shell.sees(/on_cancel cut disconnect$/);
  await shell.sees(/outcome=canceled reason=disconnect /);
  shell.type('kill $gateway', 'wait $gateway', 'echo ended with $?');
  await shell.sees(/ended with 0$/);
});
