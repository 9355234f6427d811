/** What is wrong with the fleet, in sentences, and how big it is. Answers also while the database is away: that is what is wrong then. */
import { deadline } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { FleetStatus } from '#shared/resources.ts';
import packageJson from '../package.json' with { type: 'json' };
import type { Context } from './context.ts';
import { listHosts } from './store/hosts.ts';
import { appliedMigration } from './store/migrate.ts';
import { countFleet, databaseVersion } from './store/status.ts';
import type { FleetCounts } from './store/status.ts';

const databaseMs = 3000;
/** A sentence names as many hosts. */
const namesMax = 5;

type Seen = FleetCounts & Pick<FleetStatus, 'database' | 'problems'>;

export async function fleetStatus(context: Context): Promise<FleetStatus> {
  const { ok, server, version, reason } = context.link.state();
  const seen = await deadline(look(context), databaseMs, 'count', 'the fleet').catch(blind);
  const problems = [...(ok ? [] : [`NATS at ${server} is not usable: ${reason}.`]), ...seen.problems];
  return {
    ...seen,
    version: packageJson.version,
    controllerId: context.controllerId,
    ok: problems.length === 0,
    problems,
    nats: { ok, server, version },
  };
}

async function look({ store: { db } }: Context): Promise<Seen> {
  const [counts, version, migration] = await Promise.all([countFleet(db), databaseVersion(db), appliedMigration(db)]);
  const silent = counts.hosts.unknown === 0 ? [] : (await listHosts(db, { limit: 1000 })).hosts.filter((host) => host.status === 'unknown');
  return { ...counts, database: { ok: true, version, migration }, problems: sentences(counts, silent) };
}

function sentences({ hosts, sandboxes }: FleetCounts, silent: readonly { name: string; statusReason: string }[]): string[] {
  const problems: string[] = [];
  if (hosts.ready + hosts.unknown === 0) problems.push('No host is enrolled.');
  else if (hosts.ready === 0) problems.push('No host is ready: nothing can be placed.');
  for (const { name, statusReason } of silent.slice(0, namesMax)) problems.push(`Host ${name} is not ready: ${statusReason}.`);
  if (hosts.unknown > namesMax) problems.push(`${hosts.unknown - namesMax} more hosts are not ready.`);
  const lost = sandboxes.lost ?? 0;
  if (lost > 0) problems.push(`${lost} ${lost === 1 ? 'sandbox is' : 'sandboxes are'} lost: their hosts cannot say how they ended.`);
  return problems;
}

function blind(error: unknown): Seen {
  return {
    hosts: { ready: 0, unknown: 0 },
    namespaces: { mnt: 0, cgroup: 0, uts: 0, ipc: 0, user: 0, pid: 0, net: 0, time: 0 },
    sandboxes: {},
    database: { ok: false, version: '', migration: '' },
    problems: [`The database does not answer: ${errorText(error)}.`],
  };
}
