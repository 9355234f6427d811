/** `nsfleet status`. */
import type { FleetStatus, Host } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { blockLines } from '../output/block.ts';
import type { Field } from '../output/block.ts';
import { paint } from '../output/color.ts';
import { printable } from '#shared/escape.ts';
import { printJson } from '../output/json.ts';
import { allHosts } from '../host/list.ts';
import type { Session } from '../session.ts';

/** Prints what is wrong, then how big the fleet is. Exit code 0 where all is well, 1 where there are problems. */
export async function printStatus(session: Session): Promise<number> {
  const { client, api } = connect(session);
  const status = await client.call('status');
  if (session.json) {
    printJson(session, status);
  } else {
    const lines = [
      ...verdict(status, session.color),
      ...incompleteHosts(await allHosts(client)),
      ...blockLines([['Controller', `${api} (${status.controllerId})`], ...counts(status)]),
    ];
    session.stdout.write(`${lines.join('\n')}\n`);
  }
  return status.ok ? 0 : 1;
}

function verdict(status: FleetStatus, color: boolean): string[] {
  if (status.ok && status.problems.length === 0) return [color ? paint('green', 'All is well.') : 'All is well.'];
  const heading = status.problems.length === 0 ? 'The controller says that it is not well.' : 'Problems:';
  return [color ? paint('red', heading) : heading, ...status.problems.map((problem) => `  ${printable(problem)}`)];
}

/** No problem of the fleet: such a host works, with less than it could do. */
function incompleteHosts(hosts: readonly Host[]): string[] {
  const names = hosts.filter(({ facts }) => facts !== null && facts.missing.length > 0).map(({ name }) => name);
  const [first] = names;
  if (first === undefined) return [];
  return [`${names.length} ${names.length === 1 ? 'host' : 'hosts'} with something missing: \`nsfleet host show ${printable(first)}\``];
}

function counts({ version, database, nats, hosts, namespaces, sandboxes }: FleetStatus): Field[] {
  return [
    ['Version', version],
    ['Database', `${database.ok ? 'ok' : 'not ok'}, PostgreSQL ${database.version}, migration ${database.migration}`],
    ['NATS', `${nats.ok ? 'ok' : 'not ok'}, ${nats.version}, ${nats.server}`],
    ['Hosts', counted(hosts)],
    ['Namespaces', counted(namespaces)],
    // Removed ones are history.
    ['Sandboxes', counted({ ...sandboxes, removed: 0 })],
  ];
}

/** `{running: 2, stopped: 1, lost: 0}` as `3: 2 running, 1 stopped`. */
function counted(numbers: Readonly<Record<string, number | undefined>>): string {
  const entries = Object.entries(numbers).flatMap(([name, number]) => (number === undefined || number === 0 ? [] : [{ name, number }]));
  const total = entries.reduce((sum, { number }) => sum + number, 0);
  return total === 0 ? '0' : `${total}: ${entries.map(({ name, number }) => `${number} ${name}`).join(', ')}`;
}
