/** How big the fleet is, and what the database is. */
import { sql } from 'drizzle-orm';
import type { FleetStatus } from '#shared/resources.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { isReady } from './host-row.ts';
import { appliedMigration } from './migrate.ts';

export type FleetCounts = Pick<FleetStatus, 'hosts' | 'namespaces' | 'sandboxes'> & {
  /** The server's own words, such as `18.4`. */
  databaseVersion: string;
  /** The name of the newest migration that the database has. */
  migration: string;
};

/** Hosts by status, current namespaces by type (0 where there is none), sandboxes by state (absent where there is none). */
export async function fleetCounts(tx: Tx): Promise<FleetCounts> {
  const [row] = await rowsOf<Omit<FleetCounts, 'migration'>>(
    tx,
    'count the fleet',
    sql`select current_setting('server_version') as "databaseVersion",
      (select json_build_object('ready', count(*) filter (where ${isReady}), 'unknown', count(*) filter (where not ${isReady}))
        from beats b) as hosts,
      (select json_object_agg(t.type, coalesce(n.count, 0))
        from unnest(array['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time']) as t (type)
        left join (select type, count(*) from namespaces where ended_at = 'infinity' group by type) n on n.type = t.type) as namespaces,
      (select coalesce(json_object_agg(state, count), '{}')
        from (select state, count(*) from placements where not superseded group by state) p) as sandboxes`,
  );
  if (row === undefined) throw new TypeError('a select without from gives one row');
  return { ...row, migration: await appliedMigration(tx) };
}

/** Resolves when the database answers; throws DATABASE_UNREACHABLE. */
export async function ping(tx: Tx): Promise<void> {
  await rowsOf(tx, 'ask', sql`select 1`);
}
