import assert from 'node:assert/strict';
import { test } from 'node:test';
import { treeRows } from '#controller/cli/namespace/tree.ts';
import type { Processes } from '#controller/cli/namespace/tree.ts';
import type { ReportedProcess } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { namespaceFixture } from './fixtures.ts';

const user = (id: string, parent: string | null, change: Partial<Namespace> = {}) =>
  namespaceFixture({ id, type: 'user', key: `id:${id}`, parent, owner: parent, ...change });
const drawn = (rows: ReturnType<typeof treeRows>) => rows.map(({ row, branch }) => `${branch}${row.id}`);

test('tree by owner: as lsns draws it, user namespaces and what they own', () => {
  const net = (id: string, owner: string) => namespaceFixture({ id, type: 'net', key: `id:${id}`, owner });
  const rows = [
    user('1', null),
    user('2', 'id:1'),
    net('3', 'id:1'),
    net('4', 'id:2'),
    user('5', 'id:2'),
    net('6', 'id:5'),
    net('7', 'id:9'),
  ];
  assert.deepEqual(drawn(treeRows(rows, 'owner')), ['1', '├─2', '│ ├─4', '│ └─5', '│   └─6', '└─3', '7']);
  assert.deepEqual(
    treeRows(rows, 'owner').map(({ above }) => above),
    [null, '1', '2', '2', '5', '1', null],
  );
});

test('tree by parent: only types that have one hang together; hosts and boots stay apart', () => {
  const rows = [user('1', null), user('2', 'id:1'), user('3', 'id:1', { hostId: 'h2', hostName: 'a-first' }), user('4', 'id:2')];
  assert.deepEqual(drawn(treeRows(rows, 'parent')), ['3', '1', '└─2', '  └─4']);
  const otherBoot = user('5', 'id:1', { bootId: '11111111-2222-4333-8444-555555555555' });
  assert.deepEqual(drawn(treeRows([user('1', null), otherBoot], 'parent')), ['1', '5']);
});

test('tree: what was there before under the same key is not the parent; a ring loses no row', () => {
  const past = user('1', null, { current: false });
  const now = { ...user('2', null), key: past.key };
  assert.deepEqual(drawn(treeRows([past, now, user('3', 'id:1')], 'owner')), ['1', '2', '└─3']);
  assert.deepEqual(drawn(treeRows([user('1', 'id:2'), user('2', 'id:1'), user('3', 'id:3')], 'parent')).toSorted(), ['1', '2', '3']);
});

test('tree by process: below the namespace of its type that its leader came from', () => {
  const process = (pid: number, ppid: number, net: string): ReportedProcess => ({
    pid,
    ppid,
    start: '1',
    uid: 0,
    comm: 'x',
    namespaces: namespaceTypes.map((type) => (type === 'net' ? net : null)),
    forChildren: [null, null],
  });
  const list = [
    process(1, 0, 'id:1'),
    process(5, 1, 'id:1'),
    process(6, 5, 'id:2'),
    process(7, 6, 'id:2'),
    process(8, 7, 'id:3'),
    process(9, 77, 'id:4'),
  ];
  const processes: Processes = new Map([['h1', new Map(list.map((one) => [one.pid, one]))]]);
  const net = (id: string, pid: number | null) =>
    namespaceFixture({ id, key: `id:${id}`, leader: pid === null ? null : { pid, uid: 0, comm: 'x', command: 'x' } });
  const rows = [net('1', 1), net('2', 6), net('3', 8), net('4', 9), net('5', null)];
  assert.deepEqual(drawn(treeRows(rows, 'process', processes)), ['1', '└─2', '  └─3', '4', '5']);
  // A ring of parents, which a report of two moments may have.
  const ring: Processes = new Map([['h1', new Map([process(1, 2, 'id:1'), process(2, 1, 'id:1')].map((one) => [one.pid, one]))]]);
  assert.deepEqual(drawn(treeRows([net('1', 1)], 'process', ring)), ['1']);
});

test('tree: a chain of 20,000 is drawn', () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => user(String(index + 1), index === 0 ? null : `id:${index}`));
  const tree = treeRows(rows, 'parent');
  assert.equal(tree.length, rows.length);
  assert.equal(tree.at(-1)?.above, '19999');
});
