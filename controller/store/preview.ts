/** What placing a sandbox would find, without placing it. Nothing is locked: by the time of the commit it may have changed. */
import { sql } from 'drizzle-orm';
import type { IdRange } from '#shared/sandbox.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { repeated, slot } from './place.ts';
import type { PlaceOutcome, PlaceWish } from './place.ts';

/** The sandbox that this idempotency key has made, or null. IDEMPOTENCY_KEY_REUSED where it was another request. */
export function findRepeated(tx: Tx, wish: Pick<PlaceWish, 'name' | 'idempotencyKey' | 'requestHash'>): Promise<PlaceOutcome | null> {
  return repeated(tx, wish);
}

/** The slot that a sandbox on this host would get now: its id range, null where its agent is unprivileged. Null where it has no room. */
export async function nextSlot(tx: Tx, hostId: string): Promise<{ idRange: IdRange | null } | null> {
  const [row] = await rowsOf<{ start: string | null; size: number }>(
    tx,
    'look for a free id range',
    sql`with ${slot(hostId)} select start::text as start, size from slot`,
  );
  if (row === undefined) return null;
  return { idRange: row.start === null ? null : { start: Number(row.start), count: row.size } };
}
