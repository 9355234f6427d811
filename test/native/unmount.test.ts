/** Unmounting where a hostile file system is on the way: nobody waits for it, and what hangs on it is known. */
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { NativeError } from '#native/native-error.ts';
import { Fd } from '#native/handles.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { builtNative, children, noFuse, openDescriptors, slowFuse, temporaryDirectory } from './fixture.ts';

leakCheck();

/** Well above what a call takes at most, below which nothing of the file system's may be waited for. */
const patienceMs = 30_000;

function refusedAt(step: string, errname: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NativeError, String(error));
    assert.deepEqual([error.code, error.step, error.errname], ['MOUNT_UNRESPONSIVE', step, errname]);
    return true;
  };
}

test(
  'a file system that never answers is not waited for; its children are left behind, a bounded number, until it ends',
  { skip: noFuse },
  async () => {
    const native = await builtNative();
    using directory = temporaryDirectory();
    const descriptors = openDescriptors().length;
    {
      await using fuse = await slowFuse('hang', directory.path);
      const around = children().length;
      using mountNamespace = new Fd(openSync(`/proc/${fuse.pid}/ns/mnt`, 'r'));
      const unmount = (): Promise<void> => native.unmount({ path: fuse.held, mountNamespace, inode: 1, id: null });
      for (let round = 0; round < 4; round++) {
        const late = sleep(patienceMs, 'waits', { ref: false });
        await assert.rejects(Promise.race([unmount(), late]), refusedAt('open', 'ETIMEDOUT'));
      }
      assert.equal(children().length - around, 4);
      await assert.rejects(unmount(), refusedAt('left_children', 'EBUSY'));
      const { hidden } = await native.mounts([{ pid: process.pid }]);
      assert.equal(hidden['unkillable_children'], 4);
    }
    const deadline = Date.now() + patienceMs;
    for (let left = 1; left > 0 && Date.now() < deadline;)
      left = (await native.mounts([{ pid: process.pid }])).hidden['unkillable_children'] ?? 0;
    assert.deepEqual(children(), []);
    assert.equal(openDescriptors().length, descriptors);
  },
);
