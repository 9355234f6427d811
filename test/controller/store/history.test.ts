import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffHosts } from '#controller/diff-hosts.ts';
import type { Store } from '#controller/store/client.ts';
import { diffNamespaces, namesOnHost, sameInode } from '#controller/store/history.ts';
import { recordHello } from '#controller/store/hosts.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyReport } from '#controller/store/reports.ts';
import { applyRetention } from '#controller/store/retention.ts';
import type { ReportedNamespace } from '#shared/inventory.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, namespaceOf, readyHost, referenceOf, reportOf, select } from './fixture.ts';

leakCheck();

/** The database's clock, as exact as it is. */
async function moment(store: Store): Promise<string> {
  const [row] = await select<{ at: string }>(store, 'select clock_timestamp()::text as at');
  return row?.at ?? '';
}

async function whole(store: Store, at: string, host: string, limit = 3): Promise<Awaited<ReturnType<typeof listNamespaces>>['namespaces']> {
  const all = [];
  let cursor: string | undefined;
  do {
    const page: Awaited<ReturnType<typeof listNamespaces>> = await listNamespaces(store.db, { limit, cursor, host, at, ended: false });
    all.push(...page.namespaces);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return all;
}

const state: fc.Arbitrary<ReportedNamespace[]> = fc
  .uniqueArray(fc.nat(5), { maxLength: 6 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc
          .record({
            comm: fc.option(fc.constantFrom('a', 'b')),
            links: fc.option(fc.nat(2)),
            owner: fc.option(fc.constant('id:9')),
            count: fc.nat(2),
          })
          .map(({ comm, links, owner, count }) =>
            namespaceOf('net', id, {
              leader: comm === null ? null : { pid: 1, uid: 0, comm, command: comm },
              details: links === null ? null : { links },
              owner,
              processCount: count,
            }),
          ),
      ),
    ),
  )
  .map((rows) => [...rows]);

const shown = ({ key, leader, details, owner }: Pick<ReportedNamespace, 'key' | 'leader' | 'details' | 'owner'>) => ({
  key,
  leader,
  details,
  owner,
});
const byKey = (rows: readonly Parameters<typeof shown>[0][]) => rows.map(shown).toSorted((a, b) => (a.key < b.key ? -1 : 1));

test('at any moment of a random history the list is what was there, as it was, in pages too', { timeout: 120_000 }, async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await applyRetention(store, { days: 30, nowMs: Date.now() });
  await fc.assert(
    fc.asyncProperty(fc.array(state, { minLength: 2, maxLength: 8 }), fc.boolean(), async (states, reboots) => {
      const host = randomUUID();
      let hello = await readyHost(store, host);
      const moments: string[] = [];
      for (const [at, namespaces] of states.entries()) {
        if (reboots && at === 2) {
          hello = { ...hello, bootId: randomUUID(), epoch: 2 };
          await recordHello(store, hello);
        }
        await applyReport(store, reportOf(hello, at + 1, 'snapshot', { namespaces: structuredClone(namespaces) }));
        moments.push(await moment(store));
      }
      for (const [at, namespaces] of states.entries()) {
        // Nobody watched from its last report until the reboot: its end is that report, and this moment is later.
        if (reboots && at === 1 && states.length > 2) continue;
        assert.deepEqual(byKey(await whole(store, moments[at]!, host)), byKey(structuredClone(namespaces)), `at ${at}`);
      }
    }),
    { numRuns: 25 },
  );
});

test('marks bound what is read, and leave nothing out', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const add = (seq: number) =>
    applyReport(store, reportOf(hello, seq, seq === 1 ? 'snapshot' : 'delta', { namespaces: [namespaceOf('net', seq)] }));
  const mark = (ago: string) =>
    select(store, `insert into namespace_marks select now() - $1::interval, last_value from namespaces_id_seq`, [ago]);
  await add(1);
  await select(store, `update namespaces set first_seen = first_seen - interval '3 hours'`);
  await mark('150 minutes');
  await add(2);
  await select(store, `update namespaces set first_seen = first_seen - interval '2 hours' where key = 'id:2'`);
  await mark('1 hour');
  await add(3);
  const keys = async (ago: string) => {
    const [{ at } = { at: '' }] = await select<{ at: string }>(store, `select (now() - $1::interval)::text as at`, [ago]);
    return (await whole(store, at, 'a')).map(({ key }) => key);
  };
  assert.deepEqual(await keys('4 hours'), []);
  assert.deepEqual(await keys('151 minutes'), ['id:1']);
  assert.deepEqual(await keys('90 minutes'), ['id:1', 'id:2']);
  assert.deepEqual(await keys('30 minutes'), ['id:1', 'id:2']);
  assert.deepEqual(await keys('0 minutes'), ['id:1', 'id:2', 'id:3']);
});

