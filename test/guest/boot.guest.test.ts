import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { before, test } from 'node:test';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startGuest } from '#test/support/guest.ts';
import type { Guest } from '#test/support/guest.ts';
import { findMachine } from '#test/support/guest/machine.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const machine = await findMachine();
const skip = 'lacking' in machine && machine.lacking;
const directory = temporaryDirectories().root;

let guest: Guest;
before(async () => {
  if (!('lacking' in machine)) guest = fileResources.use(await startGuest({ machine, directory }));
});

async function output(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await guest.run(command);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test('it is another host: an older kernel, a boot of its own', { skip }, async (context) => {
  context.diagnostic(`booted in ${Math.round(guest.bootMs)} ms`);
  assert.match(await output('uname', '-r'), /^6\.1\./);
  assert.notEqual(await output('uname', '-r'), release());
  assert.notEqual(await output('cat', '/proc/sys/kernel/random/boot_id'), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
});

test('cgroup v2 has its controllers', { skip }, async () => {
  const controllers = (await output('cat', '/sys/fs/cgroup/cgroup.controllers')).split(' ');
  for (const controller of ['cpuset', 'cpu', 'io', 'memory', 'pids']) assert.ok(controllers.includes(controller), controllers.join(' '));
});

test('the Node of the checkout runs there', { skip }, async () => {
  assert.equal(await output('node', '-p', 'process.version'), process.version);
});

test('what is written there does not come back', { skip }, async () => {
  const path = `${directory}/written`;
  assert.equal(await output('sh', '-c', `echo inside > ${path}; cat ${path}`), 'inside');
  assert.throws(() => readFileSync(path), { code: 'ENOENT' });
});

test('commands tell how they end', { skip }, async () => {
  const failing = await guest.run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual(failing, { code: 3, signal: null, stdout: 'out\n', stderr: 'err\n', timedOut: false });
  const signalled = await guest.run(['sh', '-c', 'kill -15 $$']);
  assert.deepEqual([signalled.code, signalled.signal], [null, 15]);
  const missing = await guest.run(['/missing']);
  assert.deepEqual([missing.code, missing.stderr], [127, '/missing: No such file or directory\n']);
  const slow = await guest.run(['sleep', '60'], { timeoutMs: 200 });
  assert.deepEqual([slow.signal, slow.timedOut], [9, true]);
});

test('commands run side by side, with as much output as they like', { skip }, async () => {
  const sizes = [0, 1, 65_536, 3_000_000];
  const results = await Promise.all(sizes.map((size) => guest.run(['head', '-c', String(size), '/dev/zero'])));
  assert.deepEqual(
    results.map(({ stdout }) => stdout.length),
    sizes,
  );
});
