/** Namespaces of the fleet: lists, and one with all that holds it. They are written by reports.ts. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace, NamespaceDetail } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { listHolders } from './holders.ts';
import { findHost } from './hosts.ts';
import { findSandbox } from './sandboxes.ts';
import { iso } from './time.ts';

/** A current one was last seen when its agent last reported, or beat in the session of that report. */
const lastSeen = sql`case when n.ended_at < 'infinity' then n.ended_at
  when a.report_boot_id = a.boot_id and a.report_epoch = a.epoch then greatest(a.confirmed_at, b.at) else a.confirmed_at end`;

const columns: SQL = sql`n.id::text, n.host_id as "hostId", h.name as "hostName", n.boot_id as "bootId", n.type, n.key,
  n.inode::float8 as inode, n.parent, n.owner, n.owner_uid::float8 as "ownerUid", n.process_count as "processCount",
  case when n.ended_at = 'infinity' then (select count(*)::int from reference_holders r
    where r.host_id = n.host_id and r.type = n.type and r.key = n.key and r.boot_id = n.boot_id) else 0 end as "referenceCount", n.names, n.details,
  case when n.leader_pid is not null then
    json_build_object('pid', n.leader_pid, 'uid', n.leader_uid, 'comm', n.leader_comm, 'command', n.leader_command) end as leader,
  (select json_build_object('id', s.id, 'name', s.name)
    from placement_namespaces g join placements p on p.id = g.placement_id join sandboxes s on s.id = p.sandbox_id
    where g.host_id = n.host_id and g.boot_id = n.boot_id and g.type = n.type and g.key = n.key
    order by p.created_at desc limit 1) as sandbox,
  ${iso(sql`n.first_seen`)} as "firstSeen", ${iso(sql`(${lastSeen})`)} as "lastSeen", n.ended_at = 'infinity' as current, n.end_is_bound as "endUnseen", coalesce((a.counts ->> 'partial')::boolean, false) as partial`;

const tables: SQL = sql`namespaces n join hosts h on h.id = n.host_id
  join agent_sessions a on a.host_id = n.host_id join beats b on b.host_id = n.host_id`;

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
};

/** By number, which is the order in which they were first seen. */
export async function listNamespaces(tx: Tx, query: NamespaceQuery): Promise<{ namespaces: Namespace[]; nextCursor: string | null }> {
  const attempted = 'list namespaces';
  const conditions: SQL[] = [sql`true`];
  if (!query.ended) conditions.push(sql`n.ended_at = 'infinity'`);
  if (query.host !== undefined) conditions.push(sql`n.host_id = ${(await findHost(tx, query.host)).id}`);
  if (query.type !== undefined) conditions.push(sql`n.type = ${query.type}`);
  if (query.sandbox !== undefined) conditions.push(givenTo((await findSandbox(tx, query.sandbox)).id));
  if (typeof query.cursor === 'string') conditions.push(sql`n.id > ${numberCursor(query.cursor, attempted)}::bigint`);
  const rows = await rowsOf<Namespace>(
    tx,
    attempted,
    sql`select ${columns} from ${tables} where ${sql.join(conditions, sql` and `)} order by n.id limit ${query.limit + 1}`,
  );
  const namespaces = rows.slice(0, query.limit);
  return { namespaces, nextCursor: rows.length > query.limit ? (namespaces.at(-1)?.id ?? null) : null };
}

function givenTo(sandboxId: string): SQL {
  return sql`(n.host_id, n.boot_id, n.type, n.key) in (
    select g.host_id, g.boot_id, g.type, g.key from placement_namespaces g join placements p on p.id = g.placement_id
    where p.sandbox_id = ${sandboxId})`;
}

export type NamespaceName = {
  /** number, key or inode */
  namespace: string;
  /** id or name */
  host?: string | undefined;
  type?: NamespaceType | undefined;
};

/**
 * By number, which past ones have too; else by key or inode, which many hosts may share and which name current ones only. Throws
 * NAMESPACE_NOT_FOUND, or NAMESPACE_AMBIGUOUS naming the candidates.
 */
export async function findNamespace(tx: Tx, { namespace, host, type }: NamespaceName): Promise<NamespaceDetail> {
  const attempted = 'find namespace';
  const filters: SQL[] = [];
  if (host !== undefined) filters.push(sql`n.host_id = ${(await findHost(tx, host)).id}`);
  if (type !== undefined) filters.push(sql`n.type = ${type}`);
  const number = /^[0-9]{1,18}$/.test(namespace) ? namespace : null;
  // Each by its own index: `or` would read all that is past.
  const which =
    number === null
      ? sql`select id, ended_at from namespaces where key = ${namespace} and ended_at = 'infinity'`
      : sql`select id, ended_at from namespaces where id = ${number}::bigint
          union select id, ended_at from namespaces where inode = ${number}::bigint and ended_at = 'infinity'`;
  const rows = await rowsOf<Namespace & { parentId: string | null; ownerId: string | null }>(
    tx,
    attempted,
    sql`select ${columns}, ${idOf(sql`n.type`, sql`n.parent`)} as "parentId", ${idOf(sql`'user'`, sql`n.owner`)} as "ownerId"
      from (${which}) as named, ${tables}
      where ${sql.join([sql`n.id = named.id and n.ended_at = named.ended_at`, ...filters], sql` and `)} order by n.id limit 20`,
  );
  const found = rows.find((row) => row.id === number) ?? rows[0];
  if (found === undefined) {
    throw new NsfleetError('NAMESPACE_NOT_FOUND', { attempted, target: namespace, reason: 'no namespace has that number, key or inode' });
  }
  if (rows.length > 1 && found.id !== number) {
    const candidates = rows.map((row) => `${row.id} (${row.type} on ${row.hostName})`).join(', ');
    throw new NsfleetError('NAMESPACE_AMBIGUOUS', { attempted, target: namespace, reason: `several are called so: ${candidates}` });
  }
  return { ...found, holders: await listHolders(tx, found.id) };
}

/** The number of the namespace of that type and key on the same host and boot; the newest where it was seen more than once. */
function idOf(type: SQL, key: SQL): SQL {
  const same = sql`o.host_id = n.host_id and o.boot_id = n.boot_id and o.type = ${type} and o.key = ${key}`;
  return sql`case when ${key} is not null then coalesce(
    (select o.id::text from namespaces o where ${same} and o.ended_at = 'infinity'),
    (select o.id::text from namespaces o where ${same} and o.ended_at < 'infinity' order by o.ended_at desc limit 1)) end`;
}
