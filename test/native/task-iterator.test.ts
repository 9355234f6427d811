/** The task iterator beside /proc, on the host that the tests run on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareScans } from '#agent/inventory/compare-scans.ts';
import type { Native } from '#native/binding.ts';
import { buildTaskLoader } from '#native/build-bpf.mjs';
import type { TaskIterator } from '#native/task-iterator.ts';
import { namespaceLinks } from '#native/types.ts';
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import { builtNative, comm, compile, openDescriptors, running, sleeps, temporaryDirectory } from './fixture.ts';

/** Asked of the machine beforehand, not of what failed. */
async function lacking(): Promise<string | false> {
  const { missing } = await buildTaskLoader({ log: () => undefined });
  if (missing !== '') return `the task iterator is not built: ${missing}`;
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'the kernel has no BTF';
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
  const [sysAdmin, perfmon, bpf] = [21n, 38n, 39n].map((bit) => (capabilities >> bit) & 1n);
  if (sysAdmin === 0n && (perfmon === 0n || bpf === 0n)) return 'needs CAP_BPF and CAP_PERFMON';
  return readlinkSync('/proc/self/ns/pid') !== 'pid:[4026531836]' && 'not in the initial pid namespace';
}

const skip = await lacking();
let native: Native;
let iterator: TaskIterator;
before(async () => {
  native = await builtNative();
  if (skip !== false) return;
  const opened = await native.openTaskIterator();
  assert.ok(!('unavailable' in opened), JSON.stringify(opened));
  iterator = opened;
});
after(() => {
  if (skip === false) iterator.close();
});

function processOf(scan: Scan, pid: number): ProcessRow {
  const row = scan.processes.find((process) => process.pid === pid);
  assert.ok(row, `pid ${pid} is in the scan`);
  return row;
}

function namespaceOf(scan: Scan, pid: number, type: (typeof namespaceLinks)[number]): NamespaceRow {
  const row = scan.namespaces[processOf(scan, pid).ns[namespaceLinks.indexOf(type)] ?? -1];
  assert.ok(row, `the ${type} namespace of pid ${pid} is in the scan`);
  return row;
}

/** Free of the order in which namespaces were found, and of their members: those of the host come and go. */
function canonical(scan: Scan): Map<string, unknown> {
  const name = (index: number): string => {
    const row = scan.namespaces[index];
    return row === undefined ? '' : `${row.type}:${row.inode}:${row.id}`;
  };
  return new Map(
    scan.namespaces.map(({ parentIndex, ownerIndex, type, inode, dev, id, ownerUid }, index) => [
      name(index),
      { type, inode, dev, id, ownerUid, parent: name(parentIndex), owner: name(ownerIndex) },
    ]),
  );
}

test('both sources tell the same of every process and namespace', { skip }, async (context) => {
  await using user = await running(['unshare', '-Ur', '-n', 'unshare', '-Ur', '-u', 'sleep', '60'], sleeps);
  await using deep = await running(['unshare', '-Urmpf', '--kill-child', 'unshare', '-pfiC', '--kill-child', 'sleep', '60'], (pid) =>
    /sleep/.test(treeBelow(pid).at(-1) ?? ''),
  );
  for (let attempt = 0; ; attempt++) {
    const earlier = await native.scan();
    const scan = await iterator.scan();
    const later = await native.scan();
    const { differing, unseen, hidden, compared } = compareScans(earlier, scan, later);
    assert.deepEqual({ differing, unseen }, { differing: [], unseen: [] });
    assert.ok(compared > 10);
    processOf(scan, user.pid);
    processOf(scan, deep.pid);
    const [one, other] = [canonical(earlier), canonical(later)];
    const seen = canonical(scan);
    let same = 0;
    for (const [key, row] of one) {
      if (JSON.stringify(other.get(key)) !== JSON.stringify(row)) continue;
      same += 1;
      assert.deepEqual(seen.get(key), row, key);
    }
    context.diagnostic(
      `${compared} processes, ${same} namespaces; ${hidden.length} that the iterator does not show and /proc does not tell of`,
    );
    if (same >= 16 || attempt > 5) return assert.ok(same >= 16, `${same} namespaces stood still`);
  }
});

