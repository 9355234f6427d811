/** `nsfleet host ls`. */
import type { Client } from '#shared/client.ts';
import type { Host } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { labelsText } from '../output/block.ts';
import { stateColor } from '../output/color.ts';
import { pickColumns } from '../output/columns.ts';
import { printJson } from '../output/json.ts';
import { bytesText } from '../output/sizes.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { ago } from '../output/times.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';

export type HostListOptions = { filter?: string; output?: string; columns?: string; headings?: boolean };

/** Prints hosts by name. */
export async function listHosts(
  session: Session,
  { filter, columns, output = columns, headings = true }: HostListOptions,
): Promise<number> {
  const chosen = pickColumns(hostColumns(session.now()), usual, output, { last: 'ID' });
  const hosts = await allHosts(connect(session).client, filter);
  if (session.json) printJson(session, { hosts });
  else printTable(session, chosen, hosts, { headings });
  return 0;
}

/** Names of all hosts by id. */
export async function hostNames(client: Client): Promise<Map<string, string>> {
  return new Map((await allHosts(client)).map(({ id, name }) => [id, name]));
}

/** All hosts that the filter chooses, by name. */
export function allHosts(client: Client, filter?: string): Promise<Host[]> {
  return allPages(async (cursor) => {
    const { hosts: items, nextCursor } = await client.call('hostList', { query: { cursor, filter } });
    return { items, nextCursor };
  });
}

/** The id, which is a long one where nobody chose it, stands where a narrow terminal cuts it: hosts are called by name. */
const usual = ['NAME', 'STATUS', 'SANDBOXES', 'NAMESPACES', 'SCAN', 'CHANGES', 'HIDDEN', 'HEARD', 'KERNEL', 'LABELS', 'ID'];

function hostColumns(now: Date): Column<Host>[] {
  return [
    { name: 'ID', cell: (host) => host.id },
    { name: 'NAME', cell: (host) => host.name },
    { name: 'STATUS', cell: (host) => host.status, paint: (host) => stateColor(host.status) },
    { name: 'SANDBOXES', align: 'right', cell: (host) => `${host.used.sandboxes}/${host.capacity.sandboxes}` },
    { name: 'NAMESPACES', align: 'right', cell: (host) => host.namespaces },
    { name: 'SCAN', cell: (host) => host.facts?.scanSource ?? null },
    { name: 'CHANGES', cell: (host) => host.facts?.changeSource ?? null },
    { name: 'HIDDEN', align: 'right', cell: (host) => (host.scan === null ? null : hiddenCount(host.scan)) },
    { name: 'PARTIAL', cell: (host) => (host.scan === null ? null : host.scan.partial ? 'yes' : 'no') },
    { name: 'CPUS', align: 'right', cell: (host) => host.facts?.cpus ?? null },
    { name: 'MEMORY', align: 'right', cell: (host) => (host.facts === null ? null : bytesText(host.facts.memoryBytes)) },
    { name: 'KERNEL', cell: (host) => host.facts?.kernelRelease ?? null },
    { name: 'AGENT', cell: (host) => host.facts?.agentVersion ?? null },
    { name: 'BOOT', cell: (host) => host.bootId },
    { name: 'HEARD', cell: (host) => ago(host.lastBeatAt, now) },
    { name: 'REPORTED', cell: (host) => ago(host.lastReportAt, now) },
    { name: 'LABELS', cell: (host) => labelsText(host.labels) },
  ];
}

/** How many things the last scan could not look into. */
export function hiddenCount({ unreadable, hidden }: NonNullable<Host['scan']>): number {
  return Object.values(hidden).reduce((sum, count) => sum + count, unreadable);
}
