/** One namespace, with all that holds it. Namespaces are written by reports.ts, lists of them are in namespace-list.ts. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace, NamespaceDetail } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { listHolders } from './holders.ts';
import { findHost } from './hosts.ts';
import { namespaceColumns, namespaceContext } from './namespace-row.ts';

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
    sql`select ${namespaceColumns}, ${idOf(sql`n.type`, sql`n.parent`)} as "parentId", ${idOf(sql`'user'`, sql`n.owner`)} as "ownerId"
      from (${which}) as named join namespaces n on n.id = named.id and n.ended_at = named.ended_at ${namespaceContext}
      where ${sql.join([sql`true`, ...filters], sql` and `)} order by n.id limit 20`,
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

/**
 * The number of the namespace of that type and key on the same host and boot: the parent or owner of `n`, which it holds. So that one is
 * current where `n` is, and did not end before `n` did; a minute, for ends that are only bounds.
 */
function idOf(type: SQL, key: SQL): SQL {
  const same = sql`o.host_id = n.host_id and o.boot_id = n.boot_id and o.type = ${type} and o.key = ${key}`;
  return sql`case when ${key} is null then null else coalesce(
    (select o.id::text from namespaces o where ${same} and o.ended_at = 'infinity'),
    (select o.id::text from namespaces o where n.ended_at < 'infinity' and ${same} and o.ended_at < 'infinity'
      and o.ended_at >= n.ended_at - interval '1 minute' order by o.ended_at desc limit 1)) end`;
}
