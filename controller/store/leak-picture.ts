/** Reads what the leak rules look at, and which hosts they should look at again as time passes. */
import { sql } from 'drizzle-orm';
import type { HostPicture, PicturedNamespace, PicturedProcess, PicturedReference } from '../leaks/picture.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { isReady } from './host-row.ts';
import { thereAt } from './namespace-list.ts';
import { iso } from './time.ts';

/** Null for a host that is silent: what is known of it is no news, and nothing is concluded from it. */
export async function hostPicture(tx: Tx, hostId: string, growthMinutes: number): Promise<HostPicture | null> {
  const [host] = await rowsOf<{ bootId: string; nowMs: number; partial: boolean; before: string }>(
    tx,
    'look at a host for leaks',
    sql`select a.report_boot_id as "bootId", extract(epoch from now())::float8 * 1000 as "nowMs",
        coalesce((a.counts ->> 'partial')::boolean, false) as partial,
        ${iso(sql`greatest(now() - ${growthMinutes} * interval '1 minute',
          (select min(n.first_seen) + interval '5 seconds' from namespaces n where n.host_id = a.host_id and n.boot_id = a.report_boot_id
            and n.ended_at = 'infinity'))`)} as before
      from agent_sessions a join beats b on b.host_id = a.host_id
      where a.host_id = ${hostId} and a.report_boot_id is not null and ${isReady}`,
  );
  if (host === undefined) return null;
  const namespaces = await rowsOf<PicturedNamespace>(
    tx,
    'look at the namespaces of a host for leaks',
    sql`select n.id::text, n.type, n.key, n.inode::float8 as inode, n.process_count as "processCount", n.owner, n.owner_uid::float8 as "ownerUid",
        n.names, ${iso(sql`n.first_seen`)} as "firstSeen",
        case when n.type = 'net' and n.process_count = 0 then ${iso(sql`coalesce((select max(e.at) from events e
          where e.namespace_id = n.id and e.type = 'holder.lost' and e.detail ? 'heldBy'), n.first_seen)`)} else '' end as "emptySince",
        (select json_build_object('id', s.id, 'name', s.name, 'state', p.state, 'endedAt', ${iso(sql`coalesce(p.ended_at, s.removed_at, p.wanted_at)`)})
          from placement_namespaces g join placements p on p.id = g.placement_id join sandboxes s on s.id = p.sandbox_id
          where g.host_id = n.host_id and g.boot_id = n.boot_id and g.type = n.type and g.key = n.key
          order by p.created_at desc limit 1) as sandbox
      from namespaces n where n.host_id = ${hostId} and n.boot_id = ${host.bootId}::uuid and n.ended_at = 'infinity' order by n.id`,
  );
  const processes = await rowsOf<PicturedProcess>(
    tx,
    'look at the processes of a host for leaks',
    sql`select pid, uid::float8 as uid, comm, namespaces from processes where host_id = ${hostId} order by pid`,
  );
  const references = await rowsOf<PicturedReference>(
    tx,
    'look at the references of a host for leaks',
    sql`select kind, type, key, pid, tid, fd, comm, cgroup, path, mount_namespace as "mountNamespace", detail, ${iso(sql`since`)} as since
      from reference_holders where host_id = ${hostId} order by kind, pid, fd, path`,
  );
  const [users] = await rowsOf<{ count: number }>(
    tx,
    'count the user namespaces of before',
    sql`select count(*)::int from namespaces n where n.host_id = ${hostId} and n.type = 'user' and ${thereAt(host.before)}`,
  );
  const { nowMs, partial, before } = host;
  return { nowMs, partial, namespaces, processes, references, usersBefore: { count: users?.count ?? 0, at: before } };
}

/** Ready hosts on which time alone may make or clear a leak: an open one, a network namespace without a process, a sandbox that has ended. */
export async function hostsToLookAt(tx: Tx): Promise<string[]> {
  const rows = await rowsOf<{ id: string }>(
    tx,
    'list hosts to look at for leaks',
    sql`select b.host_id as id from beats b where ${isReady} and b.host_id in (
        select host_id from leaks where cleared_at is null
        union select host_id from namespaces where ended_at = 'infinity' and type = 'net' and process_count = 0
        union select g.host_id from placements p join placement_namespaces g on g.placement_id = p.id
          join namespaces n on n.host_id = g.host_id and n.boot_id = g.boot_id and n.type = g.type and n.key = g.key and n.ended_at = 'infinity'
          where p.state in ('stopped', 'failed', 'removed') and greatest(p.ended_at, p.wanted_at) > now() - interval '1 day')
      order by b.host_id`,
  );
  return rows.map(({ id }) => id);
}
