import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents } from '#controller/store/events.ts';
import { recordHello } from '#controller/store/hosts.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyReport } from '#controller/store/reports.ts';
import type { Store } from '#controller/store/client.ts';
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, namespaceOf, processOf, readyHost, referenceOf, reportOf, select } from './fixture.ts';

leakCheck();

const net = namespaceOf('net', 1);
const mnt = namespaceOf('mnt', 2);

async function told(store: Store, type: string): Promise<Record<string, unknown>[]> {
  const { events } = await readEvents(store.db, { since: '0', limit: 1000 });
  return events.filter((event) => event.type === type).map((event) => event.detail);
}

test('every kind of reference is a holder, with all that is known of it', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const references = [
    referenceOf('m', 1, {
      kind: 'mount',
      pid: null,
      start: null,
      fd: null,
      uid: null,
      comm: null,
      path: '/run/netns/b\n',
      mountNamespace: 'id:2',
    }),
    referenceOf('s', 1, { kind: 'socket', fd: 9, detail: 'inet stream 127.0.0.1:80' }),
    referenceOf('t', 1, { kind: 'thread', tid: 71, fd: null }),
    referenceOf('f', 1),
    referenceOf('u', 1, { kind: 'tun', fd: 5, detail: 'tun0' }),
    referenceOf('tf', 1, { kind: 'thread_fd', tid: 72, fd: 4 }),
  ];
  const hidden = { counts: { ...reportOf(hello, 1, 'snapshot').counts, hidden: { fd_eacces: 2 }, partial: true } };
  await applyReport(store, {
    ...reportOf(hello, 1, 'snapshot', { namespaces: [net, mnt], processes: [processOf(7)], references }),
    ...hidden,
  });
  const found = await findNamespace(store.db, { namespace: 'id:1' });
  assert.deepEqual([found.referenceCount, found.partial], [6, true]);
  const order = [2, 3, 5, 1, 4, 0].map((at) => references[at]!);
  assert.deepEqual(
    found.holders,
    order.map(({ kind, pid, start, tid, fd, uid, comm, path, mountNamespace, detail }) => {
      const { since } = found.holders[0]!;
      assert.ok(since !== null);
      return { kind, pid, start, tid, fd, uid, comm, path, mountNamespace, detail, since, namespace: null };
    }),
  );
});

test('no row is written where nothing changed; what holds something else now, holds it since now', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const rows = { namespaces: [net, mnt], references: [referenceOf('f', 1), referenceOf('g', 1, { fd: 4 })] };
  await applyReport(store, reportOf(hello, 1, 'snapshot', rows));
  const versions = () =>
    select<{ id: string; xmin: string; since: string }>(store, 'select id, xmin::text, since::text from reference_holders order by id');
  const before = await versions();
  await applyReport(store, reportOf(hello, 2, 'snapshot', rows));
  await applyReport(store, reportOf(hello, 3, 'delta', rows));
  assert.deepEqual(await versions(), before);
  await applyReport(
    store,
    reportOf(hello, 4, 'delta', { references: [referenceOf('f', 1, { comm: 'renamed' }), referenceOf('g', 2, { type: 'mnt' })] }),
  );
  const after = await versions();
  assert.equal(after[0]?.since, before[0]?.since);
  assert.notEqual(after[1]?.since, before[1]?.since);
  const [lost, ...others] = await told(store, 'holder.lost');
  assert.deepEqual(others, []);
  assert.deepEqual(lost, { type: 'net', key: 'id:1', holder: { kind: 'fd', pid: 7, fd: 4, uid: 0, comm: 'holder' } });
});

test('a holder is lost while its namespace lives on, and not where the namespace went too', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const references = [referenceOf('f', 1), referenceOf('g', 3, { fd: 4 }), referenceOf('h', 3, { fd: 5 })];
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [net, namespaceOf('net', 3)], references }));
  const gone = [{ type: 'net' as const, key: 'id:3' }];
  await applyReport(store, reportOf(hello, 2, 'delta', { namespacesGone: gone, referencesGone: ['g', 'f'] }));
  assert.deepEqual(
    (await told(store, 'holder.lost')).map((row) => row['key']),
    ['id:1'],
  );
  await applyReport(store, reportOf(hello, 3, 'delta', { namespaces: [{ ...net, processCount: 0, leader: null }] }));
  const [, last] = await told(store, 'holder.lost');
  assert.deepEqual(last, { type: 'net', key: 'id:1', inode: net.inode, holder: { kind: 'process' }, heldBy: 'references only' });
  assert.deepEqual(await told(store, 'namespace.changed'), [], 'the count of processes alone is no change');
  await applyReport(store, reportOf(hello, 4, 'snapshot', { namespaces: [net] }));
  assert.deepEqual(await select(store, 'select from reference_holders'), []);
  await applyReport(store, reportOf(hello, 5, 'delta', { references: [referenceOf('f', 1)] }));
  await recordHello(store, { ...hello, bootId: crypto.randomUUID(), epoch: 2 });
  assert.deepEqual(await select(store, 'select from reference_holders'), [], 'a reboot forgets them');
});

test('names and insides are shown, and a change of them is told with old and new', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const leader = { pid: 7, uid: 0, comm: 'a', command: 'a b' };
  const names = [{ source: 'ip-netns' as const, name: 'blue\n' }];
  const details: NamespaceDetails = { links: 1, listening: 2, peers: [{ netnsid: 0, key: null }] };
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [{ ...net, leader, names, details }] }));
  const { namespaces } = await listNamespaces(store.db, { limit: 10, ended: false });
  assert.deepEqual([namespaces[0]?.names, namespaces[0]?.details], [names, details]);
  const next = { ...net, leader: { ...leader, pid: 8 }, names: [], details: { links: 1, listening: 3, routes: 4 }, processCount: 5 };
  await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: [next] }));
  await applyReport(store, reportOf(hello, 3, 'delta', { namespaces: [{ ...next, processCount: 6 }] }));
  const changes = (await told(store, 'namespace.changed')).map((row) => row['changed']);
  assert.deepEqual(changes, [
    {
      leader: { from: leader, to: { ...leader, pid: 8 } },
      names: { from: names, to: [] },
      'details.listening': { from: 2, to: 3 },
      'details.routes': { from: null, to: 4 },
      'details.peers': { from: details.peers, to: null },
    },
  ]);
});
