/** `nsfleet ns diff`: between two moments, or between two hosts. Its exit code is that of diff(1). */
import type { Reply } from '#shared/client.ts';
import type { HostDiffGroup, Namespace } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { usage } from '../failure.ts';
import { changesText } from '../fleet/event-table.ts';
import { momentOption } from '../moments.ts';
import { printJson } from '../output/json.ts';
import type { Paint } from '../output/color.ts';
import { shown } from '../output/raw.ts';
import type { Shown } from '../output/raw.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import type { Session } from '../session.ts';
import { readType } from './list.ts';
import { calledText } from './names.ts';

export type DiffOptions = { from?: string; to?: string; at?: string; host?: string; type?: string };

const path = 'nsfleet ns diff';
const same = 0;
const different = 1;
/** The most that the API lists; all are counted. */
const listedMax = 10_000;

/** Prints what is different; returns 0 where nothing is, 1 where something is. */
export async function diffNamespaces(session: Session, hosts: readonly string[], options: DiffOptions): Promise<number> {
  const [left, right] = hosts;
  if (hosts.length > 2) throw usage(path, `two hosts can be compared, not ${hosts.length}`);
  if (left !== undefined && right !== undefined) return betweenHosts(session, left, right, options);
  if (left !== undefined) throw usage(path, 'name two hosts, or none and --from');
  return betweenMoments(session, options);
}

async function betweenMoments(session: Session, { from, to, at, host, type }: DiffOptions): Promise<number> {
  const now = session.now();
  if (at !== undefined) throw usage(path, '--at is for two hosts; two moments are --from and --to');
  if (from === undefined) throw usage(path, 'name two moments (--from T, and --to T or now), or two hosts');
  const query = {
    from: momentOption('--from', from, now),
    to: momentOption('--to', to ?? 'now', now),
    host,
    type: type === undefined ? undefined : readType(type),
    limit: listedMax,
  };
  const found = await connect(session).client.call('namespaceDiff', { query });
  const { counts } = found;
  if (session.json) printJson(session, found);
  else printMoments(session, found);
  return counts.added + counts.removed + counts.changed === 0 ? same : different;
}

type Line = { sign: '+' | '-' | '~'; namespace: Namespace; what: Shown | null };

function printMoments(session: Session, { from, to, counts, added, removed, changed }: Reply<'namespaceDiff'>): void {
  const { before, after, between } = counts;
  const short = between === 0 ? '' : `, ${between} came and went between`;
  session.stdout.write(
    `${from} to ${to}: ${before} namespaces, then ${after}: ${counts.added} came, ${counts.removed} went, ${counts.changed} changed${short}\n`,
  );
  const line =
    (sign: Line['sign']) =>
    (namespace: Namespace): Line => ({ sign, namespace, what: calledText(namespace) });
  const lines = [
    ...removed.map(line('-')),
    ...added.map(line('+')),
    ...changed.map(({ namespace, changes }): Line => ({ sign: '~', namespace, what: changesText(changes) })),
  ].toSorted((a, b) => (BigInt(a.namespace.id) < BigInt(b.namespace.id) ? -1 : 1));
  if (lines.length > 0) printTable(session, momentColumns, lines);
  const cut = counts.added + counts.removed + counts.changed - lines.length;
  if (cut > 0) session.stderr.write(`warning: ${cut} more are not shown: ask for less with --host or --type\n`);
}

const signPaint: Record<Line['sign'], Paint> = { '+': 'green', '-': 'red', '~': 'yellow' };

const momentColumns: Column<Line>[] = [
  { name: ' ', cell: ({ sign }) => sign, paint: ({ sign }) => signPaint[sign] },
  { name: 'ID', align: 'right', cell: ({ namespace }) => namespace.id },
  { name: 'NS', align: 'right', cell: ({ namespace }) => namespace.inode },
  { name: 'TYPE', cell: ({ namespace }) => namespace.type },
  { name: 'NPROCS', align: 'right', cell: ({ namespace }) => namespace.processCount },
  { name: 'HOST', cell: ({ namespace }) => namespace.hostName },
  { name: 'WHAT', cell: ({ what }) => what },
];

async function betweenHosts(session: Session, left: string, right: string, { from, to, at, host, type }: DiffOptions): Promise<number> {
  if (from !== undefined || to !== undefined || host !== undefined)
    throw usage(path, 'two hosts are compared at one moment: --at T, or now');
  const query = {
    left,
    right,
    type: type === undefined ? undefined : readType(type),
    at: at === undefined ? undefined : momentOption('--at', at, session.now()),
  };
  const found = await connect(session).client.call('hostDiff', { query });
  if (session.json) printJson(session, found);
  else printHosts(session, found);
  return found.groups.length === 0 ? same : different;
}

function printHosts(session: Session, { left, right, same: matched, groups }: Reply<'hostDiff'>): void {
  const heading = shown`${left.name}: ${left.namespaces} namespaces, ${right.name}: ${right.namespaces}, ${matched} of them on both`;
  session.stdout.write(`${heading.shown}\n`);
  const columns: Column<HostDiffGroup>[] = [
    { name: ' ', cell: sign, paint: (group) => signPaint[sign(group)] },
    { name: 'TYPE', cell: ({ type }) => type },
    { name: 'LEFT', align: 'right', cell: ({ left: count }) => count },
    { name: 'RIGHT', align: 'right', cell: ({ right: count }) => count },
    { name: 'BY', cell: ({ by }) => by },
    { name: 'NAME', cell: ({ name }) => shown`${name}` },
    { name: 'IDS', cell: ({ leftIds, rightIds, ...counts }) => idsText(leftIds, counts.left, rightIds, counts.right) },
  ];
  if (groups.length > 0) printTable(session, columns, groups);
}

/** As diff(1): - is only on the left, + only on the right. */
function sign({ left, right }: HostDiffGroup): Line['sign'] {
  return right === 0 ? '-' : left === 0 ? '+' : '~';
}

function idsText(leftIds: readonly string[], left: number, rightIds: readonly string[], right: number): string {
  const side = (name: string, ids: readonly string[], count: number): string[] =>
    ids.length === 0 ? [] : [`${name} ${ids.join(' ')}${count > ids.length ? ' …' : ''}`];
  return [...side('left', leftIds, left), ...side('right', rightIds, right)].join(', ');
}
