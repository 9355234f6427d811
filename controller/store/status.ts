/** How big the fleet is, and what the database is. */
import { sql } from 'drizzle-orm';
import type { FleetStatus } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Store, Tx } from './client.ts';
import { isReady } from './host-row.ts';

export type FleetCounts = Pick<FleetStatus, 'hosts' | 'namespaces' | 'sandboxes'>;

/** Hosts by status, current namespaces by type, sandboxes by state; what there is none of is 0, or absent for sandboxes. */
export async function countFleet(tx: Tx): Promise<FleetCounts> {
  const [row] = await rowsOf<FleetCounts>(
    tx,
    'count the fleet',
    sql`select
      (select json_build_object('ready', count(*) filter (where ${isReady}), 'unknown', count(*) filter (where not ${isReady})) from beats b) as hosts,
      (select json_object_agg(t.type, coalesce(n.count, 0))
        from unnest(array['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time']) as t (type)
        left join (select type, count(*) from namespaces where ended_at = 'infinity' group by type) n on n.type = t.type) as namespaces,
      (select coalesce(json_object_agg(state, count), '{}')
        from (select state, count(*) from placements where not superseded group by state) p) as sandboxes`,
  );
  if (row === undefined) throw new Error('a select without from gives one row');
  return row;
}

/** The server's own words, such as `18.4`. */
export async function databaseVersion(tx: Tx): Promise<string> {
  const [row] = await rowsOf<{ version: string }>(tx, 'ask the version', sql`select current_setting('server_version') as version`);
  return row?.version ?? '';
}

/** Resolves when the database answers; throws DATABASE_UNREACHABLE. */
export async function ping(store: Store): Promise<void> {
  await rowsOf(store.db, 'ask', sql`select 1`);
}
