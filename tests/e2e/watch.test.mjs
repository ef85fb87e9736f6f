// --watch: which changes of files are noticed, and which are none.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync,
  writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { call } from './lib/rpc.mjs';

const APP = `
local cancela = require "cancela"
local mod = require "lib.mod"
pcall(require, "missing")
return cancela.app {
  procedures = {
    late = function() return require "late" end,
    run = function(params) return dofile(params.path) end,
  },
  watch = { "data.json", "templates/" },
}`;

const FILES = {
  'app.lua': APP, 'lib/mod.lua': 'return 1', 'late.lua': 'return 1', 'unrelated.txt': '', 'templates/a/one.html': 'one',
};

const TICK_MS = 10; // of the clock that stamps files, at most

// A folder with 'files', and what tests do to it.
class Folder {
  constructor(t, files = FILES) {
    this.path = mkdtempSync(join(tmpdir(), 'cancela-watch-'));
    t.after(() => rmSync(this.path, { recursive: true }));
    Object.entries(files).forEach(([name, text]) => this.write(name, text));
    this.begun = Date.now();
  }

  // What is written in the tick in which a script begins to load counts as written after.
  async age() {
    while (Date.now() < this.begun + TICK_MS) await new Promise(setImmediate);
  }

  at(name) {
    return join(this.path, name);
  }

  write(name, text) {
    mkdirSync(dirname(this.at(name)), { recursive: true });
    writeFileSync(this.at(name), text);
  }

  move(from, to) {
    renameSync(this.at(from), this.at(to));
  }
}

const QUIET = /none of the watched files has changed/;

// Serves the folder's app.lua, watched; resolves when all is as it was when it was read.
async function serve(t, folder, { flags = [], app = 'app.lua' } = {}) {
  await folder.age();
  const gateway = await start(folder.at(app), ['--watch', '--log-level', 'debug', ...flags]);
  t.after(() => gateway.stop());
  await gateway.log(QUIET);
  return Object.assign(gateway, {
    changed: () => gateway.lines.flatMap((line) => line.match(/ changed file=(\S+)/)?.[1] ?? []),
    // When it was noticed, and what it brought about is over: what is written before that may be read by it.
    change: async (name, nth) => {
      const [line] = await gateway.log(new RegExp(` changed file=\\S*/${name}$`), nth);
      await gateway.log(/ reload (gen|failed)/, gateway.lines.filter((each) => / changed file=/.test(each)).length);
      return line;
    },
  });
}

// Does what is to be seen as one.
function atOnce(gateway, act) {
  gateway.signal('SIGSTOP');
  act();
  gateway.signal('SIGCONT');
}

async function begin(t, options) {
  const folder = new Folder(t);
  return { folder, gateway: await serve(t, folder, options) };
}

for (const workers of ['1', '3']) {
  test(`the script and its modules are watched, with ${workers} workers`, async (t) => {
    const { folder, gateway } = await begin(t, { flags: ['--workers', workers] });
    appendFileSync(folder.at('app.lua'), '\n');
    await gateway.change('app.lua');
    appendFileSync(folder.at('lib/mod.lua'), '\n');
    await gateway.change('lib/mod.lua');
    appendFileSync(folder.at('lib/mod.lua'), '\n');
    await gateway.change('lib/mod.lua', 2);
    assert.equal(gateway.changed().length, 3);
  });
}

test('a file that another replaces, as editors do it, has changed', async (t) => {
  const { folder, gateway } = await begin(t);
  for (const nth of [1, 2, 3]) {
    folder.write('lib/mod.lua~new', `return ${nth}`);
    folder.move('lib/mod.lua', 'lib/mod.lua~');
    folder.move('lib/mod.lua~new', 'lib/mod.lua');
    await gateway.change('lib/mod.lua', nth);
  }
});

test('a module that was missing, and comes, is a change; and so is one that comes before another', async (t) => {
  const { folder, gateway } = await begin(t);
  folder.write('missing/init.lua', 'return 1');
  await gateway.change('missing/init.lua');
  folder.write('missing.lua', 'return 2');
  await gateway.change('missing.lua');
});

test('a module that a call requires for the first time is watched from then on', async (t) => {
  const { folder, gateway } = await begin(t);
  assert.equal((await call(gateway, 'late', {})).result, 1);
  await gateway.log(QUIET, 2);
  folder.write('late.lua', 'return 2');
  await gateway.change('late.lua');
});

test('a file that a call runs is watched from then on', async (t) => {
  const { folder, gateway } = await begin(t);
  folder.write('elsewhere/code.lua', 'return 7');
  assert.equal((await call(gateway, 'run', { path: folder.at('elsewhere/code.lua') })).result, 7);
  await gateway.log(QUIET, 2);
  folder.write('elsewhere/code.lua', 'return 8');
  await gateway.change('elsewhere/code.lua');
});

test('a folder that is deleted, and made again, is two changes, and watched after', async (t) => {
  const { folder, gateway } = await begin(t);
  rmSync(folder.at('lib'), { recursive: true });
  await gateway.change('lib/mod.lua');
  folder.write('lib/mod.lua', 'return 1');
  await gateway.change('lib/mod.lua', 2);
  appendFileSync(folder.at('lib/mod.lua'), '\n');
  await gateway.change('lib/mod.lua', 3);
});

