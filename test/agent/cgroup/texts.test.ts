/** The kernel's texts as it writes them (Documentation/admin-guide/cgroup-v2.rst), and others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ioTotals, keyedNumbers, oneNumber, pressureOf } from '#agent/cgroup/texts.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

test('named numbers', () => {
  const events = keyedNumbers('low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n');
  assert.deepEqual([events.get('oom'), events.get('oom_kill'), events.get('kill')], [3, 2, undefined]);
  assert.equal(keyedNumbers('usage_usec 12 13\n\nx\n').size, 0);
});

test('one number, or none', () => {
  assert.deepEqual(['4096\n', 'max\n', '', '-1', '1 2'].map(oneNumber), [4096, null, null, null, null]);
});

test('input and output of all devices', () => {
  const text = '8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=7 dios=9\n254:0 rbytes=5 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n';
  assert.deepEqual(ioTotals(text), { readBytes: 15, writtenBytes: 20, reads: 2, writes: 2 });
  assert.deepEqual(ioTotals(''), { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 });
});

test('pressure', () => {
  const line = (name: string) => `${name} avg10=1.50 avg60=0.25 avg300=0.00 total=12345\n`;
  const stall = { avg10: 1.5, avg60: 0.25, avg300: 0, totalUs: 12_345 };
  assert.deepEqual(pressureOf(line('some') + line('full')), { some: stall, full: stall });
  // The processor's has no `full` before Linux 5.13.
  assert.deepEqual(pressureOf(line('some')), { some: stall, full: null });
  assert.equal(pressureOf(''), null);
});
