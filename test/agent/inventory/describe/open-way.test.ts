/** What a hostile process may put where a namespace was: it must not be opened. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWay } from '#agent/inventory/describe/open-way.ts';
import type { ReportedNamespace } from '#shared/inventory.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const { ino: inode } = statSync('/proc/self/ns/uts');
const namespace = { type: 'uts', inode } as ReportedNamespace;

test('the namespace itself is opened, behind a link and behind a descriptor', () => {
  const fd = openWay({ path: '/proc/self/ns/uts', namespace });
  const again = openWay({ path: `/proc/${process.pid}/fd/${fd}`, namespace });
  assert.equal(fstatSync(again).ino, inode);
  closeSync(again);
  closeSync(fd);
});

test('a fifo behind the descriptor is not opened: its writer still finds no reader', () => {
  const fifo = join(dirs.root, 'uts:[1]');
  execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', fifo]);
  const held = openSync(fifo, 0o10000000);
  assert.throws(() => openWay({ path: `/proc/${process.pid}/fd/${held}`, namespace }), /something else/);
  assert.throws(() => openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK), { code: 'ENXIO' });
  closeSync(held);
});

test('another namespace is refused, too', () => {
  assert.throws(() => openWay({ path: '/proc/self/ns/net', namespace }), /something else/);
});
