/** Lists of namespaces: now, with the past, or as they were at a moment. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { ReferenceKind } from '#shared/inventory.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { backwards } from './changes.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { findHost } from './hosts.ts';
import { changesAfter } from './namespace-changes.ts';
import { namespaceColumns, namespaceContext, referenceKinds } from './namespace-row.ts';
import { findSandbox } from './sandboxes.ts';

export type NamespaceQuery = {
  limit: number;
  cursor?: string | null | undefined;
  /** id or name */
  host?: string | undefined;
  type?: NamespaceType | undefined;
  /** id, prefix or name: those that it was given */
  sandbox?: string | undefined;
  /** past ones too */
  ended: boolean;
  /** RFC 3339: those that were there then, as they were then; `ended` means nothing beside it */
  at?: string | undefined;
  /** What a filter says that the database can check. */
  narrow?: { hostId?: string; hostName?: string; type?: string; processes?: number };
  /** Counts references by kind. */
  kinds?: boolean;
};

/** With what only filters look at: its age in milliseconds (at the end, or at that moment), its references by kind where they were asked for. */
export type ListedNamespace = Namespace & { ageMs: number; kinds: Partial<Record<ReferenceKind, number>> };

/**
 * A number that no namespace of that moment exceeds: numbers are taken in the order of time, but for transactions that overlap. None of
 * them takes five minutes.
 */
export const largestIdAt = (at: string): SQL =>
  sql`coalesce((select last_id from namespace_marks where at >= ${at}::timestamptz + interval '5 minutes' order by at limit 1),
    9223372036854775807)`;

/** What held at that moment: partitions that had ended before are not looked at, and the others by their primary key. */
export const thereAt = (at: string): SQL =>
  sql`n.first_seen <= ${at}::timestamptz and n.ended_at > ${at}::timestamptz and n.id <= ${largestIdAt(at)}`;

/** By number, which is the order in which they were first seen. */
export async function listNamespaces(tx: Tx, query: NamespaceQuery): Promise<{ namespaces: ListedNamespace[]; nextCursor: string | null }> {
  const { at, limit, narrow = {} } = query;
  const attempted = 'list namespaces';
  const conditions: SQL[] = [at === undefined ? (query.ended ? sql`true` : sql`n.ended_at = 'infinity'`) : thereAt(at)];
  if (query.host !== undefined) conditions.push(sql`n.host_id = ${(await findHost(tx, query.host)).id}`);
  if (query.type !== undefined) conditions.push(sql`n.type = ${query.type}`);
  if (query.sandbox !== undefined) conditions.push(givenTo((await findSandbox(tx, query.sandbox)).id));
  if (typeof query.cursor === 'string') conditions.push(sql`n.id > ${numberCursor(query.cursor, attempted)}::bigint`);
  if (narrow.hostId !== undefined) conditions.push(sql`n.host_id = ${narrow.hostId}`);
  if (narrow.hostName !== undefined) conditions.push(sql`n.host_id in (select id from hosts where name = ${narrow.hostName})`);
  if (narrow.type !== undefined) conditions.push(sql`n.type = ${narrow.type}`);
  if (narrow.processes !== undefined) conditions.push(sql`n.process_count = ${narrow.processes}`);
  const moment = at === undefined ? sql`now()` : sql`${at}::timestamptz`;
  // The page is chosen first: what is shown beside a row is looked up for a thousand, not for all.
  const found = await rowsOf<ListedNamespace & { changedSince: boolean }>(
    tx,
    attempted,
    sql`select ${namespaceColumns}, ${query.kinds === true ? referenceKinds : sql`'{}'::json`} as kinds,
        extract(epoch from least(n.ended_at, ${moment}) - n.first_seen)::float8 * 1000 as "ageMs",
        coalesce(n.changed_at > ${moment}, false) as "changedSince"
      from (select n.* from namespaces n where ${sql.join(conditions, sql` and `)} order by n.id limit ${limit + 1}) n ${namespaceContext}
      order by n.id`,
  );
  const rows = found.slice(0, limit);
  const nextCursor = found.length > limit ? (rows.at(-1)?.id ?? null) : null;
  const changed = at === undefined ? [] : rows.filter(({ changedSince }) => changedSince).map(({ id }) => id);
  const changes = at === undefined || changed.length === 0 ? new Map<string, never>() : await changesAfter(tx, changed, at);
  const namespaces = rows.map(({ changedSince: _changed, ...row }) => backwards(row, changes.get(row.id) ?? []));
  return { namespaces, nextCursor };
}

function givenTo(sandboxId: string): SQL {
  return sql`(n.host_id, n.boot_id, n.type, n.key) in (
    select g.host_id, g.boot_id, g.type, g.key from placement_namespaces g join placements p on p.id = g.placement_id
    where p.sandbox_id = ${sandboxId})`;
}
