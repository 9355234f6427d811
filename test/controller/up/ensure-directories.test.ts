/** Directories that cannot be used: told with the variable, and soon. */
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import { makeDirectory } from '#controller/make-directory.mjs';
import { ensureDirectories } from '#controller/up/ensure-directories.ts';
import { run } from '#controller/up/run.ts';
import { lockStateDirectory } from '#agent/lock.ts';
import { directories } from '#shared/config.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const root = fileURLToPath(new URL('../../..', import.meta.url));
const file = join(dirs.root, 'file');
writeFileSync(file, '');
const names = ['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR', 'XDG_CACHE_HOME'];

function ensured(more: Record<string, string>): void {
  const env = { HOME: dirs.root, ...dirs.env, ...more };
  ensureDirectories(directories(env), env);
}

for (const name of names) {
  test(`${name}: a file on the way, a directory below /proc`, () => {
    const told = (path: string, errno: string) => (error: { code: string; message: string; remedy: string }) => {
      assert.equal(error.code, 'CONFIG_INVALID');
      assert.ok(error.message.includes(`${name}=${path}: `) && error.message.includes(`${path}/nsfleet`), error.message);
      assert.match(error.message, new RegExp(`\\(${errno}\\)$`));
      assert.ok(error.remedy.includes(name));
      return true;
    };
    assert.throws(() => ensured({ [name]: `${file}/x` }), told(`${file}/x`, 'ENOTDIR'));
    assert.throws(() => ensured({ [name]: '/proc/nope' }), told('/proc/nope', 'ENOENT'));
  });
}

test('without the variable HOME is named, and for the runtime directory the state’s', () => {
  const env = { HOME: `${file}/home` };
  assert.throws(() => ensureDirectories(directories(env), env), { code: 'CONFIG_INVALID', target: 'HOME' });
  const { XDG_RUNTIME_DIR: _, ...others } = dirs.env;
  const state = join(dirs.root, 'state');
  makeDirectory(join(state, 'nsfleet'));
  writeFileSync(join(state, 'nsfleet', 'run'), '');
  const withoutRuntime = { ...others, HOME: dirs.root, XDG_STATE_HOME: state };
  assert.throws(() => ensureDirectories(directories(withoutRuntime), withoutRuntime), {
    code: 'CONFIG_INVALID',
    target: 'XDG_STATE_HOME',
    message: /it is no directory/,
  });
});

test('what is missing is made for its owner alone, and what is there stays', () => {
  const path = join(dirs.root, 'a', 'b', 'c');
  makeDirectory(path);
  makeDirectory(path);
  for (const made of [path, join(dirs.root, 'a')]) assert.equal(statSync(made).mode & 0o777, 0o700);
});

test('NATS keys and an agent’s state below /proc are refused too', () => {
  assert.throws(() => ensureNatsKeys('/proc/nope/keys'), { code: 'CONFIG_INVALID' });
  assert.throws(() => lockStateDirectory('/proc/nope/agent'), { code: 'STATE_DIRECTORY_UNUSABLE' });
});

for (const [name, path] of [
  ['XDG_DATA_HOME', '/proc/nope'],
  ['XDG_CACHE_HOME', '/proc/nope'],
  ['XDG_STATE_HOME', `${file}/x`],
] as const) {
  test(`npm start with ${name}=${path} says so and ends`, async () => {
    const env = { PATH: process.env['PATH'], HOME: dirs.root, ...dirs.env, [name]: path };
    const result = await run(process.execPath, [join(root, 'controller/up/start.mjs'), '--once'], { env, timeoutMs: 20_000 });
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, new RegExp(`error: CONFIG_INVALID: .* ${name}: ${name}=${path}: `));
    assert.deepEqual(readdirSync(dirs.runtime), []);
  });
}
