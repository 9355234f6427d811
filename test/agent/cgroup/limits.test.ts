/** Limits as writes, in the kernel's words, and what is missing for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitChanges, limitWrites, requireControllers } from '#agent/cgroup/limits.ts';
import { Resources } from '#shared/cgroup.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const texts = (after: Resources, before?: Resources) => limitWrites(after, before).map(({ file, value }) => `${file} ${value}`);

test('every limit in the kernel’s words', () => {
  const all: Resources = {
    cpus: 1.5,
    cpuWeight: 50,
    memoryBytes: 268_435_456,
    memoryHighBytes: 200_000_000,
    swapBytes: 1_000_000,
    pids: 64,
    ioWeight: 200,
    io: [{ device: '254:0', readBytesPerSecond: 1_048_576, writesPerSecond: 10 }],
  };
  assert.deepEqual(Resources.parse(all), all);
  assert.deepEqual(texts(all), [
    'cpu.max 150000 100000',
    'cpu.weight 50',
    'memory.high 200000000',
    'memory.swap.max 1000000',
    'memory.max 268435456',
    'pids.max 64',
    'io.weight default 200',
    'io.max 254:0 rbps=1048576 wbps=max riops=max wiops=10',
  ]);
  // And away again.
  assert.deepEqual(texts({}, all), [
    'cpu.max max 100000',
    'cpu.weight 100',
    'memory.high max',
    'memory.swap.max max',
    'memory.max max',
    'pids.max max',
    'io.weight default 100',
    'io.max 254:0 rbps=max wbps=max riops=max wiops=max',
  ]);
});

test('only what changes is written', () => {
  assert.deepEqual(texts({}), []);
  assert.deepEqual(texts({ pids: 5, cpus: 1 }, { pids: 5, cpus: 2 }), ['cpu.max 100000 100000']);
  assert.deepEqual(
    texts({ memoryBytes: 4096 }),
    ['memory.swap.max 0', 'memory.max 4096'],
    'a limit of memory that swap could hide is none',
  );
  assert.deepEqual(texts({ cpus: 0.005 }), ['cpu.max 1000 100000'], 'the kernel refuses less than a millisecond');
});

test('what a sandbox was allowed to go without is not written later', () => {
  const lack = { what: 'limits of memory', asked: '', has: '', reason: '' };
  const record = { resources: { pids: 5 }, lacks: [lack] };
  assert.deepEqual(limitChanges({ pids: 5, memoryBytes: 4096 }, record), []);
  assert.deepEqual(limitChanges({ pids: 6, memoryBytes: 4096 }, record), [{ controller: 'pids', file: 'pids.max', value: '6' }]);
});

test('limits that cannot be meant are refused', () => {
  for (const wrong of [{ memoryBytes: 4095 }, { pids: 0 }, { cpus: 0 }, { cpuWeight: 10_001 }, { io: [{ device: 'sda' }] }, { cpu: 1 }])
    assert.equal(Resources.safeParse(wrong).success, false, JSON.stringify(wrong));
  assert.equal(Resources.safeParse({ memoryBytes: 8192, memoryHighBytes: 16_384 }).success, false);
  assert.equal(Resources.safeParse({ io: [{ device: '8:0' }, { device: '8:0' }] }).success, false);
});

test('what a host lacks is told all at once', () => {
  const lacks = new Map([
    ['memory', 'no memory'],
    ['io', 'no io'],
  ] as const);
  requireControllers(lacks, limitWrites({ pids: 3 }), 'web');
  assert.throws(() => requireControllers(lacks, limitWrites({ memoryBytes: 4096, ioWeight: 5, pids: 3 }), 'web'), {
    code: 'LIMITS_UNAVAILABLE',
    target: 'web',
    reason: 'no limits of memory, io on this host: no memory; no io',
  });
});
