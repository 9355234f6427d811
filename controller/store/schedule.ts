/** What the scheduler looks at. */
import { sql } from 'drizzle-orm';
import type { Capacity, HostFacts, HostStatus, Labels } from '#shared/host.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { isReady } from './host-row.ts';

export type HostView = {
  id: string;
  name: string;
  status: HostStatus;
  labels: Labels;
  /** null until its agent has said hello; then its capacity is zero too */
  facts: HostFacts | null;
  capacity: Capacity;
  /** what placements that are not ended (ranges: not removed) take */
  used: Capacity;
};

/** All hosts, as of now. What is decided by it is checked again by placeSandbox. */
export async function schedulingView(tx: Tx): Promise<HostView[]> {
  return rowsOf<HostView>(
    tx,
    'read the hosts for the scheduler',
    sql`select h.id, h.name, h.labels, h.facts, h.capacity, case when ${isReady} then 'ready' else 'unknown' end as status,
        json_build_object('sandboxes', coalesce(u.sandboxes, 0), 'idRanges', coalesce(u.id_ranges, 0)) as used
      from hosts h
      join beats b on b.host_id = h.id
      left join (
        select host_id, count(*) filter (where state in ('placed', 'running', 'paused', 'stopping')) as sandboxes,
          count(id_range_start) as id_ranges
        from placements where state <> 'removed' group by host_id
      ) u on u.host_id = h.id
      order by h.id`,
  );
}
