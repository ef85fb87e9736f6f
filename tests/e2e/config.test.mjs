// Where settings come from, and what is said of wrong ones.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { finish, spawnBinary } from './lib/gateway.mjs';

// Runs 'cancela config FLAGS' in a folder with 'file' as its cancela.lua, and more environment.
async function config(t, { file, env = {}, flags = [] }) {
  const cwd = await mkdtemp(join(tmpdir(), 'cancela-e2e-'));
  t.after(() => rm(cwd, { recursive: true }));
  if (file !== undefined) await writeFile(join(cwd, 'cancela.lua'), file);
  return finish(spawnBinary(['config', ...flags], { cwd, env: { ...process.env, ...env } }));
}

const FILE = 'return { call_timeout = "7s", body_bytes = 2 * 1024 * 1024, origins = { "https://a.example" } }';
const ENV = { CANCELA_CALL_TIMEOUT: '8s' };

const SOURCES = [
  ['cancela.lua of the folder', { file: FILE }, '7s'],
  ['the environment, above the file', { file: FILE, env: ENV }, '8s'],
  ['a flag, above both', { file: FILE, env: ENV, flags: ['--call-timeout', '9s'] }, '9s'],
  ['a flag with =', { flags: ['--call-timeout=1.5'] }, '1500ms'],
];
for (const [source, options, expected] of SOURCES) {
  test(`settings come from ${source}`, async (t) => {
    const { code, stdout, stderr } = await config(t, options);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`call_timeout = "${expected}"`));
  });
}

test('the file holds numbers and lists too', async (t) => {
  const { stdout } = await config(t, { file: FILE });
  assert.match(stdout, /body_bytes = "2MiB"/);
  assert.match(stdout, /https:\/\/a\.example/);
});

test('what config prints is a settings file that says the same', async (t) => {
  const { stdout } = await config(t, { file: FILE, env: ENV });
  const again = await config(t, { file: stdout });
  const values = (text) => text.split('\n').filter((line) => !line.includes('--'));
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(values(again.stdout), values(stdout));
});

// [name, value] of every setting, whose values are Lua strings or booleans.
const settings = (text) => [...text.matchAll(/^  (\w+) = "?(.*?)"?,$/gm)].map(([, name, value]) => [name, value]);

// How many settings are said to be from 'source'.
const from = (text, source) => text.split('\n').filter((line) => line.startsWith('  --') && line.endsWith(`(${source})`)).length;

test('every setting can be set by the file, the environment and a flag', async (t) => {
  const { stdout } = await config(t, {});
  const all = settings(stdout);
  const ways = {
    file: { file: stdout },
    environment: { env: Object.fromEntries(all.map(([name, value]) => [`CANCELA_${name.toUpperCase()}`, value])) },
    flag: { flags: all.map(([name, value]) => `--${name.replaceAll('_', '-')}=${value}`) },
  };
  assert.ok(all.length >= 40, `${all.length} settings`);
  for (const [source, way] of Object.entries(ways)) {
    const result = await config(t, way);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(settings(result.stdout), all);
    assert.equal(from(result.stdout, source), all.length, result.stdout);
  }
});

const MISTAKES = [
  ['an unknown setting', { file: 'return { calltimeout = "1s" }' }, /calltimeout.*call_timeout/],
  ['a setting out of range', { flags: ['--workers', '0'] }, /workers/],
  ['a setting that is a function', { file: 'return { listen = print }' }, /listen/],
  ['a file that is no Lua', { file: 'return {' }, /cancela\.lua:1:/],
  ['a file that returns no table', { file: 'return 1' }, /cancela\.lua/],
  ['a file that is not there', { flags: ['--config', '/nowhere.lua'] }, /\/nowhere\.lua/],
  ['an unknown variable', { env: { CANCELA_CALL_TIMOUT: '1s' } }, /CANCELA_CALL_TIMOUT.*CANCELA_CALL_TIMEOUT/],
];
for (const [what, options, said] of MISTAKES) {
  test(`${what} ends with 2, and one line says what is wrong`, async (t) => {
    const { code, stderr } = await config(t, options);
    assert.equal(code, 2, stderr);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, said);
  });
}
