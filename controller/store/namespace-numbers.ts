/** From what hosts call a namespace to our number of it. */
import { sql } from 'drizzle-orm';
import type { NamespaceType } from '#shared/namespace.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';

/** Numbers of the current namespaces of that type with these keys; keys that no report has brought yet are left out. */
export async function numbersOf(tx: Tx, hostId: string, type: NamespaceType, keys: readonly string[]): Promise<Map<string, string>> {
  if (keys.length === 0) return new Map();
  const rows = await rowsOf<{ key: string; id: string }>(
    tx,
    'find the numbers of namespaces',
    sql`select key, id::text as id from namespaces
      where host_id = ${hostId} and ended_at = 'infinity' and type = ${type} and key = any(${sql.param([...new Set(keys)])}::text[])`,
  );
  return new Map(rows.map(({ key, id }) => [key, id]));
}
