/** The processes of a host as its agent last reported them. Written by holders.ts. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { ReportedProcess } from '#shared/inventory.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { findHost } from './hosts.ts';

export type ProcessQuery = { limit: number; cursor?: string | undefined; pid?: number | undefined };
export type ProcessPage = {
  host: { id: string; name: string; bootId: string | null };
  processes: ReportedProcess[];
  nextCursor: string | null;
};

/** By pid. `host` is an id or name; throws HOST_NOT_FOUND, HOST_AMBIGUOUS. */
export async function listProcesses(tx: Tx, host: string, { limit, cursor, pid }: ProcessQuery): Promise<ProcessPage> {
  const attempted = 'list processes';
  const { id, name, bootId } = await findHost(tx, host);
  const conditions: SQL[] = [sql`p.host_id = ${id}`, sql`p.boot_id = ${bootId}::uuid`];
  if (pid !== undefined) conditions.push(sql`p.pid = ${pid}`);
  if (cursor !== undefined) conditions.push(sql`p.pid > ${numberCursor(cursor, attempted)}::bigint`);
  const found = await rowsOf<ReportedProcess>(
    tx,
    attempted,
    sql`select p.pid, p.start, p.ppid, p.uid::float8 as uid, p.comm, p.namespaces, p.for_children as "forChildren"
      from processes p where ${sql.join(conditions, sql` and `)} order by p.pid limit ${limit + 1}`,
  );
  const processes = found.slice(0, limit);
  const nextCursor = found.length > limit ? String(processes.at(-1)?.pid) : null;
  return { host: { id, name, bootId }, processes, nextCursor };
}
