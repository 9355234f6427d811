import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRations } from '#controller/rations.ts';

test('a bucket a host, which fills again; the first refusal is told from the others', () => {
  let nowMs = 0;
  const rations = createRations({ bytesPerSecond: 1000, burstBytes: 10_000 }, () => nowMs);
  const take = (whose: string, bytes: number) => rations.take(whose, bytes - 512);
  assert.deepEqual([take('a', 6000), take('a', 4000), take('a', 600), take('a', 600)], ['enough', 'enough', 'no more', 'none']);
  assert.equal(take('b', 10_000), 'enough', 'another host has its own');
  nowMs = 1000;
  assert.deepEqual([take('a', 600), take('a', 600), take('a', 600)], ['enough', 'no more', 'none']);
  nowMs = 100_000;
  assert.deepEqual([take('a', 10_000), take('a', 512)], ['enough', 'no more'], 'it holds no more than at first');
});

test('a message costs something however short it is', () => {
  const rations = createRations({ bytesPerSecond: 0, burstBytes: 5120 }, () => 0);
  const left = Array.from({ length: 11 }, () => rations.take('a', 0));
  assert.deepEqual([left.lastIndexOf('enough'), left.indexOf('no more')], [9, 10]);
});
