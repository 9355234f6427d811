/**
 * References: threads, descriptors, sockets, tun devices and mounts that hold namespaces now. A row is written when one appears, when it
 * changes, and when it goes. Those that went, or hold another namespace now, are given back: a namespace that lives on has lost a holder.
 */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { ReportedReference } from '#shared/inventory.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import type { NewEvent } from './events.ts';
import type { Origin } from './intervals.ts';

export type LostReference = Pick<ReportedReference, 'kind' | 'type' | 'key' | 'pid' | 'tid' | 'fd' | 'uid' | 'comm' | 'path' | 'detail'>;

const columns: SQL = sql.raw('id, kind, type, key, pid, start, tid, fd, uid, comm, cgroup, path, mount_namespace, detail');
const lost: SQL = sql.raw('r.kind, r.type, r.key, r.pid, r.tid, r.fd, r.uid::float8 as uid, r.comm, r.path, r.detail');

/** Writes new and changed references; gives those that held another namespace until now. Of the same one twice the last word counts. */
export async function writeReferences(tx: Tx, origin: Origin, reported: readonly ReportedReference[]): Promise<LostReference[]> {
  if (reported.length === 0) return [];
  const rows = [...new Map(reported.map((row) => [row.id, row])).values()];
  const column = <T>(pick: (row: ReportedReference) => T) => sql.param(rows.map(pick));
  return rowsOf<LostReference>(
    tx,
    'write references',
    sql`
    with given as (
      select * from unnest(
        ${column((row) => row.id)}::text[], ${column((row) => row.kind)}::text[], ${column((row) => row.type)}::text[],
        ${column((row) => row.key)}::text[], ${column((row) => row.pid)}::int[], ${column((row) => row.start)}::text[],
        ${column((row) => row.tid)}::int[], ${column((row) => row.fd)}::int[], ${column((row) => row.uid)}::bigint[],
        ${column((row) => row.comm)}::text[], ${column((row) => row.cgroup)}::text[], ${column((row) => row.path)}::text[],
        ${column((row) => row.mountNamespace)}::text[], ${column((row) => row.detail)}::text[]
      ) as given (${columns})
    ),
    before as (
      select ${lost} from reference_holders r join given g on g.id = r.id
      where r.host_id = ${origin.hostId} and r.boot_id = ${origin.bootId}::uuid and (r.type, r.key) <> (g.type, g.key)
    ),
    written as (
      insert into reference_holders as r (host_id, boot_id, ${columns})
      select ${origin.hostId}, ${origin.bootId}::uuid, ${columns} from given
      on conflict (host_id, id) do update set boot_id = excluded.boot_id, kind = excluded.kind, type = excluded.type, key = excluded.key,
        pid = excluded.pid, start = excluded.start, tid = excluded.tid, fd = excluded.fd, uid = excluded.uid, comm = excluded.comm,
        cgroup = excluded.cgroup, path = excluded.path, mount_namespace = excluded.mount_namespace, detail = excluded.detail,
        since = case when (r.boot_id, r.type, r.key) = (excluded.boot_id, excluded.type, excluded.key) then r.since else excluded.since end
      where (r.boot_id, r.kind, r.type, r.key, r.pid, r.start, r.tid, r.fd, r.uid, r.comm, r.cgroup, r.path, r.mount_namespace, r.detail)
        is distinct from (excluded.boot_id, excluded.kind, excluded.type, excluded.key, excluded.pid, excluded.start, excluded.tid,
          excluded.fd, excluded.uid, excluded.comm, excluded.cgroup, excluded.path, excluded.mount_namespace, excluded.detail)
    )
    select * from before`,
  );
}

/** Forgets the named ones. */
export async function forgetReferences(tx: Tx, origin: Origin, gone: readonly string[]): Promise<LostReference[]> {
  if (gone.length === 0) return [];
  return forget(tx, origin, sql`r.id = any(${sql.param(gone)}::text[])`);
}

/** Forgets all but the named ones: what a snapshot does. */
export async function forgetOtherReferences(tx: Tx, origin: Origin, kept: readonly string[]): Promise<LostReference[]> {
  return forget(tx, origin, sql`not exists (select from unnest(${sql.param(kept)}::text[]) as kept (id) where kept.id = r.id)`);
}

async function forget(tx: Tx, { hostId }: Origin, which: SQL): Promise<LostReference[]> {
  return rowsOf<LostReference>(
    tx,
    'forget references',
    sql`delete from reference_holders r where r.host_id = ${hostId} and ${which} returning ${lost}`,
  );
}

/** holder.lost for each that held a namespace that is still there. After the ends of namespaces were written. */
export async function lostHolders(tx: Tx, origin: Origin, gone: readonly LostReference[]): Promise<NewEvent[]> {
  if (gone.length === 0) return [];
  const there = await rowsOf<{ id: string; type: string; key: string }>(
    tx,
    'find what lost a holder',
    sql`select n.id::text, n.type, n.key from namespaces n
      where n.host_id = ${origin.hostId} and n.boot_id = ${origin.bootId}::uuid and n.ended_at = 'infinity'
        and (n.type, n.key) in (select * from unnest(${sql.param(gone.map((row) => row.type))}::text[],
          ${sql.param(gone.map((row) => row.key))}::text[]))`,
  );
  const ids = new Map(there.map((row) => [`${row.type} ${row.key}`, row.id]));
  return gone.flatMap(({ type, key, ...holder }) => {
    const namespaceId = ids.get(`${type} ${key}`);
    if (namespaceId === undefined) return [];
    const told = Object.fromEntries(Object.entries(holder).filter(([, value]) => value !== null));
    return [{ type: 'holder.lost', hostId: origin.hostId, namespaceId, detail: { type, key, holder: told } }];
  });
}
