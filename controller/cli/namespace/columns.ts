/** The columns of `nsfleet ns ls`, named as lsns names them where it has them. */
import type { Namespace } from '#shared/resources.ts';
import { pickColumns } from '../output/columns.ts';
import { raw } from '../output/raw.ts';
import type { Column } from '../output/table.ts';
import { ago, durationText, elapsedMs } from '../output/times.ts';
import { detailsText } from './details.ts';
import { allNames, bestName, calledText, commandOf } from './names.ts';

/** All columns. There are no user names: they belong to the host's own passwd. */
export function namespaceColumns(now: Date): Column<Namespace>[] {
  return [
    { name: 'ID', align: 'right', cell: (row) => row.id },
    { name: 'NS', align: 'right', cell: (row) => row.inode },
    { name: 'TYPE', cell: (row) => row.type },
    { name: 'NPROCS', align: 'right', cell: (row) => row.processCount },
    { name: 'HOLDERS', align: 'right', cell: (row) => row.referenceCount },
    { name: 'PID', align: 'right', cell: (row) => row.leader?.pid ?? null },
    { name: 'UID', align: 'right', cell: (row) => row.leader?.uid ?? null },
    { name: 'HOST', cell: (row) => row.hostName },
    { name: 'NAME', cell: bestName },
    { name: 'NAMES', cell: allNames },
    { name: 'CALLED', cell: calledText },
    { name: 'SANDBOX', cell: (row) => row.sandbox?.name ?? null },
    { name: 'COMMAND', cell: commandOf },
    { name: 'COMM', cell: (row) => raw(row.leader?.comm) },
    { name: 'HOSTNAME', cell: (row) => raw(row.details?.hostname) },
    { name: 'DETAIL', cell: (row) => detailsText(row.details) },
    { name: 'KEY', cell: (row) => row.key },
    { name: 'PARENT', cell: (row) => row.parent },
    { name: 'OWNER', cell: (row) => row.owner },
    { name: 'OWNER-UID', align: 'right', cell: (row) => row.ownerUid },
    { name: 'BOOT', cell: (row) => row.bootId },
    { name: 'AGE', cell: (row) => durationText(elapsedMs(row.firstSeen, row.current ? null : row.lastSeen, now)) },
    { name: 'FIRST-SEEN', cell: (row) => ago(row.firstSeen, now) },
    { name: 'LAST-SEEN', cell: (row) => ago(row.lastSeen, now) },
    { name: 'CURRENT', cell: (row) => (row.current ? 'yes' : 'no') },
    { name: 'PARTIAL', cell: (row) => (row.partial ? 'yes' : 'no') },
  ];
}

/** With fewer columns a name leaves no room for the command beside it. */
const narrowBelow = 120;

/** lsns calls them so. */
const aliases: Readonly<Record<string, string>> = { USER: 'UID', NSNAME: 'NAME', ONS: 'OWNER', PNS: 'PARENT' };

/**
 * The columns to print. `output` is what --output says: a list, or with a leading + an addition to the usual ones. HOLDERS is usual where a
 * row has no process, NAME where one has a name (where the terminal is narrow CALLED instead of it and of COMMAND), SANDBOX where one belongs to a sandbox that no name tells, LAST-SEEN where one is past.
 * `at`: the rows are of a moment, so that being past means nothing.
 */
export function chooseColumns(
  rows: readonly Namespace[],
  output: string | undefined,
  now: Date,
  { tree = false, at = false, width }: { tree?: boolean; at?: boolean; width?: number | undefined } = {},
): Column<Namespace>[] {
  const hasName = ({ names }: Namespace): boolean => names.length > 0;
  const narrow = width !== undefined && width < narrowBelow && rows.some(hasName);
  const where = (name: string, condition: (row: Namespace) => boolean): string[] => (rows.some(condition) ? [name] : []);
  const usual = [
    ...(tree ? ['NS', 'ID'] : ['ID', 'NS']),
    'TYPE',
    'NPROCS',
    ...where('HOLDERS', ({ processCount, current }) => current && !at && processCount === 0),
    'PID',
    'UID',
    'HOST',
    ...where('SANDBOX', ({ sandbox, names }) => sandbox !== null && names.every(({ source }) => source !== 'nsfleet')),
    ...(at ? [] : where('LAST-SEEN', ({ current }) => !current)),
    ...(narrow ? ['CALLED'] : [...where('NAME', hasName), 'COMMAND']),
  ];
  return pickColumns(namespaceColumns(now), usual, output, { last: narrow ? 'CALLED' : 'COMMAND', aliases });
}
