/** Programs run to their end, and what stays of one that could not be started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '#controller/up/run.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('a program that cannot be started is told at once, and no timer keeps the process', async () => {
  const before = timers();
  const result = await run('/proc/nope', [], { timeoutMs: 60_000 });
  assert.equal(result.code, 127);
  assert.match(result.stderr, /ENOENT/);
  assert.equal(timers(), before);
});

test('one that takes too long is killed', async () => {
  const result = await run('sleep', ['1000'], { timeoutMs: 100 });
  assert.equal(result.code, 128);
  assert.match(result.stderr, /ended by SIGKILL \(limit 100 ms\)/);
});
