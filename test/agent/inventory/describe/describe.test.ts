/** Real namespaces of this host, described by the real library. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createDescriber } from '#agent/inventory/describe/describe.ts';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { loadNative } from '#native/binding.ts';
import { ReportedNamespace } from '#shared/inventory.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const native = loadNative();
/** iproute2 is not part of a minimal Debian. */
const hasIp = spawnSync('ip', ['-V']).error === undefined;

async function scan(): Promise<Model> {
  return buildModel(await native.scan(), new Map(), () => '', 0).model;
}

/** A shell in new namespaces that has run `setUp`; ends with the test. */
async function shell(t: TestContext, flags: string[], setUp: string): Promise<number> {
  const child = spawn('unshare', [...flags, 'sh', '-c', `${setUp}; echo ready; read x`], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

function namespaceOf(model: Model, pid: number, type: NamespaceType): ReportedNamespace {
  const row = [...model.namespaces.values()].find((namespace) => namespace.type === type && namespace.leader?.pid === pid);
  assert.ok(row, `${type} of ${pid}`);
  return ReportedNamespace.parse(row);
}

test('what each type is like inside', async (t) => {
  const pid = await shell(t, ['-mnuiCT', '--boottime', '86400'], 'hostname in-there; mount -t tmpfs none /mnt');
  const user = await shell(t, ['-U', '--map-root-user'], ':');
  const model = await createDescriber({ native }).describe(await scan(), { refresh: false });
  const details = (type: NamespaceType) => namespaceOf(model, pid, type).details;
  assert.deepEqual(details('uts'), { hostname: 'in-there' });
  assert.deepEqual(details('net'), { links: 1, addresses: 0, routes: 0, listening: 0 });
  assert.deepEqual(details('time'), { monotonicOffsetNs: '0', boottimeOffsetNs: '86400000000000' });
  assert.equal(details('mnt')?.rootPropagation, 'private');
  assert.ok((details('mnt')?.mounts ?? 0) > 3);
  assert.match(details('cgroup')?.cgroupRoot ?? '', /^\//);
  const maps = namespaceOf(model, user, 'user').details;
  assert.deepEqual(maps, {
    uidMap: [{ inside: 0, outside: 0, count: 1 }],
    gidMap: [{ inside: 0, outside: 0, count: 1 }],
    setgroups: 'deny',
  });
});

test('this process’s own uts namespace has the host name, and nobody has moved', async () => {
  const before = native.relate({ path: '/proc/self/ns/uts' }).inode;
  const model = await createDescriber({ native }).describe(await scan(), { refresh: true });
  const own = [...model.namespaces.values()].find(({ type, inode }) => type === 'uts' && inode === before);
  assert.equal(own?.details?.hostname, hostname());
  assert.equal(native.relate({ path: '/proc/self/ns/uts' }).inode, before);
});

test('a pid namespace knows its init', async (t) => {
  const pid = await shell(t, ['-p', '--fork', '--kill-child'], ':');
  const model = await createDescriber({ native }).describe(await scan(), { refresh: false });
  const row = [...model.namespaces.values()].find(({ details }) => details?.initPid !== undefined && details.initPid > pid);
  assert.equal(row?.type, 'pid');
  assert.equal(row?.details?.initPid, row?.leader?.pid);
});

test('the two ends of a veth know each other by number', { skip: hasIp ? false : 'ip(8) is not installed' }, async (t) => {
  const pid = await shell(t, ['-n'], ':');
  execFileSync('ip', ['link', 'add', 'nsftest0', 'type', 'veth', 'peer', 'name', 'nsftest1', 'netns', String(pid)]);
  // It goes with the namespace; the command waits for that.
  t.after(() => spawnSync('ip', ['link', 'del', 'nsftest0']));
  const model = await createDescriber({ native }).describe(await scan(), { refresh: true });
  const there = namespaceOf(model, pid, 'net');
  const here = [...model.namespaces.values()].find(
    ({ type, inode }) => type === 'net' && inode === native.relate({ path: '/proc/self/ns/net' }).inode,
  );
  assert.equal(there.details?.links, 2);
  assert.deepEqual(
    there.details.peers?.map(({ key }) => key),
    [here?.key],
  );
  assert.ok(here?.details?.peers?.some(({ key }) => key === there.key));
});

test('names of ip-netns are those of the mounts in its directory, and of nothing else there', async (t) => {
  const pid = await shell(t, ['-n'], ':');
  const netnsDirectory = mkdtempSync(join(dirs.root, 'netns'));
  for (const name of ['blue', 'no-mount']) writeFileSync(join(netnsDirectory, name), '');
  // ip-netns(8) itself would leave /run/netns mounted behind.
  execFileSync('mount', ['--bind', `/proc/${pid}/ns/net`, join(netnsDirectory, 'blue')]);
  t.after(() => execFileSync('umount', [join(netnsDirectory, 'blue')]));
  const model = await createDescriber({ native, netnsDirectory }).describe(await scan(), { refresh: false });
  const named = [...model.namespaces.values()].filter(({ names }) => names.some(({ source }) => source === 'ip-netns'));
  assert.deepEqual(
    named.map(({ type, leader, names }) => [type, leader?.pid, names[0]]),
    [['net', pid, { source: 'ip-netns', name: 'blue' }]],
  );
});

test('what was read is kept until it settles, is another process’s, or is to be refreshed', async (t) => {
  const pid = await shell(t, ['-u'], 'hostname first');
  let now = 0;
  const describer = createDescriber({ native, nowMs: () => now });
  const model = await scan();
  const nameNow = async (refresh: boolean) => namespaceOf(await describer.describe(model, { refresh }), pid, 'uts').details?.hostname;
  assert.equal(await nameNow(false), 'first');
  execFileSync('nsenter', ['-t', String(pid), '-u', 'hostname', 'second']);
  assert.equal(await nameNow(false), 'first');
  assert.equal(describer.settlesInMs(), 1500);
  now = 1600;
  assert.equal(await nameNow(false), 'second');
  assert.equal(describer.settlesInMs(), null);
  execFileSync('nsenter', ['-t', String(pid), '-u', 'hostname', 'third']);
  now = 10_000;
  assert.equal(await nameNow(false), 'second');
  assert.equal(await nameNow(true), 'third');
});

test('a namespace that has ended since the scan says so, and the others are told all the same', async (t) => {
  const pid = await shell(t, ['-u'], 'hostname stays');
  const model = await scan();
  const gone = namespaceOf(model, pid, 'uts');
  const ended: ReportedNamespace = { ...gone, key: 'id:1', leader: { pid: 4_194_303, uid: 0, comm: 'x', command: '' } };
  const namespaces = new Map([...model.namespaces, ['uts id:1', ended]]);
  const described = await createDescriber({ native }).describe({ ...model, namespaces }, { refresh: false });
  assert.match(described.namespaces.get('uts id:1')?.details?.unread?.[0] ?? '', /^inside: ENOENT/);
  assert.equal(namespaceOf(described, pid, 'uts').details?.hostname, 'stays');
});

test('a descriptor of another namespace than was scanned is refused', async (t) => {
  const pid = await shell(t, ['-u'], ':');
  const model = await scan();
  const row = namespaceOf(model, pid, 'uts');
  const wrong: ReportedNamespace = { ...row, key: 'id:1', inode: row.inode + 1 };
  const described = await createDescriber({ native }).describe(
    { ...model, namespaces: new Map([['uts id:1', wrong]]) },
    { refresh: false },
  );
  assert.match(described.namespaces.get('uts id:1')?.details?.unread?.[0] ?? '', /there is something else by now/);
});
