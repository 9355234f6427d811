/**
 * The one ordered sequence of what happened.
 *
 * A reader goes on after the last number that it saw, so no number may become visible while a smaller one can still be committed. The
 * default of `events.seq` (next_event_seq() in the migration) takes the numbers under a transaction-level advisory lock. The price: from its
 * first event to the end of its commit, with the flush to disk, a transaction is alone in that; so events are inserted last. With ten at
 * once on two cores and a disk that flushes in 1.7 ms: 375 transactions a second with an event, 1,190 without (test/bench/store.ts). Where
 * that is too slow, collect events in a second table and let one transaction move many of them here: readers need not change.
 */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { Event } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { iso } from './time.ts';

export type NewEvent = {
  type: string;
  hostId?: string | null;
  sandboxId?: string | null;
  /** Our number of the namespace. */
  namespaceId?: string | null;
  detail?: Readonly<Record<string, unknown>>;
};

/** To be the last statement of the transaction, or part of it; see above. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await rowsOf(tx, 'append events', insertEvents(events));
}

/** The insert alone, to be a `with` part of a larger statement. */
export function insertEvents(events: readonly NewEvent[]): SQL {
  const rows = events.map((event) => ({
    type: event.type,
    host_id: event.hostId ?? null,
    sandbox_id: event.sandboxId ?? null,
    namespace_id: event.namespaceId ?? null,
    detail: event.detail ?? {},
  }));
  return sql`insert into events (type, host_id, sandbox_id, namespace_id, detail)
    select type, host_id, sandbox_id, namespace_id, detail
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (type text, host_id text, sandbox_id uuid, namespace_id bigint, detail jsonb)`;
}

export type EventQuery = {
  /** Those after that number. */
  since: string;
  limit: number;
  /** Beginnings of types: `namespace.`, `leak.found`. */
  types?: readonly string[] | undefined;
  hostId?: string | undefined;
  sandboxId?: string | undefined;
  namespaceIds?: readonly string[] | undefined;
  /** RFC 3339: not before that, and before this. */
  from?: string | undefined;
  to?: string | undefined;
};

/** `last`: all events up to that number were looked at; read on from there. `atEnd`: it was the newest. */
export type EventPage = { events: Event[]; last: string; atEnd: boolean };

/** The number before that of the first event at a moment or later (RFC 3339); where there is none yet, that of the newest. */
export async function numberBefore(tx: Tx, moment: string): Promise<string> {
  const [row] = await rowsOf<{ seq: string }>(
    tx,
    'find the events of a moment',
    sql`select coalesce(
        (select greatest(e.seq - 1, d.seq) from events e, events_dropped d where e.at >= ${moment}::timestamptz order by e.seq limit 1),
        (select seq from events order by seq desc limit 1), (select seq from events_dropped))::text as seq`,
  );
  return row?.seq ?? '0';
}

/** Of types alone no index knows: a statement looks at so many events, which takes a fraction of a second, and the caller goes on. */
const lookedAtMax = 200_000;

/** Events after the number `since`, oldest first, at most `limit`. EVENTS_EXPIRED where some after it were dropped; 0 is the oldest kept. */
export async function readEvents(tx: Tx, query: EventQuery): Promise<EventPage> {
  const { since, limit, types, hostId, sandboxId, namespaceIds, from, to } = query;
  const indexed = hostId !== undefined || sandboxId !== undefined || namespaceIds !== undefined;
  const lookedAt = types === undefined || indexed ? null : lookedAtMax;
  const conditions = [sql`e.seq > ${since}::bigint`];
  if (lookedAt !== null) conditions.push(sql`e.seq <= greatest(${since}::bigint, state.dropped::bigint) + ${lookedAt}::int`);
  if (types !== undefined) conditions.push(sql`exists (select from unnest(${sql.param(types)}::text[]) t where starts_with(e.type, t))`);
  if (hostId !== undefined) conditions.push(sql`e.host_id = ${hostId}`);
  if (sandboxId !== undefined) conditions.push(sql`e.sandbox_id = ${sandboxId}::uuid`);
  if (namespaceIds !== undefined) conditions.push(sql`e.namespace_id = any(${sql.param(namespaceIds)}::bigint[])`);
  if (from !== undefined) conditions.push(sql`e.at >= ${from}::timestamptz`);
  if (to !== undefined) conditions.push(sql`e.at < ${to}::timestamptz`);
  // One statement, so one picture: what is not in it was committed later, and has a larger number than all that is.
  const rows = await rowsOf<(Event | { seq: null }) & { head: string; dropped: string }>(
    tx,
    'read events',
    sql`select found.*, state.head, state.dropped
      from (select coalesce((select seq from events order by seq desc limit 1), 0)::text as head, seq::text as dropped from events_dropped) state
      left join lateral (
        select e.seq::text as seq, ${iso(sql`e.at`)} as at, e.type, e.host_id as "hostId", e.sandbox_id as "sandboxId",
          e.namespace_id::text as "namespaceId", e.detail
        from events e where ${sql.join(conditions, sql` and `)} order by e.seq limit ${limit}
      ) found on true
      order by found.seq::bigint`,
  );
  const { head = '0', dropped = '0' } = rows[0] ?? {};
  if (BigInt(since) > 0n && BigInt(since) < BigInt(dropped)) {
    throw new NsfleetError('EVENTS_EXPIRED', {
      attempted: 'read events after',
      target: since,
      reason: `those up to ${dropped} were dropped`,
    });
  }
  const events = rows.filter((row): row is Event & { head: string; dropped: string } => row.seq !== null);
  const first = BigInt(since) > BigInt(dropped) ? BigInt(since) : BigInt(dropped);
  const reached = lookedAt === null || first + BigInt(lookedAt) > BigInt(head) ? BigInt(head) : first + BigInt(lookedAt);
  const full = events.length === limit ? events.at(-1)?.seq : undefined;
  const last = full ?? (reached > BigInt(since) ? reached.toString() : since);
  return { events: events.map(({ head: _head, dropped: _dropped, ...event }) => event), last, atEnd: BigInt(last) >= BigInt(head) };
}
