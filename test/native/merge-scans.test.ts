import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import type { Native } from '#native/binding.ts';
import { mergeScans } from '#native/merge-scans.ts';
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import { builtNative, running, sleeps } from './fixture.ts';

let native: Native;
before(async () => {
  native = await builtNative();
});

const types = ['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'];

/** What a scan of these processes alone would have told: its namespaces and, by way of them, parents and owners. */
function partOf(scan: Scan, processes: ProcessRow[]): Scan {
  const kept: number[] = [];
  const keep = (index: number): void => {
    const row = scan.namespaces[index];
    if (row === undefined || kept.includes(index)) return;
    kept.push(index);
    keep(row.parentIndex);
    keep(row.ownerIndex);
  };
  for (const process of processes) process.ns.forEach(keep);
  const namespaces = kept.map((index): NamespaceRow => {
    const row = scan.namespaces[index]!;
    const members = processes.filter(({ ns }) => ns[types.indexOf(row.type)] === index);
    return {
      ...row,
      parentIndex: kept.indexOf(row.parentIndex),
      ownerIndex: kept.indexOf(row.ownerIndex),
      processCount: members.length,
      leaderPid: members[0]?.pid ?? 0,
      leaderStartTicks: members[0]?.startTicks ?? '0',
    };
  });
  const rows = processes.map((process) => ({ ...process, ns: process.ns.map((index) => kept.indexOf(index)) }));
  return { processes: rows, namespaces, counts: { ...scan.counts, processes: rows.length, namespaces: namespaces.length } };
}

/** Free of the order in which namespaces were found. */
function canonical(scan: Scan): unknown {
  const name = (index: number): string | null => {
    const row = scan.namespaces[index];
    return row === undefined ? null : `${row.type}:${row.inode}:${row.id}`;
  };
  const namespaces = scan.namespaces.map((row, index) => ({
    name: name(index),
    ...row,
    parentIndex: name(row.parentIndex),
    ownerIndex: name(row.ownerIndex),
  }));
  return {
    processes: scan.processes.map((row) => ({ ...row, ns: row.ns.map(name) })),
    namespaces: namespaces.toSorted((a, b) => String(a.name).localeCompare(String(b.name))),
  };
}

test('two parts of a scan, however it is cut, are the scan again', async () => {
  await using child = await running(['unshare', '-Ur', '-n', 'unshare', '-Ur', '-u', 'sleep', '60'], sleeps);
  const whole = await native.scan();
  assert.ok(whole.processes.some(({ pid }) => pid === child.pid));
  // Without what no process of the whole is in or below: a part would not have seen it, either.
  const expected = canonical(partOf(whole, whole.processes));
  const size = whole.processes.length;
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: size, maxLength: size }), (mask) => {
      const [first, second] = [true, false].map((side) =>
        partOf(
          whole,
          whole.processes.filter((_, index) => mask[index] === side),
        ),
      );
      assert.deepEqual(canonical(mergeScans(first!, second!)), expected);
    }),
    { numRuns: 50 },
  );
});

test('an inode number that passed to another namespace meanwhile is two rows', async () => {
  const scan = await native.scan();
  const later: Scan = { ...scan, namespaces: scan.namespaces.map((row) => ({ ...row, id: `${row.id ?? ''}1` })) };
  assert.equal(mergeScans(scan, later).namespaces.length, scan.namespaces.length * 2);
});

test('a host with many processes, whose scan two threads share, is told the same', async () => {
  await using crowd = await running(['sh', '-c', 'for i in $(seq 300); do sleep 60 & done; exec sleep 60'], sleeps);
  const native = await builtNative();
  const members = (scan: Scan): number[] => scan.processes.filter(({ ppid }) => ppid === crowd.pid).map(({ pid }) => pid);
  try {
    const [alone, shared] = [await native.scan(), await native.scan()];
    assert.equal(members(alone).length, 300);
    assert.deepEqual(members(shared), members(alone));
    const pids = shared.processes.map(({ pid }) => pid);
    assert.deepEqual(
      pids,
      [...new Set(pids)].sort((a, b) => a - b),
    );
    assert.equal(shared.counts.processes, shared.processes.length);
    for (const [index, row] of shared.namespaces.entries()) {
      const count = shared.processes.filter(({ ns }) => ns[types.indexOf(row.type)] === index).length;
      assert.equal(row.processCount, count, `${row.type}:[${row.inode}]`);
    }
  } finally {
    for (const pid of members(await native.scan())) process.kill(pid, 'SIGKILL');
  }
});
