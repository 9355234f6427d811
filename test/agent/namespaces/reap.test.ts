/** Reaping in other mount namespaces, of which real processes made what is found there. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import type { KeepParts } from '#agent/namespaces/keep.ts';
import { takeSteps } from '#agent/namespaces/reap.ts';
import { createTurns } from '#agent/sandbox/turns.ts';
import { loadNative } from '#native/binding.ts';
import { noFuse, slowFuse } from '#test/native/fixture.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const native = loadNative();
const program = native.sealProgram(fileURLToPath(new URL('../../../native/build/nsfleet-shim', import.meta.url)));
after(() => program.close());

let count = 0;
function parts(): KeepParts {
  const base = join(dirs.root, `kept-${count++}`);
  mkdirSync(base);
  return {
    runner: { native, program },
    directories: { netns: join(base, 'netns'), others: join(base, 'ns') },
    generationOf: () => 0,
    turns: createTurns(1),
  };
}

async function scan(): Promise<Model> {
  return buildModel(await native.scan(), new Map(), () => '', 0).model;
}

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
