import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { readEvents } from '#controller/store/events.ts';
import { findHost, recordBeat, recordHello } from '#controller/store/hosts.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyRetention } from '#controller/store/retention.ts';
import { applyReport } from '#controller/store/reports.ts';
import type { Store } from '#controller/store/client.ts';
import { hostRowsMax } from '#shared/inventory.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, namespaceOf, processOf, readyHost, referenceOf, refusedWith, reportOf, select } from './fixture.ts';

leakCheck();

const net = namespaceOf('net', 1);
const user = namespaceOf('user', 2);

async function keys(store: Store, ended = false): Promise<string[]> {
  const { namespaces } = await listNamespaces(store.db, { limit: 10_000, ended });
  return namespaces.map((row) => `${row.type} ${row.key}`).sort();
}

async function told(store: Store): Promise<string[]> {
  const { events } = await readEvents(store.db, { since: '0', limit: 1000 });
  return events.filter((event) => event.type.startsWith('namespace.')).map((event) => `${event.type} ${String(event.detail['key'])}`);
}

test('a snapshot, a delta, and the end of what a later snapshot does not name', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const sent = async (...args: Parameters<typeof reportOf>) => (await applyReport(store, reportOf(...args))).result;
  assert.equal(await sent(hello, 1, 'snapshot', { namespaces: [net, user], processes: [processOf(1), processOf(2)] }), 'committed');
  assert.deepEqual(await keys(store), ['net id:1', 'user id:2']);
  const gone = { namespacesGone: [{ type: 'net' as const, key: 'id:1' }], processesGone: [{ pid: 2, start: '200' }] };
  assert.equal(await sent(hello, 2, 'delta', { namespaces: [namespaceOf('pid', 3)], ...gone }), 'committed');
  assert.deepEqual(await keys(store), ['pid id:3', 'user id:2']);
  assert.equal(await sent(hello, 5, 'snapshot', { namespaces: [net], processes: [processOf(3)] }), 'committed');
  assert.deepEqual(await keys(store), ['net id:1']);
  assert.deepEqual(await select(store, 'select pid from processes'), [{ pid: 3 }]);
  assert.deepEqual(await keys(store, true), ['net id:1', 'net id:1', 'pid id:3', 'user id:2'], 'a key that comes again is a new interval');
  assert.deepEqual(await told(store), [
    'namespace.appeared id:1',
    'namespace.appeared id:2',
    'namespace.gone id:1',
    'namespace.appeared id:3',
    'namespace.gone id:2',
    'namespace.gone id:3',
    'namespace.appeared id:1',
  ]);
  const host = await findHost(store.db, 'a');
  assert.deepEqual([host.namespaces, host.scan?.processes], [1, 1]);
});

test('no row is written where nothing changed', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const rows = { namespaces: [net, user], processes: [processOf(1)] };
  await applyReport(store, reportOf(hello, 1, 'snapshot', rows));
  const versions = () =>
    select(store, `select id::text, xmin::text from namespaces union all select pid::text, xmin::text from processes order by 1`);
  const before = await versions();
  await applyReport(store, reportOf(hello, 2, 'snapshot', rows));
  await applyReport(store, reportOf(hello, 3, 'delta', rows));
  assert.deepEqual(await versions(), before);
  await applyReport(store, reportOf(hello, 4, 'delta', { namespaces: [{ ...net, processCount: 9 }] }));
  const after = await versions();
  assert.equal(after.filter((row, at) => JSON.stringify(row) !== JSON.stringify(before[at])).length, 1);
});

test('repetitions are committed without writing, gaps ask for the whole, an older agent is refused', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a', { epoch: 4 });
  const first = reportOf(hello, 1, 'snapshot', { namespaces: [net] });
  assert.equal((await applyReport(store, first)).result, 'committed');
  assert.equal((await applyReport(store, { ...first, rows: { ...first.rows, namespaces: [user] } })).result, 'committed');
  assert.equal((await applyReport(store, reportOf(hello, 3, 'delta', { namespaces: [user] }))).result, 'resync');
  const old = await applyReport(store, reportOf({ ...hello, epoch: 3 }, 9, 'snapshot', { namespaces: [user] }));
  assert.deepEqual([old.result, old.code], ['refused', 'REPORT_STALE']);
  const stranger = await applyReport(store, reportOf({ ...hello, hostId: 'nobody' }, 1, 'snapshot'));
  assert.deepEqual([stranger.result, stranger.code], ['refused', 'HOST_NOT_FOUND']);
  assert.deepEqual(await keys(store), ['net id:1']);
});

