import assert from 'node:assert/strict';
import { closeSync, openSync, statSync } from 'node:fs';
import { before, test } from 'node:test';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { NativeError } from '#native/native-error.ts';
import { namespaceLinks } from '#native/types.ts';
import { builtNative, openDescriptors, running, sleeps } from './fixture.ts';

let native: Native;
before(async () => {
  native = await builtNative();
});

function fails(errname: string, step: string): (error: unknown) => boolean {
  return (error) => error instanceof NativeError && error.errname === errname && error.step === step;
}

test('a namespace is the same by process, path and descriptor', () => {
  for (const type of namespaceLinks) {
    const path = `/proc/self/ns/${type}`;
    const byPath = native.relate({ path });
    using fd = new Fd(openSync(path, 'r'));
    assert.deepEqual(native.relate({ pid: process.pid, type }), byPath);
    assert.deepEqual(native.relate({ fd }), byPath);
    const about = statSync(path);
    assert.deepEqual([byPath.inode, byPath.dev, byPath.type], [about.ino, about.dev, type.replace('_for_children', '')]);
  }
});

test('a nested user namespace has the outer one as parent and owner', async () => {
  await using child = await running(['unshare', '-Ur', '-n', 'sleep', '60'], sleeps);
  const outer = native.relate({ pid: process.pid, type: 'user' });
  const user = native.relate({ pid: child.pid, type: 'user' });
  const net = native.relate({ pid: child.pid, type: 'net' });
  const expected = { inode: outer.inode, id: outer.id };
  assert.deepEqual([user.parent, user.owner, user.ownerUid], [expected, expected, process.geteuid?.()]);
  assert.deepEqual([net.parent, net.owner, net.ownerUid], [null, { inode: user.inode, id: user.id }, null]);
});

test('what is no namespace is refused', () => {
  assert.throws(() => native.relate({ path: '/proc/self/status' }), fails('EINVAL', 'check_nsfs'));
  assert.throws(() => native.relate({ path: '/proc/self/ns/none' }), fails('ENOENT', 'open'));
  const number = openSync('/dev/null', 'r');
  const fd = new Fd(number);
  assert.throws(() => native.relate({ fd }), fails('EINVAL', 'check_nsfs'));
  closeSync(fd.take());
});

test('no descriptor is left open', () => {
  const before = openDescriptors().length;
  for (let round = 0; round < 500; round++) native.relate({ pid: process.pid, type: 'pid' });
  assert.equal(openDescriptors().length, before);
});
