/** Processes of hosts, as far as `ns ls` asks for them. */
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { ReportedProcess } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { allPages } from '../pages.ts';
import type { Processes } from './tree.ts';

const pageSize = 10_000;

/** Of each host on which one of the namespaces is. */
export async function processesOfHosts(client: Client, rows: readonly Namespace[]): Promise<Processes> {
  const found = new Map<string, ReadonlyMap<number, ReportedProcess>>();
  for (const host of new Set(rows.map(({ hostId }) => hostId))) {
    const processes = await allPages(async (cursor) => {
      const { processes: items, nextCursor } = await client.call('processList', { params: { host }, query: { cursor, limit: pageSize } });
      return { items, nextCursor };
    });
    found.set(host, new Map(processes.map((process) => [process.pid, process])));
  }
  return found;
}

/** Whether a namespace is one that the process lives in. Throws USAGE, HOST_NOT_FOUND, PROCESS_NOT_FOUND. */
export async function livesIn(client: Client, pid: number, host: string): Promise<(row: Namespace) => boolean> {
  const page = await client.call('processList', { params: { host }, query: { pid } });
  const [process] = page.processes;
  if (process === undefined) {
    throw new NsfleetError('PROCESS_NOT_FOUND', {
      attempted: 'list the namespaces of process',
      target: String(pid),
      reason: `${page.host.name} has not reported such a process`,
    });
  }
  const keys = new Set(process.namespaces.map((key, index) => `${namespaceTypes[index]} ${key}`));
  return (row) => row.hostId === page.host.id && row.bootId === page.host.bootId && row.current && keys.has(`${row.type} ${row.key}`);
}