function treeBelow(pid: number): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean);
  return [comm(pid), ...children.flatMap((child) => treeBelow(Number(child)))];
}

test('every namespace counts its members and names the lowest', { skip }, async () => {
  const scan = await iterator.scan();
  for (const [index, namespace] of scan.namespaces.entries()) {
    const members = scan.processes.filter(({ ns }) => ns[namespaceLinks.indexOf(namespace.type)] === index);
    assert.equal(namespace.processCount, members.length);
    assert.equal(namespace.leaderPid, members.length === 0 ? 0 : Math.min(...members.map(({ pid }) => pid)));
    assert.equal(namespace.leaderStartTicks, members.find(({ pid }) => pid === namespace.leaderPid)?.startTicks ?? '0');
  }
});

test('start time, parent, uid and hostile name are exact', { skip }, async () => {
  const name = 'a) R 1 (\n\t\u001b[m';
  using directory = temporaryDirectory();
  const program = join(directory.path, name);
  copyFileSync('/bin/sleep', program);
  await using child = await running([program, '60'], (pid) => comm(pid) === name);
  const row = processOf(await iterator.scan(), child.pid);
  assert.equal(row.comm, name);
  assert.equal(row.ppid, process.pid);
  assert.equal(row.uid, process.geteuid?.());
  assert.equal(BigInt(row.startTicks), native.processStart(child.pid));
});

test('kernel threads are in the scan, in the initial namespaces', { skip }, async () => {
  const scan = await iterator.scan();
  const kthreadd = processOf(scan, 2);
  assert.equal(kthreadd.comm, 'kthreadd');
  assert.equal(namespaceOf(scan, 2, 'user').inode, 0xeffffffd);
});

