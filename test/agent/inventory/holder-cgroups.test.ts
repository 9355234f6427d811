import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withCgroups } from '#agent/inventory/describe/holder-cgroups.ts';
import { noRows } from '#shared/inventory.ts';
import type { ReportedReference } from '#shared/inventory.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { referenceOf } from '../../controller/store/fixture.ts';

leakCheck();
const dirs = temporaryDirectories();
const cgroups = (references: ReportedReference[], proc?: string) =>
  withCgroups({ ...noRows(), references }, proc).references.map(({ cgroup }) => cgroup);

test('the cgroup of who holds a network namespace, of nobody else', () => {
  const proc = join(dirs.root, 'proc');
  const write = (pid: number, text: string) => {
    mkdirSync(join(proc, String(pid)), { recursive: true });
    writeFileSync(join(proc, String(pid), 'cgroup'), text);
  };
  write(7, '0::/system.slice/docker.service\n');
  write(8, '4:memory:/x\n1:name=systemd:/user.slice/user-1000.slice\n0::/\n');
  write(9, '0::/a\rb:c\\\u001b\n');
  assert.deepEqual(
    cgroups(
      [
        referenceOf('a', 1),
        referenceOf('b', 1, { pid: 8 }),
        referenceOf('c', 1, { pid: 9 }),
        referenceOf('ended', 1, { pid: 10 }),
        referenceOf('d', 1, { type: 'uts' }),
        referenceOf('e', 1, { kind: 'mount', pid: null }),
      ],
      proc,
    ),
    ['/system.slice/docker.service', '/user.slice/user-1000.slice', '/a\rb:c\\\\\u001b', null, null, null],
  );
});

test('as this kernel tells it of this process', () => {
  const [cgroup] = cgroups([referenceOf('a', 1, { pid: process.pid })]);
  const paths = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .filter((line) => /^0:|:name=systemd:/.test(line));
  assert.ok(
    paths.some((line) => line.endsWith(`:${cgroup}`)),
    `${cgroup} of ${paths.join(', ')}`,
  );
});
