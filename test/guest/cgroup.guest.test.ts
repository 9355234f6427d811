/** Limits on a kernel whose cgroup v2 has the controllers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildNative } from '#native/build.mjs';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startGuest } from '#test/support/guest.ts';
import { findMachine } from '#test/support/guest/machine.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const machine = await findMachine();
const skip = 'lacking' in machine && machine.lacking;
const directory = temporaryDirectories().root;

test('limits bite, OOM is told, freezing is quick, changes are live', { skip, timeout: 300_000 }, async (context) => {
  assert.ok(!('lacking' in machine));
  await buildNative();
  await using guest = await startGuest({ machine, directory });
  const result = await guest.run(['node', 'test/guest/inside/limits.ts'], { timeoutMs: 240_000 });
  assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
  assert.match(result.stdout, /^ℹ pass 6$/m);
  for (const line of result.stdout.split('\n').filter((line) => line.startsWith('✔'))) context.diagnostic(line);
});
