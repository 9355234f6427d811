/** A host as the API shows it, and its status, which is derived and never stored. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { HostStatus } from '#shared/host.ts';
import type { Host } from '#shared/resources.ts';
import { iso } from './time.ts';

/** A host is ready while its last heartbeat is younger, by the database's clock. Beats come every few seconds. */
export const readyForSeconds = 20;

/** True for a host that is ready; `b` is its row of beats. */
export const isReady: SQL = sql.raw(`coalesce(b.at > now() - interval '${readyForSeconds} seconds', false)`);

/** What placements that are not ended take; `h` is the host. An id range is taken until its placement is removed. */
export const usedSandboxes: SQL = sql`(select count(*)::int from placements u
  where u.host_id = h.id and u.state in ('placed', 'running', 'paused', 'stopping'))`;
export const usedIdRanges: SQL = sql`(select count(*)::int from placements u
  where u.host_id = h.id and u.state <> 'removed' and u.id_range_start is not null)`;

export const hostTables: SQL = sql`hosts h join agent_sessions a on a.host_id = h.id join beats b on b.host_id = h.id`;

export const hostColumns: SQL = sql`h.id, h.name, h.labels, h.capacity, h.facts,
  case when ${isReady} then 'ready' else 'unknown' end as status,
  extract(epoch from now() - b.at)::int as "silentSeconds",
  json_build_object('sandboxes', ${usedSandboxes}, 'idRanges', ${usedIdRanges}) as used,
  a.boot_id as "bootId", a.counts as scan,
  ${iso(sql`b.at`)} as "lastBeatAt", ${iso(sql`a.reported_at`)} as "lastReportAt", ${iso(sql`h.enrolled_at`)} as "enrolledAt",
  (select count(*)::int from namespaces n where n.host_id = h.id and n.ended_at = 'infinity') as namespaces`;

export type HostRow = Omit<Host, 'statusReason'> & { silentSeconds: number | null };

export function hostOf({ silentSeconds, ...host }: HostRow): Host {
  return { ...host, statusReason: statusReason(host.status, silentSeconds) };
}

function statusReason(status: HostStatus, silentSeconds: number | null): string {
  if (silentSeconds === null) return 'its agent has never connected';
  if (status === 'ready') return `heard ${silentSeconds} s ago`;
  return `no heartbeat for ${silentSeconds} s`;
}
