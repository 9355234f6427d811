/** Reaping in other mount namespaces, of which real processes made what is found there. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { takeSteps } from '#agent/namespaces/reap.ts';
import { noFuse, slowFuse } from '#test/native/fixture.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { keepTools } from './keep-parts.ts';

leakCheck();
const dirs = temporaryDirectories();
const { native, parts, scan } = keepTools(dirs);

test('what a file system holds that never answers is refused with a code of its own', { skip: noFuse }, async () => {
  mkdirSync(join(dirs.root, 'fuse'));
  await using _left = { [Symbol.asyncDispose]: untilAllEnd };
  await using fuse = await slowFuse('hang', join(dirs.root, 'fuse'));
  const model = await scan();
  const inside = [...model.namespaces.values()].find(({ type, leader }) => type === 'mnt' && leader?.pid === fuse.pid);
  assert.ok(inside);
  const step = { action: 'unmount', path: fuse.held, mountNamespace: inside.key } as const;
  const taken = await takeSteps(parts(), model, { type: 'uts', key: 'id:1', steps: [step], done: false, refused: null });
  assert.deepEqual([taken.steps, taken.done], [[], false]);
  assert.match(taken.refused ?? '', /^unmount \/.*: open .*: ETIMEDOUT \(110\) \(MOUNT_UNRESPONSIVE\)$/);
});

/** What was left behind is reaped by the next search once it can end. */
async function untilAllEnd(): Promise<void> {
  const found = await native.mounts([{ pid: process.pid }]);
  if ('unkillable_children' in found.hidden) await untilAllEnd();
}
