/** What has not run since the last scan is not read again: every scan must tell what a scan without memory tells. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findCompiler, run } from '#native/compiler.mjs';
import { namespaceLinks } from '#native/types.ts';
import type { ProcessRow, Scan } from '#native/types.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { builtNative, comm, running, sleeps, temporaryDirectory } from './fixture.ts';

leakCheck();
const native = await builtNative();
const skip = process.geteuid?.() !== 0 && 'needs root';

function rowOf(scan: Scan, pid: number): ProcessRow {
  const row = scan.processes.find((process) => process.pid === pid);
  assert.ok(row, `pid ${pid} is in the scan`);
  return row;
}

/** The parent of every kernel thread. */
const kthreadd = 2;

/** All that a row says, namespaces by what they are. But for its state: one may have woken up and not run yet. */
function told(scan: Scan, row: ProcessRow): unknown {
  const spaces = row.ns.map((index) => scan.namespaces[index]).map((space) => space && describe(scan, space));
  // What a worker of the kernel is called says whether it works at this moment, and it never leaves the first namespaces.
  const comm = row.ppid === kthreadd ? '' : row.comm;
  return { ...row, state: '', comm, ns: spaces };
}

function describe(scan: Scan, { type, inode, dev, id, ownerUid, parentIndex, ownerIndex }: Scan['namespaces'][number]): unknown {
  return { type, inode, dev, id, ownerUid, parent: scan.namespaces[parentIndex]?.id, owner: scan.namespaces[ownerIndex]?.id };
}

test('a scan with memory tells what one without it tells of every process', async () => {
  await using _child = await running(['unshare', '-Ur', '--net', '--uts', 'sleep', '60'], sleeps);
  for (let round = 0; round < 3; round++) await native.scan();
  const before = await native.scan({ fresh: true });
  const scan = await native.scan();
  const after = await native.scan({ fresh: true });
  let compared = 0;
  for (const row of before.processes) {
    const later = after.processes.find(({ pid }) => pid === row.pid);
    if (later === undefined || JSON.stringify(told(after, later)) !== JSON.stringify(told(before, row))) continue;
    assert.deepEqual(told(scan, rowOf(scan, row.pid)), told(before, row));
    compared += 1;
  }
  assert.ok(compared > 5, `compared ${compared} processes`);
  for (const [index, space] of scan.namespaces.entries()) {
    const members = scan.processes.filter(({ ns }) => ns[namespaceLinks.indexOf(space.type)] === index);
    assert.equal(space.processCount, members.length);
    assert.equal(space.leaderPid, members[0]?.pid ?? 0);
  }
  assert.equal(new Set(scan.namespaces.map((space) => `${space.type}:${space.inode}`)).size, scan.namespaces.length);
});

test('what a remembered process does after all is seen: another namespace, name, user', { skip }, async () => {
  const script = 'read go; exec unshare --uts setpriv --reuid 65534 --clear-groups sleep 60';
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'inherit'] });
  const pid = child.pid ?? 0;
  try {
    for (let round = 0; round < 3; round++) assert.equal(rowOf(await native.scan(), pid).comm, 'sh');
    const old = await native.scan();
    const uts = namespaceLinks.indexOf('uts');
    const before = old.namespaces[rowOf(old, pid).ns[uts] ?? -1];
    child.stdin.write('\n');
    while (!sleeps(pid)) await new Promise((resolve) => setImmediate(resolve));
    const scan = await native.scan();
    const row = rowOf(scan, pid);
    assert.deepEqual({ comm: row.comm, uid: row.uid }, { comm: 'sleep', uid: 65534 });
    const now = scan.namespaces[row.ns[uts] ?? -1];
    assert.notEqual(now?.id, before?.id);
    assert.equal(now?.processCount, 1);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});

/** Where the grandchild goes when its parent ends. */
async function orphaned(zombie: boolean): Promise<void> {
  // The outer shell does not wait for the inner one when that is to stay a zombie.
  const outer = zombie ? 'sh -c "$1" & exec sleep 60' : 'sh -c "$1"; exec sleep 60';
  const inner = 'sleep 60 & echo $$ $!; kill -STOP $$';
  const child = spawn('sh', ['-c', outer, 'sh', inner], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  try {
    const [parent = 0, orphan = 0] = String((await once(child.stdout, 'data'))[0])
      .trim()
      .split(' ')
      .map(Number);
    while (!sleeps(orphan)) await new Promise((resolve) => setImmediate(resolve));
    for (let round = 0; round < 3; round++) assert.equal(rowOf(await native.scan(), orphan).ppid, parent);
    process.kill(parent, 'SIGKILL');
    while (ppidOf(orphan) === parent || stateOf(parent) !== (zombie ? 'Z' : undefined))
      await new Promise((resolve) => setImmediate(resolve));
    const scan = await native.scan();
    assert.equal(scan.processes.find(({ pid }) => pid === parent)?.state, zombie ? 'Z' : undefined);
    assert.equal(rowOf(scan, orphan).ppid, ppidOf(orphan));
    assert.equal(rowOf(await native.scan(), orphan).ppid, ppidOf(orphan));
  } finally {
    const ended = once(child, 'close');
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await ended;
  }
}

function ppidOf(pid: number): number {
  return Number(statOf(pid)[1]);
}

/** Undefined: it is gone. */
function stateOf(pid: number): string | undefined {
  try {
    return statOf(pid)[0];
  } catch {
    return undefined;
  }
}

function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

test('a remembered process whose parent has ended has another one', () => orphaned(false));
test('also where the parent stays a zombie', () => orphaned(true));

test('a thread may rename another one: processes with threads are read each time', async () => {
  const script = `const { writeFileSync } = require('node:fs'); process.title = 'first';
    process.stdin.on('data', () => { writeFileSync('/proc/' + process.pid + '/comm', 'second'); console.log('done'); }); console.log('ready');`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    for (let round = 0; round < 3; round++) assert.equal(rowOf(await native.scan(), child.pid ?? 0).comm, comm(child.pid ?? 0));
    child.stdin.write('\n');
    await once(child.stdout, 'data');
    assert.equal(rowOf(await native.scan(), child.pid ?? 0).comm, 'second');
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});

test('most is remembered, and an inode number that has passed on is found out', async (context) => {
  using directory = temporaryDirectory();
  const compiler = await findCompiler({ work: directory.path, log: () => undefined });
  const home = fileURLToPath(new URL('../../native/', import.meta.url));
  const sources = ['scan', 'proc_list', 'scan_process', 'scan_table', 'proc_stat', 'proc_text', 'proc_open', 'nsfs', 'error'];
  const program = join(directory.path, 'probe');
  const probe = fileURLToPath(new URL('scan-memory-probe.c', import.meta.url));
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', `-I${home}`];
  const files = [probe, ...sources.map((name) => join(home, `${name}.c`))];
  await run([...compiler.command, ...compiler.target('library'), ...flags, ...files, '-o', program], { what: 'compile the probe' });
  const id = (await native.scan()).namespaces[0]?.id;
  if (id === null) return context.skip('this kernel has no NS_GET_ID, so nothing is remembered');
  await using _one = await running(['sleep', '60'], sleeps);
  await using _other = await running(['sleep', '60'], sleeps);
  const [first, second, third] = execFileSync(program, { encoding: 'utf8' }).split('\n');
  assert.equal(first, '2 of 2');
  assert.equal(second, '116 read_process');
  assert.equal(third, '3 descriptors');
});
