/** A namespace as the API shows it. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { iso } from './time.ts';

/** A current one was last seen when its agent last reported, or beat in the session of that report. */
const lastSeen = sql`case when n.ended_at < 'infinity' then n.ended_at
  when a.report_boot_id = a.boot_id and a.report_epoch = a.epoch then greatest(a.confirmed_at, b.at) else a.confirmed_at end`;

const references = sql`reference_holders r where r.host_id = n.host_id and r.type = n.type and r.key = n.key and r.boot_id = n.boot_id
  and n.ended_at = 'infinity'`;

/** Of `n` (a row of namespaces) joined with namespaceContext. */
export const namespaceColumns: SQL = sql`n.id::text, n.host_id as "hostId", h.name as "hostName", n.boot_id as "bootId", n.type, n.key,
  n.inode::float8 as inode, n.parent, n.owner, n.owner_uid::float8 as "ownerUid", n.process_count as "processCount",
  (select count(*)::int from ${references}) as "referenceCount", n.names, n.details,
  case when n.leader_pid is not null then
    json_build_object('pid', n.leader_pid, 'uid', n.leader_uid, 'comm', n.leader_comm, 'command', n.leader_command) end as leader,
  (select json_build_object('id', s.id, 'name', s.name)
    from placement_namespaces g join placements p on p.id = g.placement_id join sandboxes s on s.id = p.sandbox_id
    where g.host_id = n.host_id and g.boot_id = n.boot_id and g.type = n.type and g.key = n.key
    order by p.created_at desc limit 1) as sandbox,
  ${iso(sql`n.first_seen`)} as "firstSeen", ${iso(sql`(${lastSeen})`)} as "lastSeen", n.ended_at = 'infinity' as current,
  n.end_is_bound as "endUnseen", coalesce((a.counts ->> 'partial')::boolean, false) as partial`;

/** How many references of each kind hold it: `{"fd": 2}`. */
export const referenceKinds: SQL = sql`(select coalesce(json_object_agg(k.kind, k.count), '{}')
  from (select r.kind, count(*)::int from ${references} group by r.kind) k)`;

export const namespaceContext: SQL = sql`join hosts h on h.id = n.host_id
  join agent_sessions a on a.host_id = n.host_id join beats b on b.host_id = n.host_id`;
