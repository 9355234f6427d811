/** Questions that are answered from /proc: mounts and pids, with real namespaces. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { findMounts, matches } from '#agent/inventory/find-mounts.ts';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { parseMountinfo } from '#agent/inventory/mount-table.ts';
import { translatePid } from '#agent/inventory/translate-pid.ts';
import { loadNative } from '#native/binding.ts';
import { MountsAnswer, PidsAnswer } from '#shared/messages.ts';
import { refusedWith } from '#test/controller/store/fixture.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const native = loadNative();

async function scan(): Promise<Model> {
  return buildModel(await native.scan(), new Map(), () => '', 0).model;
}

async function shell(t: TestContext, flags: string[], setUp: string): Promise<void> {
  const child = spawn('unshare', [...flags, 'sh', '-c', `${setUp}; echo ready; read x`], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
}

test('a mount that exists in another mount namespace only is found, by source, path and type', async (t) => {
  await shell(t, ['-m'], 'mount -t tmpfs nsf-find-me /mnt');
  const model = await scan();
  for (const query of [{ source: 'nsf-find-me' }, { target: '/mnt', fsType: 'tmpfs', source: 'nsf-find-me' }]) {
    const found = MountsAnswer.parse(await findMounts(model, { limit: 1000, ...query }));
    assert.deepEqual(
      found.mounts.map(({ target, fsType, comm }) => [target, fsType, comm]),
      [['/mnt', 'tmpfs', 'sh']],
    );
    assert.equal(found.truncated, false);
  }
  const few = await findMounts(model, { target: '/', limit: 3 });
  assert.deepEqual([few.mounts.length, few.truncated], [3, true]);
});

test('a path matches itself and what lies below it, not what begins alike', () => {
  const [row] = parseMountinfo(Buffer.from('1 0 8:1 / /data/a rw - fuse.sshfs me@there: rw\n'));
  assert.ok(row);
  for (const query of [
    { target: '/data' },
    { target: '/data/a' },
    { target: '/' },
    { fsType: 'fuse.' },
    { source: '8:1' },
    { source: 'me@there:' },
  ])
    assert.equal(matches(row, { limit: 1, ...query }), true, JSON.stringify(query));
  for (const query of [{ target: '/dat' }, { target: '/data/a/b' }, { fsType: 'fuse' }, { source: '8:11' }])
    assert.equal(matches(row, { limit: 1, ...query }), false, JSON.stringify(query));
});

test('a pid is translated down and up, through two pid namespaces', async (t) => {
  await shell(t, ['-p', '--fork', '--kill-child', 'unshare', '-p', '--fork', '--kill-child'], 'exec 3</dev/null');
  const model = await scan();
  const parentOf = (key: string | null) => model.namespaces.get(`pid ${key}`)?.parent ?? null;
  // Other test files have pid namespaces too: ours is the shell two below this process's own.
  const own = native.relate({ path: '/proc/self/ns/pid' });
  const top = [...model.namespaces.values()].find(({ type, inode }) => type === 'pid' && inode === own.inode)?.key;
  const innermost = [...model.namespaces.values()].find(
    ({ type, parent, leader }) => type === 'pid' && leader?.comm === 'sh' && top !== undefined && parentOf(parent) === top,
  );
  assert.ok(innermost);
  const down = PidsAnswer.parse(translatePid(model, innermost.leader?.pid ?? 0, null));
  assert.equal(down.pids.length, 3);
  assert.deepEqual(down.pids.at(-1), { namespace: innermost.key, pid: 1 });
  assert.deepEqual(down.pids.at(-2)?.namespace, innermost.parent);
  const middle = down.pids.at(-2);
  assert.deepEqual(translatePid(model, 1, innermost.key), down);
  assert.deepEqual(translatePid(model, middle?.pid ?? 0, middle?.namespace ?? ''), down);
});

test('what is not there is refused', async () => {
  const model = await scan();
  assert.throws(() => translatePid(model, 4_194_303, null), refusedWith('PROCESS_NOT_FOUND'));
  assert.throws(() => translatePid(model, 1, 'id:9'), refusedWith('NAMESPACE_NOT_FOUND'));
});
