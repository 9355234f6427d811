/** What rules found: found leaks are rows that stay, with when they were cleared. Written by leaks/, which decides. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { Leak, LeakRule } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { findHost } from './hosts.ts';
import { iso } from './time.ts';

export type LeakQuery = {
  limit: number;
  cursor?: string | undefined;
  host?: string | undefined;
  rule?: LeakRule | undefined;
  /** those that were cleared too */
  all: boolean;
};

/** Newest first. */
export async function listLeaks(tx: Tx, query: LeakQuery): Promise<{ rows: Leak[]; nextCursor: string | null }> {
  const attempted = 'list leaks';
  const conditions: SQL[] = [query.all ? sql`true` : sql`l.cleared_at is null`];
  if (query.host !== undefined) conditions.push(sql`l.host_id = ${(await findHost(tx, query.host)).id}`);
  if (query.rule !== undefined) conditions.push(sql`l.rule = ${query.rule}`);
  if (query.cursor !== undefined) conditions.push(sql`l.id < ${numberCursor(query.cursor, attempted)}::bigint`);
  const found = await rowsOf<Leak>(
    tx,
    attempted,
    sql`select l.id::text, l.rule, l.host_id as "hostId", h.name as "hostName", l.subject, ${iso(sql`l.since`)} as since,
        ${iso(sql`l.found_at`)} as "foundAt", ${iso(sql`l.cleared_at`)} as "clearedAt",
        l.detail ->> 'reason' as reason, l.detail -> 'pins' as pins, l.detail - 'reason' - 'pins' - 'namespace' as detail,
        case when l.namespace_id is not null then l.detail -> 'namespace' || jsonb_build_object('id', l.namespace_id::text) end as namespace
      from leaks l join hosts h on h.id = l.host_id
      where ${sql.join(conditions, sql` and `)} order by l.id desc limit ${query.limit + 1}`,
  );
  const rows = found.slice(0, query.limit);
  return { rows, nextCursor: found.length > query.limit ? (rows.at(-1)?.id ?? null) : null };
}