test('what is different between two moments, and of whom nothing stayed', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const [stays, changes, goes, comes] = [1, 2, 3, 4].map((id) => namespaceOf('net', id, { details: { links: 1 } }));
  const between = namespaceOf('net', 5);
  const report = (seq: number, namespaces: ReportedNamespace[]) => applyReport(store, reportOf(hello, seq, 'snapshot', { namespaces }));
  await report(1, [stays!, changes!, goes!]);
  const from = await moment(store);
  await report(2, [stays!, changes!, between]);
  await report(3, [stays!, { ...changes!, details: { links: 2 } }, comes!]);
  const to = await moment(store);
  await report(4, [{ ...comes!, details: { links: 9 } }]);
  const diff = await diffNamespaces(store.db, { from, to, hostId: 'a', type: 'net' }, 10);
  assert.deepEqual(diff.counts, { before: 3, after: 3, added: 1, removed: 1, between: 1, changed: 1 });
  assert.deepEqual([diff.added.map(shown), diff.removed.map(shown)], [[shown(comes!)], [shown(goes!)]], 'as they were then');
  assert.deepEqual(
    diff.changed.map(({ namespace, changes: what }) => [namespace.key, what]),
    [['id:2', { 'details.links': { from: 1, to: 2 } }]],
  );
  const other = await diffNamespaces(store.db, { from, to, type: 'mnt' }, 10);
  assert.deepEqual(other.counts, { before: 0, after: 0, added: 0, removed: 0, between: 0, changed: 0 });
});

test('one inode, many namespaces; a reboot begins new ones; an end that nobody saw is marked', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const net = (generation: number) => ({ ...namespaceOf('net', 0), key: `ino:5.${generation}`, inode: 5 });
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [net(0)] }));
  await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: [net(1)], namespacesGone: [{ type: 'net', key: 'ino:5.0' }] }));
  const again = { ...hello, bootId: randomUUID(), epoch: 2 };
  await recordHello(store, again);
  await applyReport(store, reportOf(again, 1, 'snapshot', { namespaces: [net(0)] }));
  const found = await findNamespace(store.db, { namespace: 'ino:5.0' });
  const intervals = await sameInode(store.db, found);
  assert.deepEqual(
    intervals.map(({ key, current, endUnseen, bootId }) => [key, current, endUnseen, bootId === again.bootId]),
    [
      ['ino:5.0', false, false, false],
      ['ino:5.1', false, true, false],
      ['ino:5.0', true, false, true],
    ],
  );
});

test('two hosts are compared by what people call their namespaces', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const called = (id: number, comm: string | null, name?: string) =>
    namespaceOf('net', id, {
      leader: comm === null ? null : { pid: id + 1, uid: 0, comm, command: comm },
      names: name === undefined ? [] : [{ source: 'docker', name }],
    });
  const left = [called(1, 'nginx'), called(2, 'nginx'), called(3, 'sh', 'web'), called(4, null)];
  const right = [called(7, 'nginx'), called(8, 'sh', 'db'), called(9, null)];
  await applyReport(store, reportOf(await readyHost(store, 'a'), 1, 'snapshot', { namespaces: left, references: [referenceOf('f', 4)] }));
  await applyReport(store, reportOf(await readyHost(store, 'b'), 1, 'snapshot', { namespaces: right, references: [referenceOf('f', 9)] }));
  const names = (host: string) => namesOnHost(store.db, host, null, 'net');
  const { same, groups } = diffHosts(await names('a'), await names('b'));
  assert.equal(same, 2);
  assert.deepEqual(
    groups.map(({ by, name, left: one, right: other, leftIds, rightIds }) => [by, name, one, other, leftIds.length, rightIds.length]),
    [
      ['leader', 'nginx', 2, 1, 2, 1],
      ['name', 'docker:web', 1, 0, 1, 0],
      ['name', 'docker:db', 0, 1, 0, 1],
    ],
  );
});
