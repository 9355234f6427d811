import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transact } from '#controller/store/client.ts';
import { appendEvents, readEvents } from '#controller/store/events.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { applyReport } from '#controller/store/reports.ts';
import { applyRetention, makeDays } from '#controller/store/retention.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, namespaceOf, readyHost, refusedWith, reportOf, select } from './fixture.ts';
import type { FreshStore } from './fixture.ts';

leakCheck();

const dayMs = 86_400_000;
const day = (ms: number) => new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');

async function leaves({ store }: FreshStore): Promise<string[]> {
  const rows = await select<{ name: string }>(
    store,
    `select inhrelid::regclass::text as name from pg_inherits where inhparent in ('namespaces'::regclass, 'events'::regclass) order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** Ended and told so many days ago. */
async function age({ store }: FreshStore, hours: number): Promise<void> {
  await select(
    store,
    `update namespaces set first_seen = first_seen - $1 * interval '1 hour', ended_at = ended_at - $1 * interval '1 hour'`,
    [hours],
  );
  await select(store, `update events set at = at - $1 * interval '1 hour'`, [hours]);
}

test('days are made ahead, take what belongs to them, and go when they are too old', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const nowMs = Date.now();
  const { made } = await applyRetention(store, { days: 30, nowMs });
  assert.equal(made.length, 16);
  assert.deepEqual(
    await applyRetention(store, { days: 30, nowMs }),
    { made: [], dropped: [], deleted: 0 },
    'a second time nothing is to do',
  );
  const hello = await readyHost(store, 'a');
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [namespaceOf('net', 1), namespaceOf('net', 2)] }));
  await applyReport(store, reportOf(hello, 2, 'delta', { namespacesGone: [{ type: 'net', key: 'id:1' }] }));
  const of = (table: string) => select(store, `select tableoid::regclass::text as leaf, count(*)::int from ${table} group by 1 order by 1`);
  assert.deepEqual(await of('namespaces'), [
    { leaf: `namespaces_${day(nowMs)}`, count: 1 },
    { leaf: 'namespaces_current', count: 1 },
  ]);
  const events = await of('events');
  assert.deepEqual(
    events.map((row) => Object.values(row)[0]),
    [`events_${day(nowMs)}`],
  );

  const later = await applyRetention(store, { days: 30, nowMs: nowMs + 31 * dayMs });
  assert.deepEqual(later.dropped, [`namespaces_${day(nowMs)}`, `events_${day(nowMs)}`].toSorted().toReversed());
  const { namespaces } = await listNamespaces(store.db, { limit: 10, ended: true });
  assert.deepEqual(
    namespaces.map(({ key }) => key),
    ['id:2'],
    'what is current stays, however old',
  );
  assert.equal((await leaves(fresh)).includes(`events_${day(nowMs + dayMs)}`), true, 'the day after is young enough');
});

test('who resumes where events were dropped is told so; from 0 is the oldest that is kept', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const nowMs = Date.now();
  await makeDays(store, nowMs - 40 * dayMs, nowMs);
  await transact(store, (tx) => appendEvents(tx, [{ type: 'old' }, { type: 'older' }]));
  await age(fresh, 40 * 24);
  await transact(store, (tx) => appendEvents(tx, [{ type: 'new' }]));
  await applyRetention(store, { days: 30, nowMs });
  await assert.rejects(readEvents(store.db, { since: '1', limit: 10 }), refusedWith('EVENTS_EXPIRED'));
  for (const since of ['0', '2']) {
    const { events, last } = await readEvents(store.db, { since, limit: 10 });
    assert.deepEqual([events.map(({ type }) => type), last], [['new'], '3']);
  }
});

test('what lies in the default leaf is deleted by age; a day that has rows there is passed over', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const nowMs = Date.now();
  const hello = await readyHost(store, 'a');
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [namespaceOf('net', 1), namespaceOf('net', 2)] }));
  await applyReport(store, reportOf(hello, 2, 'delta', { namespacesGone: [{ type: 'net', key: 'id:1' }] }));
  const { made } = await applyRetention(store, { days: 30, nowMs });
  assert.equal(made.includes(`events_${day(nowMs)}`), false);
  assert.equal(made.includes(`events_${day(nowMs + dayMs)}`), true);
  await select(
    store,
    `update namespaces set first_seen = first_seen - interval '40 days', ended_at = ended_at - interval '40 days' where ended_at < 'infinity'`,
  );
  await select(store, `update events set at = at - interval '40 days'`);
  const told = await select(store, 'select from events');
  const { deleted } = await applyRetention(store, { days: 30, nowMs });
  assert.equal(deleted, 1 + told.length);
  assert.deepEqual(await select(store, 'select from events'), []);
  assert.equal((await select(store, 'select from namespaces')).length, 1);
});

test('of two controllers one keeps house', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const client = await store.pool.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock(7234150, 2)');
    assert.deepEqual(await applyRetention(store, { days: 30, nowMs: Date.now() }), { made: [], dropped: [], deleted: 0 });
    await client.query('rollback');
  } finally {
    client.release();
  }
  assert.equal((await select(store, 'select from namespace_marks')).length, 0);
  await applyRetention(store, { days: 30, nowMs: Date.now() });
  await applyRetention(store, { days: 30, nowMs: Date.now() });
  assert.equal((await select(store, 'select from namespace_marks')).length, 1, 'one mark a minute');
});
