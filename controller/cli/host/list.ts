/** `nsfleet host ls`. */
import type { Client } from '#shared/client.ts';
import type { Host } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { labelsText } from '../output/block.ts';
import { stateColor } from '../output/color.ts';
import { printJson } from '../output/json.ts';
import { bytesText } from '../output/sizes.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { ago } from '../output/times.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';

/** Prints all hosts by name. */
export async function listHosts(session: Session): Promise<number> {
  const { client } = connect(session);
  const hosts = await allHosts(client);
  if (session.json) printJson(session, { hosts });
  else printTable(session, hostColumns(session.now()), hosts);
  return 0;
}

/** All hosts by name. */
export function allHosts(client: Client): Promise<Host[]> {
  return allPages(async (cursor) => {
    const { hosts: items, nextCursor } = await client.call('hostList', { query: { cursor } });
    return { items, nextCursor };
  });
}

function hostColumns(now: Date): Column<Host>[] {
  return [
    { name: 'ID', cell: (host) => host.id },
    { name: 'NAME', cell: (host) => host.name },
    { name: 'STATUS', cell: (host) => host.status, paint: (host) => stateColor(host.status) },
    { name: 'SANDBOXES', align: 'right', cell: (host) => `${host.used.sandboxes}/${host.capacity.sandboxes}` },
    { name: 'NAMESPACES', align: 'right', cell: (host) => host.namespaces },
    { name: 'CPUS', align: 'right', cell: (host) => host.facts?.cpus ?? null },
    { name: 'MEMORY', align: 'right', cell: (host) => (host.facts === null ? null : bytesText(host.facts.memoryBytes)) },
    { name: 'KERNEL', cell: (host) => host.facts?.kernelRelease ?? null },
    { name: 'HEARD', cell: (host) => ago(host.lastBeatAt, now) },
    { name: 'LABELS', cell: (host) => labelsText(host.labels) },
  ];
}
