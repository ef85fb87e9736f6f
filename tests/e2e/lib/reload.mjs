// Gateways whose script the test changes while they run.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appPath, cancela, start } from './gateway.mjs';
import { call } from './rpc.mjs';

const APP = readFileSync(appPath('reload.lua'), 'utf8');

// The text of apps/reload.lua as that version: 'before' is code in front of the app's end, 'fields' more of the app.
export function appText(version, { before = '', fields = '' } = {}) {
  return APP.replace('"VERSION"', `"${version}"`).replace('-- BEFORE', before).replace('--[[ FIELDS ]]', fields);
}

// Runs 'text' from a folder of its own. The gateway has, besides its usual: 'folder', 'file', 'admin' (paths),
// write(text), ask(command…), reload(text) and refused(text).
export async function serve(t, text, flags = [], options = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'cancela-reload-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'app.lua'), admin = join(folder, 'admin.sock');
  await writeFile(file, text);
  const gateway = await start(file, ['--admin', admin, '--grace', '20s', '--log-level', 'debug', ...flags], options);
  t.after(() => gateway.hangUp().stop(gateway.end));
  const ask = (...args) => cancela(...args, '--admin', admin);
  const write = (changed) => writeFile(file, changed);
  return Object.assign(gateway, {
    folder, file, admin, ask, write,
    put: (name) => call(gateway, 'put', { name }),
    async json(...args) {
      const { code, stdout, stderr } = await ask(...args, '--json');
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    },
    // The answer to 'cancela reload --json', which must go well, with this text if there is one.
    async reload(changed) {
      if (changed !== undefined) await write(changed);
      return this.json('reload');
    },
    // What 'cancela reload' says of this text, which must not load.
    async refused(changed) {
      if (changed !== undefined) await write(changed);
      const { code, stdout, stderr } = await ask('reload');
      assert.deepEqual([code, stdout], [1, ''], stderr);
      return stderr;
    },
  });
}

// Requires that the generation is freed.
export const gone = (gateway, generation) => gateway.log(new RegExp(` generation ${generation} is gone$`));
