/** The kernel's texts about a process, as what a sandbox got. The real thing is in test/e2e/observed.test.ts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { insideId, interfacesOf, niceOf, statusOf } from '#agent/sandbox/observe.ts';
import { parseLimits } from '#agent/sandbox/kernel-facts.ts';
import { rlimitNames } from '#shared/process.ts';

const map = [
  { inside: 0, outside: 100_000, count: 10 },
  { inside: 50, outside: 5, count: 1 },
];
const status = (name: string): string =>
  `Name:\t${name}\nUmask:\t0027\nUid:\t1\t100003\t3\t4\nGid:\t1\t5\t3\t4\nGroups:\t100001 77 \nCapInh:\t0000000000000000\nCapPrm:\t0000020000000001\n` +
  'CapEff:\t0000000000002000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n';

test('status: ids inside and outside, five sets, filters', () => {
  const told = statusOf(status('sh'), map, map);
  assert.deepEqual(told.uid, { outside: 100_003, inside: 3 });
  assert.deepEqual(told.gid, { outside: 5, inside: 50 });
  assert.deepEqual(told.groups, [
    { outside: 100_001, inside: 1 },
    { outside: 77, inside: null },
  ]);
  assert.deepEqual(told.capabilities.permitted, ['CAP_CHOWN', 'CAP_41'], 'one that is newer than this program keeps its number');
  assert.deepEqual(told.capabilities.effective, ['CAP_NET_RAW']);
  assert.equal(told.capabilities.bounding.length, 41);
  assert.deepEqual([told.noNewPrivs, told.seccomp, told.umask], [true, { mode: 'filter', filters: 3 }, '0027']);
});

test('a name cannot forge a line', () => {
  // The kernel writes the newline as \n; other line ends stay as they are.
  for (const name of ['x\\nNoNewPrivs:\\t0', 'x\rNoNewPrivs:\t0', 'x\u2028CapEff:\tffffffffffffffff'])
    assert.deepEqual(statusOf(status(name), map, map), statusOf(status('sh'), map, map));
  assert.equal(niceOf('7 (a) R 1 ( 1 2) S 1 7 7 0 -1 4194560 86 0 0 0 0 0 0 0 20 -3 1 0 42'), -3);
});

test('a status without what is needed is refused, not filled in', () => {
  for (const key of ['Uid', 'CapBnd', 'NoNewPrivs', 'Seccomp', 'Umask'])
    assert.throws(() => statusOf(status('sh').replace(`${key}:`, 'Other:'), map, map), new RegExp(key));
  assert.equal(statusOf(status('sh').replace('Seccomp_filters', 'Other'), map, map).seccomp.filters, null);
});

test('this process’s own texts', () => {
  const limits = parseLimits(readFileSync('/proc/self/limits', 'latin1'));
  assert.deepEqual(Object.keys(limits).toSorted(), rlimitNames.toSorted());
  assert.ok(interfacesOf(readFileSync('/proc/self/net/dev', 'latin1')).includes('lo'));
  assert.deepEqual(interfacesOf('a\nb\n  eth0:1 2\n veth@1: 3\n'), ['eth0', 'veth@1']);
  assert.equal(insideId(map, 100_010), null);
});
