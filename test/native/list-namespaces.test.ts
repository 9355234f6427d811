/** listns(2), where the kernel has it, and namespaces by their ids. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { before, test } from 'node:test';
import type { Native } from '#native/binding.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { builtNative } from './fixture.ts';

leakCheck();
const skip = process.geteuid?.() !== 0 && 'needs root';

let native: Native;
before(async () => {
  native = await builtNative();
});

test('every namespace of a scan is on the list', { skip }, async (context) => {
  const listed = native.listNamespaces();
  if (listed === null) return context.skip('this kernel has no listns(2)');
  const ids = new Set(listed);
  for (const { id, type, inode } of (await native.scan()).namespaces) assert.ok(id === null || ids.has(id), `${type}:[${inode}]`);
});

test('a namespace is described by its id, and an id of none by nothing', { skip }, async () => {
  const own = native.relate({ path: '/proc/self/ns/net' });
  const found = await native.openNamespaces([own.id ?? '1', '18446744073709551000']);
  // Before 6.19, which has listns(2), a file handle without the inode is nobody's: nothing is found, and nothing fails.
  if (native.listNamespaces() === null) return assert.deepEqual(found.namespaces, []);
  const row = found.namespaces.find(({ type }) => type === 'net');
  assert.deepEqual([row?.inode, row?.id], [statSync('/proc/self/ns/net').ino, own.id]);
  assert.ok(
    found.namespaces.every(({ type }) => type === 'net' || type === 'user'),
    'and its owners',
  );
  assert.deepEqual(found.references, []);
});
