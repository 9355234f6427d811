/** What namespace.changed events say of many namespaces at once. */
import { sql } from 'drizzle-orm';
import type { Changes } from './changes.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';

/** The changes of the namespaces after a moment, newest first. Those that retention has dropped are gone. */
export async function changesAfter(tx: Tx, ids: readonly string[], at: string): Promise<Map<string, Changes[]>> {
  const rows = await rowsOf<{ id: string; changes: Changes[] }>(
    tx,
    'read what changed of namespaces',
    sql`select e.namespace_id::text as id, jsonb_agg(e.detail -> 'changed' order by e.seq desc) as changes from events e
      where e.namespace_id = any(${sql.param(ids)}::bigint[]) and e.at > ${at}::timestamptz and e.type = 'namespace.changed'
      group by e.namespace_id`,
  );
  return new Map(rows.map(({ id, changes }) => [id, changes]));
}
