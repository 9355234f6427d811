/** One stack for one set of directories, whatever happened to the one before. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { takeLock } from '#controller/up/lock.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const module = new URL('../../../controller/up/lock.ts', import.meta.url).href;
const cwd = new URL('../../..', import.meta.url);

/** A process that takes the lock of `dir`, says so, and holds it until it is killed. */
async function holder(dir: string) {
  const code = `const { takeLock } = await import(${JSON.stringify(module)}); takeLock(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return {
    pid: child.pid,
    async kill() {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('a second one is refused with the pid of the first', async () => {
  const dir = join(dirs.root, 'second');
  const first = await holder(dir);
  try {
    assert.throws(() => takeLock(dir), { code: 'ALREADY_RUNNING', reason: new RegExp(`process ${first.pid} `) });
    assert.equal(readFileSync(join(dir, 'lock'), 'utf8').trim(), String(first.pid));
  } finally {
    await first.kill();
  }
});

test('a SIGKILL frees it', async () => {
  const dir = join(dirs.root, 'killed');
  const first = await holder(dir);
  await first.kill();
  takeLock(dir)[Symbol.dispose]();
});

test('it leaves no file behind, and another directory has another lock', () => {
  const [a, b] = [join(dirs.root, 'a'), join(dirs.root, 'b')];
  {
    using _a = takeLock(a);
    using _b = takeLock(b);
  }
  assert.equal(existsSync(join(a, 'lock')), false);
});

test('of eight that start together one gets it', async () => {
  const dir = join(dirs.root, 'race');
  const code = `const { takeLock } = await import(${JSON.stringify(module)}); try { takeLock(${JSON.stringify(dir)}); console.log('held'); setTimeout(() => {}, 1500); } catch (error) { console.log(error.code); }`;
  const answers = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += String(chunk);
      });
      await new Promise((resolve) => child.once('close', resolve));
      return text.trim();
    }),
  );
  assert.equal(answers.filter((answer) => answer === 'held').length, 1, answers.join(' '));
  assert.equal(answers.filter((answer) => answer === 'ALREADY_RUNNING').length, 7, answers.join(' '));
});