test('pages are applied together with the last, whoever gets them; what is left of another report is dropped', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const page = (seq: number, at: number, pages = 3) => ({
    ...reportOf(hello, seq, 'snapshot', { namespaces: [namespaceOf('net', seq * 10 + at)], processes: [processOf(seq * 10 + at)] }),
    page: at,
    pages,
  });
  const result = async (report: ReturnType<typeof page>) => (await applyReport(store, report)).result;
  assert.equal(await result(page(1, 0)), 'staged');
  assert.equal(await result(page(1, 0)), 'staged', 'a page twice is a page once');
  assert.equal(await result(page(2, 0)), 'staged', 'the agent gave the first report up');
  assert.equal(await result(page(2, 1)), 'staged');
  assert.deepEqual(await keys(store), []);
  assert.equal(await result(page(1, 2)), 'resync', 'a late page of an older report');
  assert.equal(await result(page(2, 2)), 'committed');
  assert.equal(await result(page(2, 1)), 'committed', 'late: it is in already');
  assert.deepEqual(await keys(store), ['net id:20', 'net id:21', 'net id:22']);
  assert.equal(await result(page(3, 0)), 'staged');
  assert.equal(await result(page(3, 2)), 'resync', 'the page between is lost');
  assert.deepEqual(await keys(store), ['net id:20', 'net id:21', 'net id:22']);
  assert.equal(await result(page(4, 0, 1)), 'committed');
  assert.equal(await result(page(5, 0)), 'staged');
  assert.equal((await select(store, 'select from report_pages')).length, 1);
});

test('a host that says it has more than any host has is refused whole, by a snapshot or piece by piece', { timeout: 120_000 }, async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const rows = (from: number, count: number) => ({
    references: Array.from({ length: count }, (_, at) => referenceOf(`fd ${from + at}`, 1)),
  });
  const max = hostRowsMax.references;
  const half = max / 2;
  const page = (at: number, part: ReturnType<typeof rows>) => ({ ...reportOf(hello, 1, 'snapshot', part), page: at, pages: 3 });
  assert.equal((await applyReport(store, page(0, rows(0, half)))).result, 'staged');
  assert.equal((await applyReport(store, page(1, rows(half, half)))).result, 'staged');
  const refused = await applyReport(store, page(2, rows(max, 1)));
  assert.deepEqual([refused.result, refused.code, refused.reason], ['refused', 'REPORT_TOO_LARGE', `more than ${max} references`]);
  assert.deepEqual(await select(store, 'select from reference_holders'), []);
  await select(
    store,
    `insert into reference_holders (host_id, boot_id, id, kind, type, key)
    select 'a', '${hello.bootId}', n::text, 'fd', 'net', 'id:1' from generate_series(1, ${max - 1}) n`,
  );
  assert.equal((await applyReport(store, { ...reportOf(hello, 2, 'snapshot'), page: 0, pages: 2 })).result, 'staged');
  await select(store, `update agent_sessions set report_boot_id = boot_id, report_epoch = epoch, report_seq = 2`);
  assert.equal((await applyReport(store, reportOf(hello, 3, 'delta', rows(0, 1)))).result, 'committed');
  const more = await applyReport(store, reportOf(hello, 4, 'delta', rows(1, 1)));
  assert.deepEqual([more.result, more.code], ['refused', 'REPORT_TOO_LARGE']);
  assert.deepEqual(await select(store, 'select count(*)::int from reference_holders'), [{ count: max }]);
});

test('pages of a report that goes on no more are dropped, those of one that does are not', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const staged = async (id: string, pages: number) => {
    const hello = await readyHost(store, id);
    for (let page = 0; page < pages; page += 1) await applyReport(store, { ...reportOf(hello, 1, 'snapshot'), page, pages: 9 });
  };
  await staged('left', 2);
  await staged('slow', 2);
  await select(store, `update report_pages set staged_at = now() - interval '11 minutes' where host_id = 'left' or page = 0`);
  await applyRetention(store, { days: 30, nowMs: Date.now() });
  assert.deepEqual(await select(store, 'select host_id, page from report_pages order by page'), [
    { host_id: 'slow', page: 0 },
    { host_id: 'slow', page: 1 },
  ]);
});