test("a folder above the script's that is moved away and back is two changes, and watched after", async (t) => {
  const folder = new Folder(t, { 'srv/app/app.lua': 'return require "mod"', 'srv/app/mod.lua': 'return {}' });
  const gateway = await serve(t, folder, { app: 'srv/app/app.lua' });
  folder.move('srv', 'gone');
  await gateway.change('app.lua');
  folder.move('gone', 'srv');
  await gateway.change('app.lua', 2);
  appendFileSync(folder.at('srv/app/mod.lua'), '\n');
  await gateway.change('mod.lua');
});

test('a link to a folder that is made to lead elsewhere is a change, and watched there', async (t) => {
  const release = (n) => [`releases/${n}/app.lua`, `return { version = function() return ${n} end }`];
  const folder = new Folder(t, Object.fromEntries([1, 2, 3].map(release)));
  const lead = (n) => {
    symlinkSync(`releases/${n}`, folder.at('next'));
    folder.move('next', 'current');
  };
  lead(1);
  const gateway = await serve(t, folder, { app: 'current/app.lua' });
  lead(2);
  await gateway.change('current/app.lua');
  lead(3);
  await gateway.change('current/app.lua', 2);
  appendFileSync(folder.at('releases/3/app.lua'), '\n');
  await gateway.change('current/app.lua', 3);
  appendFileSync(folder.at('releases/1/app.lua'), '\n'); // no longer of any interest
  unlinkSync(folder.at('current'));
  await gateway.change('current/app.lua', 4);
  assert.equal(gateway.changed().length, 4);
});

test('a file of app.watch may come, change and go', async (t) => {
  const { folder, gateway } = await begin(t);
  folder.write('data.json', '{}');
  await gateway.change('data.json');
  folder.write('data.json', '[]');
  await gateway.change('data.json', 2);
  unlinkSync(folder.at('data.json'));
  await gateway.change('data.json', 3);
});

test('what is beneath a folder of app.watch may come, change and go', async (t) => {
  const { folder, gateway } = await begin(t);
  folder.write('templates/a/one.html', 'ONE');
  await gateway.change('templates/a/one.html');
  folder.write('templates/a/two.html', 'two');
  await gateway.change('templates/a/two.html');
  folder.write('templates/b/c/three.html', 'three');
  await gateway.change('templates/b');
  folder.write('templates/b/c/three.html', 'four');
  await gateway.change('templates/b/c/three.html');
  unlinkSync(folder.at('templates/a/two.html'));
  await gateway.change('templates/a/two.html', 2);
  rmSync(folder.at('templates'), { recursive: true });
  await gateway.change('templates');
});

test('20 writes in a row, each of which empties the file first, are one change', async (t) => {
  const { folder, gateway } = await begin(t);
  atOnce(gateway, () => {
    for (let n = 0; n < 20; n++) folder.write('lib/mod.lua', `return ${n}`);
  });
  await gateway.change('lib/mod.lua');
  appendFileSync(folder.at('app.lua'), '\n');
  await gateway.change('app.lua');
  assert.equal(gateway.changed().length, 2);
});

test('what is beside watched files, and reading them, is no change', async (t) => {
  const { folder, gateway } = await begin(t);
  for (const name of ['unrelated.txt', 'lib/other.lua', 'templates/.one.html.swp', 'templates/one.html~']) {
    folder.write(name, 'x');
  }
  readFileSync(folder.at('app.lua'));
  atOnce(gateway, () => {
    folder.write('missing.lua', ''); // it is looked for, so this has files looked at …
    unlinkSync(folder.at('missing.lua')); // … and there is nothing to be seen
  });
  await gateway.log(QUIET, 2);
  assert.deepEqual(gateway.changed(), []);
});

test('what changes while the script loads, after it was read, is noticed', async (t) => {
  const folder = new Folder(t, {
    'app.lua': `
      local cancela = require "cancela"
      local home = ...
      home = home:match "^(.*)/"
      local function write(name)
        local file <close> = assert(io.open(home .. "/" .. name, "w"))
        file:write "return { _ = nil }"
      end
      require "mod"
      if io.open(home .. "/once") then
        os.remove(home .. "/once")
        write "mod.lua"
      end
      return {}`,
    'mod.lua': 'return { _ = nil }', once: '',
  });
  const gateway = await start(folder.at('app.lua'), ['--watch']);
  t.after(() => gateway.stop());
  await gateway.log(/changed file=\S*\/mod.lua/);
});

test('what is listed in app.watch, and changes while the script loads, is noticed', async (t) => {
  const folder = new Folder(t, {
    'app.lua': `
      local cancela = require "cancela"
      local file <close> = assert(io.open((...):match "^(.*)/" .. "/data.json", "w"))
      file:write "{}"
      return cancela.app { procedures = {}, watch = { "data.json" } }`,
  });
  const gateway = await start(folder.at('app.lua'), ['--watch']);
  t.after(() => gateway.stop());
  await gateway.log(/changed file=\S*\/data.json/);
});

test('without --watch nothing is told', async (t) => {
  const folder = new Folder(t);
  const gateway = await start(folder.at('app.lua'), ['--log-level', 'debug']);
  appendFileSync(folder.at('app.lua'), '\n');
  utimesSync(folder.at('app.lua'), 0, 0);
  assert.equal((await call(gateway, 'late', {})).result, 1);
  await gateway.stop();
  assert.ok(!gateway.lines.some((line) => /changed/.test(line)), gateway.lines.join('\n'));
});