test('a zombie is kept, in its user and pid namespace alone, also as the last one there', { skip }, async () => {
  // The inner sh is PID 1 of its namespace and ends; unshare, stopped, does not reap it.
  const child = spawn('unshare', ['-Urpf', 'sh', '-c', 'echo ready; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  try {
    child.kill('SIGSTOP');
    while (!/\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'))) await sleep(1);
    child.stdin.end();
    const zombieOf = (scan: Scan): ProcessRow | undefined => scan.processes.find(({ ppid, state }) => ppid === child.pid && state === 'Z');
    let scan = await iterator.scan();
    for (let tries = 0; tries < 500 && zombieOf(scan) === undefined; tries++) {
      await sleep(10);
      scan = await iterator.scan();
    }
    const zombie = zombieOf(scan);
    assert.ok(zombie, 'the zombie is in the scan');
    assert.deepEqual(
      namespaceLinks.filter((_, link) => (zombie.ns[link] ?? -1) >= 0),
      ['user', 'pid'],
    );
    const proc = await native.scan();
    const [pid, user] = (['pid', 'user'] as const).map((type) => namespaceOf(scan, zombie.pid, type));
    assert.deepEqual(
      [pid?.id, pid?.inode, user?.id],
      [namespaceOf(proc, zombie.pid, 'pid').id, namespaceOf(proc, zombie.pid, 'pid').inode, namespaceOf(proc, zombie.pid, 'user').id],
    );
    assert.equal(scan.namespaces[pid?.ownerIndex ?? -1], user);
    assert.equal(scan.namespaces[pid?.parentIndex ?? -1]?.inode, 0xeffffffc);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});

test('threads that are elsewhere than their process are told, and no others', { skip }, async () => {
  using directory = temporaryDirectory();
  const child = spawn(await compile('elsewhere.c', directory.path), { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [text] = (await once(child.stdout, 'data')) as [Buffer];
    const [inOtherNet = 0, withOwnFiles = 0] = text.toString().split(' ').map(Number);
    const scan = await iterator.scan();
    const threads = scan.threadRows.filter(({ pid }) => pid === child.pid);
    assert.deepEqual(
      threads.map(({ tid, ownFiles }) => [tid, ownFiles]),
      [
        [inOtherNet, false],
        [withOwnFiles, true],
      ].toSorted(([a], [b]) => Number(a) - Number(b)),
    );
    const net = namespaceLinks.indexOf('net');
    const [elsewhere, here] = [inOtherNet, withOwnFiles].map((tid) => threads.find((row) => row.tid === tid)?.ns[net]);
    const row = scan.namespaces[elsewhere ?? -1];
    assert.equal(`net:[${row?.inode}]`, readlinkSync(`/proc/${child.pid}/task/${inOtherNet}/ns/net`));
    assert.equal(row?.processCount, 0);
    assert.equal(here, processOf(scan, child.pid ?? 0).ns[net]);
    assert.deepEqual(threads[0]?.startTicks, readStart(child.pid ?? 0, threads[0]?.tid ?? 0));
  } finally {
    const ended = once(child, 'exit');
    child.stdin.end();
    await ended;
  }
});

function readStart(pid: number, tid: number): string {
  const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

test('processes that are born, move and end during a pass disturb nothing', { skip }, async () => {
  const churn = spawn('sh', ['-c', 'while :; do unshare -Un true; unshare -Urpf true; true | true | true; done'], { stdio: 'ignore' });
  try {
    const descriptors = openDescriptors().length;
    for (let round = 0; round < 200; round++) {
      const scan = await iterator.scan();
      for (const { pid, state, ns, startTicks } of scan.processes) {
        // One that ends has left all but two before it is a zombie.
        const all = ns.slice(0, 8).every((index, link) => scan.namespaces[index]?.type === namespaceLinks[link]);
        // Once it is reaped (X) its pid is gone too, and with that the namespace.
        const kept = (link: string, index: number) => link === 'user' || (link === 'pid' && (state !== 'X' || index >= 0));
        const left = namespaceLinks.every((link, at) => (ns[at] ?? -1) >= 0 === kept(link, ns[at] ?? -1));
        assert.ok(Number(startTicks) > 0 && (all || left), `pid ${pid} (${state}): ${ns.join()}`);
      }
      for (const { type, ownerIndex, inode } of scan.namespaces) {
        assert.ok(ownerIndex >= 0 || inode === 0xeffffffd, `${type}:[${inode}] has an owner`);
      }
      assert.equal(new Set(scan.namespaces.map((row) => `${row.type}:${row.inode}:${row.id}`)).size, scan.namespaces.length);
    }
    assert.equal(openDescriptors().length, descriptors);
  } finally {
    const ended = once(churn, 'exit');
    churn.kill('SIGKILL');
    await ended;
  }
});

test('a buffer that is too small grows, and scans at the same time wait for each other', { skip }, async () => {
  const small = await (await builtNative({ scanRows: { processes: 1, namespaces: 1 } })).openTaskIterator();
  assert.ok(!('unavailable' in small));
  using opened = small;
  const scans = await Promise.all(Array.from({ length: 4 }, () => opened.scan()));
  for (const scan of scans) assert.equal(namespaceOf(scan, process.pid, 'net').inode, statSync('/proc/self/ns/net').ino);
});

test('a closed iterator leaves no descriptor', { skip }, async () => {
  const descriptors = openDescriptors();
  const opened = await native.openTaskIterator();
  assert.ok(!('unavailable' in opened));
  const scan = opened.scan();
  opened.close();
  await scan;
  await assert.rejects(opened.scan());
  assert.deepEqual(openDescriptors(), descriptors);
});

test('where it is not built, or is of another build, the reason says so', async () => {
  using directory = temporaryDirectory();
  const missing = await builtNative({ taskLoader: join(directory.path, 'nsfleet-bpf-load') });
  assert.match(JSON.stringify(await missing.openTaskIterator()), /it is not built/);
  const descriptors = openDescriptors();
  const other = await builtNative({ taskLoader: '/bin/true' });
  assert.match(JSON.stringify(await other.openTaskIterator()), /ended without a word/);
  assert.deepEqual(openDescriptors(), descriptors);
});
