/**
 * What holds a namespace. Processes are kept as rows, one a process with the keys of all that it holds: a tenth of the rows, and of the
 * writes, that a row for each pair would be. The view `holders` makes the pairs, and adds references (references.ts) and the namespaces that hold others.
 */
import { sql } from 'drizzle-orm';
import type { ReportRows, ReportedProcess } from '#shared/inventory.ts';
import { HolderKind } from '#shared/namespace.ts';
import type { Holder } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import type { Origin } from './intervals.ts';
import { iso } from './time.ts';

/** Writes new and changed processes. A pid is one process at a time: a new start time replaces the old row. */
export async function writeProcesses(tx: Tx, origin: Origin, reported: readonly ReportedProcess[]): Promise<void> {
  if (reported.length === 0) return;
  const rows = [...new Map(reported.map((row) => [row.pid, row])).values()];
  const column = <T>(pick: (row: ReportedProcess) => T) => sql.param(rows.map(pick));
  // unnest flattens arrays of arrays: the keys, which hold no comma, go as one text
  const keys = (list: readonly (string | null)[]) => list.map((key) => key ?? '').join(',');
  await rowsOf(
    tx,
    'write processes',
    sql`
    insert into processes as p (host_id, boot_id, pid, start, ppid, uid, comm, namespaces, for_children)
    select ${origin.hostId}, ${origin.bootId}::uuid, g.pid, g.start, g.ppid, g.uid, g.comm,
      string_to_array(g.namespaces, ',', ''), string_to_array(g.for_children, ',', '')
    from unnest(
      ${column((row) => row.pid)}::int[], ${column((row) => row.start)}::text[], ${column((row) => row.ppid)}::int[],
      ${column((row) => row.uid)}::bigint[], ${column((row) => row.comm)}::text[], ${column((row) => keys(row.namespaces))}::text[],
      ${column((row) => keys(row.forChildren))}::text[]
    ) as g (pid, start, ppid, uid, comm, namespaces, for_children)
    on conflict (host_id, pid) do update set boot_id = excluded.boot_id, start = excluded.start, ppid = excluded.ppid, uid = excluded.uid,
      comm = excluded.comm, namespaces = excluded.namespaces, for_children = excluded.for_children
      where (p.boot_id, p.start, p.ppid, p.uid, p.comm, p.namespaces, p.for_children) is distinct from
        (excluded.boot_id, excluded.start, excluded.ppid, excluded.uid, excluded.comm, excluded.namespaces, excluded.for_children)`,
  );
}

/** Forgets the named ones; a pid with another start time is another process and stays. */
export async function forgetProcesses(tx: Tx, { hostId }: Origin, gone: ReportRows['processesGone']): Promise<void> {
  if (gone.length === 0) return;
  const pids = sql.param(gone.map((row) => row.pid));
  const starts = sql.param(gone.map((row) => row.start));
  await rowsOf(
    tx,
    'forget processes',
    sql`delete from processes where host_id = ${hostId} and (pid, start) in (select * from unnest(${pids}::int[], ${starts}::text[]))`,
  );
}

/** Forgets all but those with the given pids: what a snapshot does. */
export async function forgetOtherProcesses(tx: Tx, { hostId }: Origin, keptPids: readonly number[]): Promise<void> {
  await rowsOf(
    tx,
    'forget processes',
    sql`delete from processes p where p.host_id = ${hostId}
      and not exists (select from unnest(${sql.param(keptPids)}::int[]) as kept (pid) where kept.pid = p.pid)`,
  );
}

/** All that holds the namespace of that number: processes by pid first, then references, then namespaces. Nothing holds one that has ended. */
export async function listHolders(tx: Tx, namespaceId: string): Promise<Holder[]> {
  return rowsOf<Holder>(
    tx,
    'list the holders of a namespace',
    sql`select o.kind, o.pid, o.start, o.tid, o.fd, o.uid::float8 as uid, o.comm, o.path, o.mount_namespace as "mountNamespace", o.detail,
        ${iso(sql`o.since`)} as since,
        case when n.id is not null then json_build_object('id', n.id::text, 'type', n.type, 'key', n.key) end as namespace
      from holders o left join namespaces n on n.id = o.by_namespace_id and n.ended_at = 'infinity'
      where o.namespace_id = ${namespaceId}::bigint
      order by array_position(${sql.param(HolderKind.options)}::text[], o.kind), o.pid, o.tid, o.fd, o.path, n.id`,
  );
}
