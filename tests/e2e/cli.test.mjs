// The command line: what it prints and the code it ends with.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { appPath, cancela, finish, spawnBinary, start } from './lib/gateway.mjs';

const gateway = await start('app.lua');
after(() => gateway.stop());

const oneLine = (text) => assert.equal(text.trim().split('\n').length, 1, text);

test('--help lists the commands, and each command has its own', async () => {
  const { code, stdout } = await cancela('--help');
  assert.equal(code, 0);
  for (const command of ['run', 'check', 'test', 'call', 'config']) {
    assert.match(stdout, new RegExp(`\\b${command}\\b`));
    const own = await cancela(command, '--help');
    assert.equal(own.code, 0, command);
    assert.match(own.stdout, new RegExp(`cancela ${command}\\b`));
  }
});

test('test takes settings from the environment', async () => {
  const { code, stderr } = await finish(spawnBinary(['test', '.'], { env: { ...process.env, CANCELA_GRACE: 'soon' } }));
  assert.equal(code, 2);
  oneLine(stderr);
  assert.match(stderr, /CANCELA_GRACE: 'soon' is not a duration/);
});

test('check lists the procedures', async () => {
  const { code, stdout } = await cancela('check', appPath('app.lua'));
  assert.equal(code, 0);
  for (const name of ['add', 'slow', 'deep.name', 'version']) {
    assert.ok(stdout.split(/\s+/).includes(name), `${name} in ${stdout}`);
  }
});

test('check prints a table: params, deadline, flags and summary', async () => {
  const { code, stdout } = await cancela('check', appPath('params.lua'), '--call-timeout', '1500ms');
  assert.equal(code, 0);
  const [heading, ...lines] = stdout.trimEnd().split('\n');
  assert.match(heading, /^procedure +params +timeout +flags +summary$/);
  assert.deepEqual(lines.map((line) => line.split(/ {2,}/)), [
    ['formats', '[byte: any], [date: any], [duration: any], [email: any], [hostname: any], ...', '1500ms'],
    ['open', 'any', '1500ms'],
    ['order', '[at: string], [color: any], items: array, [name: string]', '5s', 'read_only', 'Takes an order'],
    ['pair', 'first: integer, [2: string]', '1500ms'],
  ]);
});

test('check of an app without procedures prints nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-'));
  await writeFile(join(folder, 'empty.lua'), 'return {}');
  const { code, stdout, stderr } = await cancela('check', join(folder, 'empty.lua'));
  await rm(folder, { recursive: true });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
});

test('check says where a declaration is wrong', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-'));
  const path = join(folder, 'typo.lua');
  await writeFile(path, `local cancela = require "cancela"
return {
  p = cancela.procedure {
    params = { properties = { a = { minimun = 1 } } }, run = print,
  },
}`);
  const { code, stderr } = await cancela('check', path);
  await rm(folder, { recursive: true });
  assert.equal(code, 1);
  assert.match(stderr, /typo\.lua:\d+: cancela\.procedure: params\.properties\.a: unknown keyword 'minimun'; did you mean 'minimum'\?/);
});

for (const [app, place] of [['broken.lua', 'broken.lua:4:'], ['raises.lua', 'raises.lua:2:'], ['number.lua', 'number.lua']]) {
  for (const command of ['check', 'run']) {
    test(`${command} of ${app} ends with 1 and says where`, async () => {
      const { code, stderr } = await cancela(command, appPath(app));
      assert.equal(code, 1);
      assert.ok(stderr.includes(place), stderr);
    });
  }
}

test('an unreadable script is said in one line, with 1', async () => {
  const { code, stderr } = await cancela('run', '/nowhere/app.lua');
  assert.equal(code, 1);
  oneLine(stderr);
  assert.ok(stderr.includes('/nowhere/app.lua'), stderr);
});

const MISTAKES = [
  ['an unknown flag', ['run', 'app.lua', '--lisen', '127.0.0.1:0'], /--lisen.*--listen/],
  ['an unknown command', ['rum', 'app.lua'], /rum.*run/],
  ['a flag without its value', ['run', 'app.lua', '--listen'], /--listen/],
  ['a value that is no time', ['run', 'app.lua', '--call-timeout', 'soon'], /call.timeout.*soon|soon.*call.timeout/],
  ['an address that is none', ['run', appPath('table.lua'), '--listen', 'nowhere:port'], /nowhere:port/],
  ['a missing script', ['run'], /APP|script/],
];
for (const [what, args, said] of MISTAKES) {
  test(`${what} ends with 2, and one line says what is wrong`, async () => {
    const { code, stderr } = await cancela(...args);
    assert.equal(code, 2, stderr);
    oneLine(stderr);
    assert.match(stderr, said);
  });
}

test('config prints every setting with its default', async () => {
  const { code, stdout } = await cancela('config');
  assert.equal(code, 0);
  assert.match(stdout, /call_timeout\s*=\s*"30s"/);
  assert.match(stdout, /listen\s*=\s*"127\.0\.0\.1:3000"/);
});

test('call prints the result as JSON', async () => {
  assert.deepEqual(await cancela('call', gateway.address, 'add', '{"a":2,"b":40}'),
    { code: 0, signal: null, stdout: '42\n', stderr: '' });
  assert.equal((await cancela('call', gateway.rpcUrl, 'add', 'a=2', 'b=40')).stdout, '42\n');
  const { stdout } = await cancela('call', gateway.url, 'echo', 'name=Ana', 'age=7');
  assert.deepEqual(JSON.parse(stdout), { name: 'Ana', age: 7 });
});

test('call of a procedure that fails ends with 1 and the error', async () => {
  const { code, stdout, stderr } = await cancela('call', gateway.address, 'not_found');
  assert.equal(code, 1);
  assert.match(stdout + stderr, /not_found.*no such user|no such user.*not_found/s);
});

test('call where nobody listens ends with 3', async () => {
  const gone = await start('table.lua');
  await gone.stop();
  const { code, stderr } = await cancela('call', gone.address, 'add');
  assert.equal(code, 3);
  oneLine(stderr);
  assert.ok(stderr.includes(gone.address), stderr);
});

test('call --timeout ends with 4 when the deadline passes, on both sides', async () => {
  const { code } = await cancela('call', gateway.address, 'slow', 'label=late', '--timeout', '100ms');
  assert.equal(code, 4);
  await gateway.log(/closed late/);
});

test('Ctrl-C cancels the call, and says after how long', async () => {
  const child = spawnBinary(['call', gateway.address, 'slow', 'label=interrupted']);
  const end = finish(child);
  await gateway.log(/started interrupted/);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await end;
  assert.equal(code, 130);
  assert.match(stdout + stderr, /cancelled after [\d.]+ ?m?s/);
  await gateway.log(/on_cancel interrupted disconnect/);
});
