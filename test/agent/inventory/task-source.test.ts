import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareScans } from '#agent/inventory/compare-scans.ts';
import { buildModel } from '#agent/inventory/model.ts';
import { chooseTaskSource } from '#agent/inventory/task-source.ts';
import { loadNative } from '#native/binding.ts';
import type { ProcessRow, Scan, TaskScan } from '#native/types.ts';
import { ReportedNamespace, ReportedProcess, ScanCounts } from '#shared/inventory.ts';
import { createLog } from '#shared/log.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const log = createLog('test', 'silent');
const native = loadNative();
const self = native.processStart(process.pid).toString();

function process_(pid: number, ns: number[], startTicks = '7'): ProcessRow {
  return { pid, ppid: 1, startTicks, uid: 0, state: 'S', comm: 'sleep', ns };
}

function scanOf(...processes: ProcessRow[]): TaskScan {
  const row = { type: 'net', dev: 4, id: null, parentIndex: -1, ownerIndex: -1, ownerUid: null, leaderStartTicks: '0' } as const;
  const namespaces = [1, 2].map((inode) => ({ ...row, inode, processCount: 1, leaderPid: 1 }));
  const unreadable = { EACCES: 0, EPERM: 0, other: 0 };
  const counts = { processes: processes.length, namespaces: 2, vanished: 0, unreadable, unpinned: 0 };
  return { processes, namespaces, counts, threadRows: [] };
}

/** /proc and the iterator as they are told to be. */
function sources(proc: Scan, scan: () => TaskScan) {
  let closed = 0;
  const close = (): void => void (closed += 1);
  const iterator = { scan: () => Promise.resolve().then(scan), close, [Symbol.dispose]: close };
  return {
    closed: () => closed,
    native: {
      scan: () => Promise.resolve(proc),
      openTaskIterator: () => Promise.resolve(iterator),
      processStart: (pid: number) => native.processStart(pid),
    },
  };
}

test('what changed meanwhile is not compared; the rest must be the same', () => {
  const [here, there] = [process_(5, [0]), process_(5, [1])];
  const differing = compareScans(scanOf(here), scanOf(there), scanOf(here));
  assert.deepEqual(differing, { differing: [here], unseen: [], hidden: [], compared: 1 });
  assert.equal(compareScans(scanOf(here), scanOf(there), scanOf(there)).compared, 0);
  assert.deepEqual(compareScans(scanOf(here), scanOf(), scanOf(here)).unseen, [here]);
  assert.deepEqual(compareScans(scanOf(process_(5, [-1])), scanOf(here), scanOf(process_(5, [-1]))).differing, []);
});

test('an iterator that agrees with /proc is the source; what it does not show stays, unreadable', async () => {
  const hidden = process_(process.pid, [-1], self);
  const proc = scanOf(process_(2, [0]), hidden);
  proc.counts.unreadable.EACCES = 1;
  const { native, closed } = sources(proc, () => scanOf(process_(2, [0])));
  {
    using source = await chooseTaskSource(native, log);
    assert.deepEqual([source.name, source.reason], ['bpf', null]);
    const scan = await source.scan();
    assert.deepEqual(
      scan.processes.map(({ pid }) => pid),
      [2, process.pid],
    );
    assert.deepEqual([scan.counts.processes, scan.counts.unreadable.EACCES], [2, 1]);
  }
  assert.equal(closed(), 1);
});

test('one that tells otherwise than /proc, or lacks a process, is not believed', async () => {
  for (const wrong of [scanOf(process_(2, [1])), scanOf()]) {
    const { native, closed } = sources(scanOf(process_(2, [0])), () => wrong);
    using source = await chooseTaskSource(native, log);
    assert.equal(source.name, 'proc');
    assert.match(source.reason ?? '', /tells otherwise than \/proc of 1 of 1 processes, pid 2/);
    assert.equal(closed(), 1);
  }
});

test('one that fails later gives way to /proc for good', async () => {
  let fail = false;
  const proc = scanOf(process_(2, [0]));
  const { native, closed } = sources(proc, () => {
    if (fail) throw new Error('no more');
    return scanOf(process_(2, [0]));
  });
  using source = await chooseTaskSource(native, log);
  fail = true;
  assert.equal(await source.scan(), proc);
  assert.deepEqual([source.name, closed()], ['proc', 1]);
  assert.match(source.reason ?? '', /failed: no more/);
  fail = false;
  assert.equal(await source.scan(), proc);
});

test('this machine’s source tells of this process, and says why it is not the iterator', async () => {
  using source = await chooseTaskSource(native, log);
  const scan = await source.scan();
  assert.equal(scan.processes.find(({ pid }) => pid === process.pid)?.startTicks, self);
  assert.equal(source.reason === null, source.name === 'bpf');
  const { model } = buildModel(scan, new Map(), () => '', 1);
  ScanCounts.parse(model.counts);
  for (const row of model.namespaces.values()) ReportedNamespace.parse(row);
  for (const row of model.processes.values()) ReportedProcess.parse(row);
});
