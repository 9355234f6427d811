import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Native } from '#native/binding.ts';
import { namespaceLinks } from '#native/types.ts';
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import { NsfleetError } from '#shared/errors.ts';
import { asNobody } from '#test/support/as-nobody.ts';
import { builtNative, comm, openDescriptors, running, sleeps, temporaryDirectory } from './fixture.ts';

let native: Native;
before(async () => {
  native = await builtNative();
});

/** The second witness: Node's own reading of procfs. */
function witness(pid: number): { startTicks: string; links: (string | null)[]; uid: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const links = namespaceLinks.map((link) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/${link}`);
      } catch {
        return null;
      }
    });
    return { startTicks: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '', links, uid: statSync(`/proc/${pid}`).uid };
  } catch {
    return null;
  }
}

function witnessAll(): Map<number, NonNullable<ReturnType<typeof witness>>> {
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return new Map(pids.flatMap((name) => [[Number(name), witness(Number(name))] as const]).filter((pair) => pair[1] !== null) as never);
}

function linksOf(scan: Scan, process: ProcessRow): (string | null)[] {
  return process.ns.map((index) => {
    const row = scan.namespaces[index];
    return row === undefined ? null : `${row.type}:[${row.inode}]`;
  });
}

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

test('a scan agrees with Node about every process that did not change meanwhile', async () => {
  // The children's pid namespace shows only while it has an init: one that lived between the two looks was seen by the scan alone. Not twice.
  const differed: Map<number, unknown>[] = [];
  for (let round = 0; round < 2; round++) {
    const earlier = witnessAll();
    const scan = await native.scan();
    const later = witnessAll();
    const stable = [...earlier].filter(([pid, seen]) => isDeepStrictEqual(later.get(pid), seen));
    assert.ok(stable.length > 5, `compared ${stable.length} processes`);
    assert.equal(scan.counts.processes, scan.processes.length);
    const wrong = new Map<number, unknown>();
    for (const [pid, seen] of stable) {
      const row = processOf(scan, pid);
      const told = { startTicks: row.startTicks, links: linksOf(scan, row), uid: row.uid };
      if (!isDeepStrictEqual(told, seen)) wrong.set(pid, { told, seen });
    }
    differed.push(wrong);
  }
  const [first, second] = differed;
  assert.deepEqual(
    [...(first ?? [])].filter(([pid]) => second?.has(pid)),
    [],
  );
});

test('every namespace counts its members and names the lowest', async () => {
  const scan = await native.scan();
  for (const [index, namespace] of scan.namespaces.entries()) {
    const position = namespaceLinks.indexOf(namespace.type);
    const members = scan.processes.filter((process) => process.ns[position] === index);
    assert.equal(namespace.processCount, members.length);
    const leader = members.toSorted((a, b) => a.pid - b.pid)[0];
    assert.equal(namespace.leaderPid, leader?.pid ?? 0);
    assert.equal(namespace.leaderStartTicks, leader?.startTicks ?? '0');
  }
});

test('a new network namespace shows with its owner and the owner’s parent', async () => {
  await using child = await running(['unshare', '--user', '--map-root-user', '--net', 'sleep', '60'], sleeps);
  const scan = await native.scan();
  const net = namespaceOf(scan, child.pid, 'net');
  const user = namespaceOf(scan, child.pid, 'user');
  assert.equal(net.processCount, 1);
  assert.equal(net.leaderPid, child.pid);
  assert.equal(net.ownerUid, null);
  assert.equal(scan.namespaces[net.ownerIndex], user);
  assert.equal(scan.namespaces[user.parentIndex], namespaceOf(scan, process.pid, 'user'));
  assert.equal(user.ownerUid, process.geteuid?.());
  const relation = native.relate({ pid: child.pid, type: 'net' });
  assert.deepEqual(relation.owner, { inode: user.inode, id: user.id });
});

test('a user namespace that no process is in shows as the parent of the one below', async () => {
  // unshare execs and does not fork: the process passes through the first namespace and stays in the second.
  await using child = await running(['unshare', '-Ur', 'unshare', '-Ur', 'sleep', '60'], sleeps);
  const scan = await native.scan();
  const inner = namespaceOf(scan, child.pid, 'user');
  const middle = scan.namespaces[inner.parentIndex];
  assert.equal(middle?.type, 'user');
  assert.equal(middle?.processCount, 0);
  assert.equal(middle?.leaderPid, 0);
  assert.equal(scan.namespaces[middle?.parentIndex ?? -1], namespaceOf(scan, process.pid, 'user'));
});

test('children’s pid namespace is told apart from the process’s own', async () => {
  await using child = await running(['unshare', '-Ur', '--pid', '--fork', '--kill-child', 'sleep', '60'], (pid) => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    return children !== '' && sleeps(Number(children));
  });
  const scan = await native.scan();
  const row = processOf(scan, child.pid);
  assert.notEqual(row.ns[namespaceLinks.indexOf('pid')], row.ns[namespaceLinks.indexOf('pid_for_children')]);
  const below = namespaceOf(scan, child.pid, 'pid_for_children');
  assert.equal(below.type, 'pid');
  assert.equal(below.processCount, 1);
  assert.equal(scan.namespaces[below.parentIndex], namespaceOf(scan, child.pid, 'pid'));
});

test('ids are never reused, though inode numbers are', async (context) => {
  const ids = new Set<string>();
  const inodes = new Set<number>();
  const rounds = 50;
  for (let round = 0; round < rounds; round++) {
    await using child = await running(['unshare', '-Ur', '--uts', 'sleep', '60'], sleeps);
    const { id, inode } = namespaceOf(await native.scan(), child.pid, 'uts');
    if (id === null) return context.skip('this kernel has no NS_GET_ID');
    ids.add(id);
    inodes.add(inode);
  }
  assert.equal(ids.size, rounds);
  context.diagnostic(`${rounds} namespaces, ${inodes.size} inode numbers`);
});

test('a hostile process name is kept as it is', async () => {
  const name = 'a) R 1 (\n\t\u001b[m';
  // exec takes the name from the file's.
  using directory = temporaryDirectory();
  const program = join(directory.path, name);
  copyFileSync('/bin/sleep', program);
  await using child = await running([program, '60'], (pid) => comm(pid) === name);
  const row = processOf(await native.scan(), child.pid);
  assert.equal(row.comm, name);
  assert.equal(row.ppid, process.pid);
});

test('a zombie is kept, without the namespaces that it left', async () => {
  await using child = await running(['sh', '-c', 'sleep 0 & exec sleep 60'], sleeps);
  let zombie: ProcessRow | undefined;
  let scan = await native.scan();
  for (let tries = 0; tries < 100 && !zombie; tries++) {
    scan = await native.scan();
    zombie = scan.processes.find((process) => process.ppid === child.pid && process.state === 'Z');
  }
  assert.ok(zombie, 'the zombie is in the scan');
  assert.equal(zombie.ns[namespaceLinks.indexOf('mnt')], -1);
});

test('where there is no procfs, the error says so', async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'proc'));
  const unavailable = (error: unknown): boolean => error instanceof NsfleetError && error.code === 'PROC_UNAVAILABLE';
  await assert.rejects(native.scan({ proc: join(directory.path, 'missing') }), unavailable);
  await assert.rejects(native.scan({ proc: join(directory.path, 'proc') }), unavailable);
});

test('a buffer that is too small grows to what the host needs', async () => {
  const small = await builtNative({ scanRows: { processes: 1, namespaces: 1 } });
  const grown = await small.scan();
  const usual = await native.scan();
  assert.ok(Math.abs(grown.processes.length - usual.processes.length) < 20);
  assert.ok(grown.namespaces.length >= 8);
});

test('processes that end during a scan are left out whole', async () => {
  const churn = spawn('sh', ['-c', 'while :; do unshare -U true; true | true | true; done'], { stdio: 'ignore' });
  try {
    const before = openDescriptors().length;
    for (let round = 0; round < 40; round++) {
      const scan = await native.scan();
      assert.ok(scan.processes.every(({ pid, comm }) => pid > 0 && comm !== ''));
      const blank = scan.processes.filter(({ state, ns }) => state !== 'Z' && ns.every((index) => index < 0));
      const { EACCES, EPERM, other } = scan.counts.unreadable;
      assert.ok(blank.length <= EACCES + EPERM + other, blank.map(({ pid, comm }) => `${pid} ${comm}`).join(', '));
      assert.equal(new Set(scan.namespaces.map((row) => `${row.type}:${row.inode}`)).size, scan.namespaces.length);
    }
    assert.equal(openDescriptors().length, before);
  } finally {
    const ended = once(churn, 'exit');
    churn.kill('SIGKILL');
    await ended;
  }
});

test('scans at the same time do not disturb each other', async () => {
  const scans = await Promise.all(Array.from({ length: 8 }, () => native.scan()));
  for (const scan of scans) assert.equal(namespaceOf(scan, process.pid, 'net').inode, statSync('/proc/self/ns/net').ino);
});

test(
  'what an unprivileged scanner may not read is counted, not fatal',
  { skip: process.geteuid?.() !== 0 && 'needs root to become nobody' },
  () => {
    const script = `const { loadNative } = await import('#native/binding.ts');
    const { counts, processes } = await loadNative().scan();
    console.log(JSON.stringify({ counts, self: processes.find((row) => row.pid === process.pid) }));`;
    const place = mkdtempSync(join(tmpdir(), 'nsfleet-scan-'));
    chmodSync(place, 0o755);
    const { file, args, cwd } = asNobody(place, ['--input-type=module', '-e', script]);
    const text = execFileSync(file, args, { cwd, encoding: 'utf8' });
    rmdirSync(place);
    const { counts, self } = JSON.parse(text) as { counts: Scan['counts']; self: ProcessRow };
    assert.ok(counts.unreadable.EACCES > 0);
    assert.equal(self.uid, 65534);
    assert.ok(self.ns.slice(0, 8).every((index) => index >= 0));
  },
);
