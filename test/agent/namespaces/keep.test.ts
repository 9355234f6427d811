/** Namespaces on files, made by the real shim in directories of the test's own; and next to ip-netns(8), which must see them. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { findKept } from '#agent/namespaces/kept-files.ts';
import { keepExisting, keepNew } from '#agent/namespaces/keep.ts';
import { takeSteps } from '#agent/namespaces/reap.ts';
import { unkeep } from '#agent/namespaces/unkeep.ts';
import { openNamespace } from '#agent/namespaces/open-namespace.ts';
import type { KeptType } from '#shared/act.ts';
import { refusedWith } from '#test/controller/store/fixture.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { keepTools } from './keep-parts.ts';

leakCheck();
const dirs = temporaryDirectories();
const { native, parts, scan } = keepTools(dirs);
const isRoot = process.geteuid?.() === 0 ? false : 'needs root';

test('every type that can be kept is kept, without a process, and goes again without a trace', { skip: isRoot }, async () => {
  const given = parts();
  const types: KeptType[] = ['mnt', 'cgroup', 'uts', 'ipc', 'user', 'net', 'time'];
  const kept = await keepNew(given, { name: 'blue', types }, 'request-1');
  assert.deepEqual(
    kept.map(({ type }) => type),
    types,
  );
  for (const { type, path, inode } of kept) {
    assert.equal(native.relate({ path }).type, type);
    assert.equal(statSync(path).ino, inode);
    assert.notEqual(inode, native.relate({ path: `/proc/self/ns/${type}` }).inode);
  }
  assert.deepEqual(new Set(findKept(given.directories, native, () => 0).map(({ name }) => name)), new Set(['blue']));
  const model = await scan();
  for (const { type, key } of kept) assert.equal((await unkeep(given, model, { type, key, force: false })).length, 1);
  assert.deepEqual(
    findKept(given.directories, native, () => 0),
    [],
  );
  assert.equal(existsSync(join(given.directories.others, 'blue')), false);
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(given.directories.others));
});

test(
  'a repeat of the request finds what it made; another request of that name is refused, and nothing changes',
  { skip: isRoot },
  async () => {
    const given = parts();
    const first = await keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-1');
    assert.deepEqual(await keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-1'), first);
    await assert.rejects(keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-2'), refusedWith('NAMESPACE_NAME_TAKEN'));
    await assert.rejects(keepNew(given, { name: 'blue', types: ['net', 'uts'] }, 'request-3'), refusedWith('NAMESPACE_NAME_TAKEN'));
    assert.equal(findKept(given.directories, native, () => 0).length, 2, 'nothing half made');
    for (const { type, key } of first) await unkeep(given, await scan(), { type, key, force: false });
  },
);

test('a key is that of one request: with other types or another name it is refused, and nothing is made', { skip: isRoot }, async () => {
  const given = parts();
  const first = await keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-1');
  const others = [
    { name: 'blue', types: ['uts'] },
    { name: 'blue', types: ['cgroup'] },
    { name: 'blue', types: ['uts', 'ipc', 'cgroup'] },
    { name: 'red', types: ['uts', 'ipc'] },
  ] as const;
  for (const { name, types } of others)
    await assert.rejects(keepNew(given, { name, types: [...types] }, 'request-1'), refusedWith('IDEMPOTENCY_KEY_REUSED'));
  assert.equal(findKept(given.directories, native, () => 0).length, 2);
  assert.deepEqual(await keepNew(given, { name: 'blue', types: ['ipc', 'uts'] }, 'request-1'), first.toReversed());
  const second = await keepNew(given, { name: 'blue', types: ['cgroup'] }, 'request-2');
  assert.deepEqual(await keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-1'), first, 'both are known still');
  for (const { type, key } of first) await unkeep(given, await scan(), { type, key, force: false });
  await assert.rejects(keepNew(given, { name: 'red', types: ['uts'] }, 'request-2'), refusedWith('IDEMPOTENCY_KEY_REUSED'));
  for (const { type, key } of second) await unkeep(given, await scan(), { type, key, force: false });
  assert.equal(existsSync(join(given.directories.others, 'blue')), false);
});

test('a repeat that comes while the first is being done finds all of it', { skip: isRoot }, async () => {
  const given = parts();
  const keep = (): ReturnType<typeof keepNew> => keepNew(given, { name: 'blue', types: ['uts', 'ipc'] }, 'request-1');
  const [first, second] = await Promise.all([keep(), keep()]);
  assert.deepEqual(first, second);
  for (const { type, key } of first) await unkeep(given, await scan(), { type, key, force: false });
});

test('a file in the way refuses all of it', { skip: isRoot }, async () => {
  const given = parts();
  mkdirSync(given.directories.netns, { recursive: true });
  writeFileSync(join(given.directories.netns, 'blue'), 'mine');
  await assert.rejects(keepNew(given, { name: 'blue', types: ['uts', 'net'] }, 'r'), refusedWith('NAMESPACE_NAME_TAKEN'));
  assert.deepEqual(
    findKept(given.directories, native, () => 0),
    [],
  );
  assert.equal(readFileSync(join(given.directories.netns, 'blue'), 'utf8'), 'mine');
});

async function shell(t: TestContext, flags: string[]): Promise<number> {
  const child = spawn('unshare', [...flags, 'sh', '-c', 'echo ready; read x'], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

test('a namespace that is there gets a name; it is not removed while something lives in it, unless forced', { skip: isRoot }, async (t) => {
  const given = parts();
  const pid = await shell(t, ['-n']);
  const model = await scan();
  const row = [...model.namespaces.values()].find(({ type, leader }) => type === 'net' && leader?.pid === pid);
  assert.ok(row);
  const named = { type: 'net', key: row.key } as const;
  using source = openNamespace(native, model, named);
  const kept = await keepExisting(given, 'red', 'net', source);
  assert.deepEqual([kept.key, kept.inode], [row.key, row.inode]);
  await assert.rejects(keepExisting(given, 'red', 'net', source), refusedWith('NAMESPACE_NAME_TAKEN'));
  await assert.rejects(unkeep(given, model, { ...named, force: false }), refusedWith('NAMESPACE_IN_USE'));
  assert.deepEqual(await unkeep(given, model, { ...named, force: true }), [kept.path]);
  await assert.rejects(unkeep(given, model, { ...named, force: true }), refusedWith('NAMESPACE_NOT_KEPT'));
});

test('an unmount of what is another namespace by now is refused', { skip: isRoot }, async () => {
  const given = parts();
  const [kept] = await keepNew(given, { name: 'blue', types: ['uts'] }, 'r');
  assert.ok(kept);
  const wrong = { path: kept.path, mountNamespace: null, inode: kept.inode + 1, id: null };
  await assert.rejects(native.unmount(wrong), /identify.*ESTALE/);
  await assert.rejects(
    native.unmount({ ...wrong, inode: kept.inode, id: '1' }),
    native.relate({ path: kept.path }).id === null ? /ENOTTY|EINVAL/ : /identify.*ESTALE/,
  );
  await assert.rejects(native.unmount({ ...wrong, path: dirs.root }), /identify.*ESTALE/);
  assert.equal(native.relate({ path: kept.path }).inode, kept.inode);
  await unkeep(given, await scan(), { type: 'uts', key: kept.key, force: false });
});

test(
  'ip netns exec works in what was kept',
  { skip: isRoot || (spawnSync('ip', ['-V']).error !== undefined && 'ip(8) is not installed') },
  async () => {
    const given = parts();
    const [kept] = await keepNew(given, { name: 'blue', types: ['net'] }, 'r');
    assert.ok(kept);
    // ip(8) looks into /run/netns only: in a mount namespace of its own, the test's directory stands there, and nothing of the host's /run.
    const script = `mount --rbind ${given.directories.netns} /run/netns && ip netns exec blue ip -o link && ip netns list`;
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', `mount -t tmpfs tmpfs /run && mkdir /run/netns && ${script}`], {
      encoding: 'utf8',
    });
    assert.match(stdout, /^1: lo: /, stderr);
    assert.match(stdout, /^blue$/m);
    await unkeep(given, await scan(), { type: 'net', key: kept.key, force: false });
  },
);

test(
  'a reap leaves a file on which its namespace is not mounted any more: it is the beginning of another one',
  { skip: isRoot },
  async () => {
    const given = parts();
    mkdirSync(given.directories.netns);
    const path = join(given.directories.netns, 'blue');
    writeFileSync(path, '');
    const steps = [
      { action: 'unmount', path, mountNamespace: null },
      { action: 'unlink', path, mountNamespace: null },
    ] as const;
    const outcome = { type: 'net', key: 'id:1', steps: [...steps], done: false, refused: null } as const;
    const taken = await takeSteps(given, await scan(), { ...outcome, steps: [...steps] });
    assert.deepEqual(taken, { ...outcome, steps: [], refused: 'what held it is not there any more' });
    assert.ok(existsSync(path));
  },
);
