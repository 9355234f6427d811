import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMountinfo, propagationText } from '#agent/inventory/mount-table.ts';

test('every line of this process’s own table is read, as findmnt reads it', () => {
  const bytes = readFileSync('/proc/self/mountinfo');
  const rows = parseMountinfo(bytes);
  assert.equal(rows.length, bytes.toString().trimEnd().split('\n').length);
  const found = JSON.parse(
    execFileSync('findmnt', ['--json', '--list', '-o', 'ID,TARGET,SOURCE,FSTYPE,PROPAGATION'], { encoding: 'utf8' }),
  ) as {
    filesystems: { id: number; target: string; fstype: string; propagation: string }[];
  };
  for (const { id, target, fstype, propagation } of found.filesystems) {
    const row = rows.find(({ mountId }) => mountId === id);
    assert.deepEqual([row?.target, row?.fsType, propagationText(row?.propagation ?? [])], [target, fstype, propagation]);
  }
});

test('paths with spaces, newlines, backslashes and no UTF-8 are exact', () => {
  const line = Buffer.from('36 35 0:4 net:[4026532000] /a\\040b\\012c\\134d\xff rw shared:1 master:2 - nsfs nsfs rw\n', 'latin1');
  const [row] = parseMountinfo(line);
  assert.deepEqual(row, {
    mountId: 36,
    parentId: 35,
    device: '0:4',
    root: 'net:[4026532000]',
    target: '/a b\nc\\\\d\\xff',
    options: 'rw',
    propagation: ['shared:1', 'master:2'],
    fsType: 'nsfs',
    source: 'nsfs',
    superOptions: 'rw',
  });
  assert.equal(propagationText(row?.propagation ?? []), 'shared,slave');
});

test('no bytes make it fail, and half a line is none', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseMountinfo(bytes)));
  assert.deepEqual(parseMountinfo(Buffer.from('36 35 0:4 / /mnt rw shared:1 - ext4')), []);
});
