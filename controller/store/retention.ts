/**
 * Leaves of the partitioned tables: one a day, made ahead and dropped when all that is in them is too old. A drop costs the same for ten
 * rows and ten million. What no leaf of a day takes (a controller that slept for weeks, a database of before) lies in the default leaf and is
 * deleted by age. One controller at a time; each step is a transaction of its own that gives up where it would have to wait for long.
 */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { databaseCode } from './database-error.ts';
import { dropStalePages } from './report-pages.ts';

const dayMs = 86_400_000;
/** A database without a controller for so long still has leaves when one comes back. */
const aheadDays = 7;
/** Rows of a default leaf that one statement deletes. */
const deletedAtOnce = 10_000;
/** Making or dropping a leaf waits so long for readers and writers of the table, then lets them pass and tries again next time. */
const lockMs = 2000;
/** SQLSTATE: rows of that day are in the default leaf already, and stay there; or another wanted the lock for long. */
const passedOver = ['23514', '55P03'];

const partitioned = [
  { table: 'namespaces', by: 'ended_at', rest: 'namespaces_past' },
  { table: 'events', by: 'at', rest: 'events_default' },
] as const;
type Partitioned = (typeof partitioned)[number];

export type Retention = { days: number; nowMs: number };
export type RetentionDone = { made: string[]; dropped: string[]; deleted: number };

/** Notes the newest number, makes the leaves of the days to come, drops what is older than `days` days and what agents began to report and did not end. */
export async function applyRetention(store: Store, { days, nowMs }: Retention): Promise<RetentionDone> {
  const done: RetentionDone = { made: [], dropped: [], deleted: 0 };
  const before = new Date(startOfDay(nowMs) - days * dayMs);
  await alone(store, markNow);
  done.made = await makeDays(store, startOfDay(nowMs), startOfDay(nowMs) + aheadDays * dayMs);
  for (const kind of partitioned) {
    for (const leaf of await daysBefore(store.db, kind, before)) {
      if (await alone(store, (tx) => drop(tx, kind, leaf))) done.dropped.push(leaf);
    }
    done.deleted += await deleteRest(store, kind, before);
  }
  await alone(store, (tx) => forgetSmall(tx, before));
  await alone(store, dropStalePages);
  return done;
}

/** Makes the missing leaves of all days from one to another, both included, in milliseconds; gives their names. */
export async function makeDays(store: Store, fromMs: number, toMs: number): Promise<string[]> {
  const made: string[] = [];
  for (let day = startOfDay(fromMs); day <= toMs; day += dayMs) {
    for (const kind of partitioned) {
      const leaf = leafOf(kind, day);
      const [there] = await rowsOf<{ found: boolean }>(store.db, 'look for a day', sql`select to_regclass(${leaf}) is not null as found`);
      if (there?.found === true) continue;
      if (await alone(store, (tx) => make(tx, kind, leaf, day))) made.push(leaf);
    }
  }
  return made;
}

/** In a transaction under the lock of retention. False where another controller has it, or the step was passed over. */
async function alone(store: Store, step: (tx: Tx) => Promise<void>): Promise<boolean> {
  try {
    return await transact(
      store,
      async (tx) => {
        const [lock] = await rowsOf<{ got: boolean }>(tx, 'apply retention', sql`select pg_try_advisory_xact_lock(7234150, 2) as got`);
        if (lock?.got !== true) return false;
        await rowsOf(tx, 'apply retention', sql.raw(`set local lock_timeout = ${lockMs}`));
        await step(tx);
        return true;
      },
      'apply retention',
    );
  } catch (error) {
    if (passedOver.includes(databaseCode(error) ?? '')) return false;
    throw error;
  }
}

/** Attached, not created in place: that lets readers and writers of the table go on. */
async function make(tx: Tx, { table }: Partitioned, leaf: string, day: number): Promise<void> {
  const attempted = `make ${leaf}`;
  const there = await rowsOf(tx, attempted, sql`select where to_regclass(${leaf}) is not null`);
  if (there.length > 0) return;
  const bounds = sql.raw(`from ('${new Date(day).toISOString()}') to ('${new Date(day + dayMs).toISOString()}')`);
  await rowsOf(tx, attempted, sql`create table ${name(leaf)} (like ${name(table)} including defaults including constraints)`);
  await rowsOf(tx, attempted, sql`alter table ${name(table)} attach partition ${name(leaf)} for values ${bounds}`);
}

async function daysBefore(tx: Tx, { table }: Partitioned, before: Date): Promise<string[]> {
  const rows = await rowsOf<{ leaf: string }>(
    tx,
    'list the days',
    sql`select c.relname as leaf from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = ${table}::regclass order by 1`,
  );
  const last = dayText(before.getTime());
  return rows.map(({ leaf }) => leaf).filter((leaf) => /_[0-9]{8}$/.test(leaf) && leaf.slice(-8) < last);
}

async function drop(tx: Tx, { table }: Partitioned, leaf: string): Promise<void> {
  const attempted = `drop ${leaf}`;
  if (table === 'events') await noteDropped(tx, sql`select max(seq) from ${name(leaf)}`);
  await rowsOf(tx, attempted, sql`drop table if exists ${name(leaf)}`);
}

/** Nobody can resume before that any more. */
async function noteDropped(tx: Tx, newest: SQL): Promise<void> {
  await rowsOf(tx, 'note the dropped events', sql`update events_dropped set seq = greatest(seq, coalesce((${newest}), 0))`);
}

async function deleteRest(store: Store, { table, by, rest }: Partitioned, before: Date): Promise<number> {
  let deleted = 0;
  for (let last = deletedAtOnce; last === deletedAtOnce; deleted += last) {
    last = 0;
    await alone(store, async (tx) => {
      const old = sql`ctid = any(array(select ctid from ${name(rest)} where ${name(by)} < ${before.toISOString()}::timestamptz limit ${deletedAtOnce}))`;
      const rows = await rowsOf<{ key: string }>(
        tx,
        `delete from ${rest}`,
        sql`delete from ${name(rest)} where ${old} returning ${name(table === 'events' ? 'seq' : 'id')}::text as key`,
      );
      last = rows.length;
      const newest = rows.reduce((most, { key }) => (BigInt(key) > most ? BigInt(key) : most), 0n);
      if (table === 'events' && last > 0) await noteDropped(tx, sql`select ${newest.toString()}::bigint`);
    });
  }
  return deleted;
}

/** One a minute, whoever comes first. */
async function markNow(tx: Tx): Promise<void> {
  await rowsOf(
    tx,
    'mark the newest number',
    sql`insert into namespace_marks (at, last_id) select now(), last_value from namespaces_id_seq
      where not exists (select from namespace_marks where at > now() - interval '50 seconds') on conflict do nothing`,
  );
}

async function forgetSmall(tx: Tx, before: Date): Promise<void> {
  const time = sql`${before.toISOString()}::timestamptz`;
  await rowsOf(tx, 'forget old leaks', sql`delete from leaks where cleared_at < ${time}`);
  await rowsOf(tx, 'forget old marks', sql`delete from namespace_marks where at < ${time}`);
}

function startOfDay(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs;
}

function dayText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
}

function leafOf({ table }: Partitioned, day: number): string {
  return `${table}_${dayText(day)}`;
}

/** Names of ours only: letters, digits and underscores. */
function name(identifier: string): SQL {
  return sql`${sql.identifier(identifier)}`;
}