test('a reboot ends the old boot as of when it was last seen; the new one starts from nothing', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [net], processes: [processOf(1)] }));
  await select(store, `update namespaces set first_seen = first_seen - interval '3 hours'`);
  await select(store, `update beats set at = now() - interval '2 hours'`);
  const [last] = await select<{ at: string }>(
    store,
    `update agent_sessions set confirmed_at = now() - interval '1 hour' returning confirmed_at::text as at`,
  );
  const again = { ...hello, bootId: randomUUID(), epoch: 2 };
  assert.deepEqual(await recordHello(store, again), { known: true, rebooted: true });
  assert.deepEqual(await select(store, 'select ended_at::text as at, end_is_bound as bound from namespaces'), [
    { at: last?.at, bound: true },
  ]);
  assert.deepEqual(await keys(store), []);
  assert.deepEqual(await select(store, 'select from processes'), []);
  const late = reportOf(hello, 2, 'delta', { namespaces: [user] });
  assert.equal((await applyReport(store, late)).result, 'resync', 'a message of the old boot');
  assert.equal((await applyReport(store, reportOf(again, 1, 'delta', { namespaces: [user] }))).result, 'resync');
  assert.equal((await applyReport(store, reportOf(again, 1, 'snapshot', { namespaces: [net] }))).result, 'committed');
  const { namespaces } = await listNamespaces(store.db, { limit: 10, ended: true });
  assert.deepEqual(
    namespaces.map((row) => [row.bootId === again.bootId, row.current]),
    [
      [false, false],
      [true, true],
    ],
  );
  const types = (await readEvents(store.db, { since: '0', limit: 100 })).events.map((event) => event.type);
  assert.ok(types.includes('host.rebooted'));
});

test('what ended while no agent watched, ended when it was last known to be there', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a', { epoch: 1 });
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [net, user] }));
  await select(store, `update namespaces set first_seen = first_seen - interval '3 hours'`);
  await select(store, `update agent_sessions set confirmed_at = now() - interval '2 hours'`);
  const beat = { v: 1 as const, hostId: 'a', bootId: hello.bootId, epoch: 1, seq: 1, digest: '0'.repeat(32), placements: 0, load1: 0 };
  assert.equal((await recordBeat(store, beat)).known, true);
  const [lastBeat] = await select<{ at: string }>(store, `update beats set at = now() - interval '1 hour' returning at::text`);
  const restarted = { ...hello, epoch: 2 };
  await recordHello(store, restarted);
  await recordBeat(store, { ...beat, epoch: 2 });
  await applyReport(store, reportOf(restarted, 1, 'snapshot', { namespaces: [net] }));
  const ended = await select(store, `select key, ended_at::text as at, end_is_bound as bound from namespaces where ended_at < 'infinity'`);
  assert.deepEqual(ended, [{ key: 'id:2', at: lastBeat?.at, bound: true }], 'the last beat of the agent that had reported it');
  await applyReport(store, reportOf(restarted, 2, 'delta', { namespacesGone: [{ type: 'net', key: 'id:1' }] }));
  const [seen] = await select(
    store,
    `select end_is_bound as bound, ended_at > now() - interval '1 minute' as now from namespaces where key = 'id:1'`,
  );
  assert.deepEqual(seen, { bound: false, now: true });
});

test('hostile text is exact, what no column can hold is refused, and nothing of that report is written', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const comms = ['a) R 1 (', 'x\ny', '\u001b[31mred', '{"a":1}', '",\\}{', 'null', '', 'ünï\u{1f4a9}', "'; drop table hosts; --"];
  const leader = (comm: string, pid: number) => ({ pid, uid: 4_294_967_294, comm, command: comm.repeat(9) });
  const namespaces = comms.map((comm, at) => namespaceOf('net', `1844674407370955161${at}`.slice(0, 20), { leader: leader(comm, at + 1) }));
  const processes = comms.map((comm, at) => processOf(at + 1, { comm, start: '18446744073709551615' }));
  assert.equal((await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces, processes }))).result, 'committed');
  const read = (await listNamespaces(store.db, { limit: 100, ended: false })).namespaces;
  assert.deepEqual(
    read.map((row) => [row.key, row.leader]),
    namespaces.map((row) => [row.key, row.leader]),
  );
  assert.deepEqual(
    (await select<{ comm: string }>(store, 'select comm from processes order by pid')).map((row) => row.comm),
    comms,
  );
  for (const bad of [
    { processes: [processOf(77, { comm: 'nul\0' })] },
    { processes: [processOf(2 ** 40)] },
    { namespaces: [namespaceOf('net', 9, { processCount: 2 ** 40 })] },
  ]) {
    const refused = await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: [user], ...bad }));
    assert.deepEqual([refused.result, refused.code], ['refused', 'INVALID_INPUT']);
  }
  assert.equal((await select(store, 'select from namespaces')).length, comms.length);
  assert.equal((await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: [user, user] }))).result, 'committed', 'twice is once');
});

