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

/** Events after the number `since`, oldest first, at most `limit`. */
export async function readEvents(tx: Tx, { since, limit }: { since: string; limit: number }): Promise<Event[]> {
  return rowsOf<Event>(
    tx,
    'read events',
    sql`select seq::text as seq, ${iso(sql`at`)} as at, type, host_id as "hostId", sandbox_id as "sandboxId",
        namespace_id::text as "namespaceId", detail
      from events where seq > ${since}::bigint order by events.seq limit ${limit}`,
  );
}
