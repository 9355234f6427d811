/** Where a process lives, as its host last reported it. */
import { sql } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceKey, NamespaceType } from '#shared/namespace.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';

/** The key of the namespace of that type which the process is in. PROCESS_NOT_FOUND; NAMESPACE_NOT_FOUND where the agent could not read it. */
export async function namespaceOfProcess(tx: Tx, hostId: string, pid: number, type: NamespaceType): Promise<NamespaceKey> {
  const attempted = 'find the namespace of process';
  const [row] = await rowsOf<{ key: NamespaceKey | null }>(
    tx,
    attempted,
    sql`select namespaces[${namespaceTypes.indexOf(type) + 1}] as key from processes where host_id = ${hostId} and pid = ${pid}`,
  );
  if (row === undefined)
    throw new NsfleetError('PROCESS_NOT_FOUND', { attempted, target: String(pid), reason: 'that host reports no such process' });
  if (row.key !== null) return row.key;
  throw new NsfleetError('NAMESPACE_NOT_FOUND', { attempted, target: String(pid), reason: `its ${type} namespace could not be read` });
}