test('one namespace with all that holds it, by number, key and inode', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const none: (string | null)[] = [null, null, null, null, null, null, null, null];
  const rows = {
    namespaces: [
      namespaceOf('user', 1, { inode: 100 }),
      namespaceOf('user', 2, { inode: 101, parent: 'id:1', owner: 'id:1' }),
      namespaceOf('pid', 3, { inode: 102, owner: 'id:2' }),
    ],
    processes: [
      processOf(7, { namespaces: none.with(4, 'id:2').with(5, 'id:3'), comm: 'init' }),
      processOf(8, { namespaces: none.with(4, 'id:1'), forChildren: ['id:3', null] }),
    ],
  };
  await applyReport(store, reportOf(await readyHost(store, 'a'), 1, 'snapshot', rows));
  await applyReport(store, reportOf(await readyHost(store, 'b'), 1, 'snapshot', rows));
  const find = (namespace: string, more = {}) => findNamespace(store.db, { namespace, ...more });
  const pid = await find('id:3', { host: 'a' });
  const unset = { tid: null, fd: null, path: null, mountNamespace: null, detail: null, since: null, namespace: null };
  const holder = { kind: 'process', pid: 7, start: '700', uid: 0, comm: 'init', ...unset };
  assert.deepEqual(pid.holders, [holder, { ...holder, kind: 'pid_for_children', pid: 8, start: '800', comm: 'sh' }]);
  const inner = await find('101', { host: 'a.example' });
  assert.deepEqual(pid.ownerId, inner.id);
  const owned = { id: pid.id, type: 'pid', key: 'id:3' };
  const owner = { ...unset, kind: 'owner', pid: null, start: null, uid: null, comm: null, since: pid.firstSeen, namespace: owned };
  assert.deepEqual(inner.holders, [holder, owner]);
  const outer = await find(inner.parentId ?? '');
  assert.deepEqual(
    outer.holders.map((row) => row.kind),
    ['process', 'parent', 'owner'],
  );
  await assert.rejects(find('id:3'), refusedWith('NAMESPACE_AMBIGUOUS'));
  await assert.rejects(find('id:99'), refusedWith('NAMESPACE_NOT_FOUND'));
  await assert.rejects(find('id:3', { host: 'a', type: 'net' }), refusedWith('NAMESPACE_NOT_FOUND'));
  await assert.rejects(find('id:3', { host: 'c' }), refusedWith('HOST_NOT_FOUND'));
  await assert.rejects(find('99999999999999999999'), refusedWith('NAMESPACE_NOT_FOUND'));
});

test('namespaces in pages, by host and type', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const many = Array.from({ length: 25 }, (_, at) => namespaceOf(at % 2 === 0 ? 'net' : 'uts', at));
  await applyReport(store, reportOf(await readyHost(store, 'a'), 1, 'snapshot', { namespaces: many }));
  await applyReport(store, reportOf(await readyHost(store, 'b'), 1, 'snapshot', { namespaces: [net] }));
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listNamespaces>> = await listNamespaces(store.db, {
      limit: 4,
      cursor,
      host: 'a',
      type: 'net',
      ended: false,
    });
    seen.push(...page.namespaces.map((row) => row.key));
    cursor = page.nextCursor;
  } while (cursor !== null);
  assert.deepEqual(
    seen,
    many.filter((row) => row.type === 'net').map((row) => row.key),
  );
  await assert.rejects(listNamespaces(store.db, { limit: 4, cursor: 'x', ended: false }), refusedWith('INVALID_INPUT'));
});

test('1,000 namespaces one after another on one inode are 1,000 records', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  await applyReport(store, reportOf(hello, 1, 'snapshot'));
  const before = (seq: number) => (seq === 2 ? [] : [{ type: 'net' as const, key: `ino:5.${seq - 1}` }]);
  for (let seq = 2; seq <= 1001; seq += 1) {
    const rows = { namespaces: [{ ...namespaceOf('net', 0), key: `ino:5.${seq}`, inode: 5 }], namespacesGone: before(seq) };
    assert.equal((await applyReport(store, reportOf(hello, seq, 'delta', rows))).result, 'committed');
  }
  assert.equal((await keys(store, true)).length, 1000);
  assert.equal((await keys(store)).length, 1);
});
