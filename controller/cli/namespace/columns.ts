/** The columns of `nsfleet ns ls`, named as lsns names them where it has them. */
import { NsfleetError } from '#shared/errors.ts';
import type { Namespace } from '#shared/resources.ts';
import { raw } from '../output/raw.ts';
import type { Column } from '../output/table.ts';
import { ago } from '../output/times.ts';

/** All columns. There are no user names: they belong to the host's own passwd. */
export function namespaceColumns(now: Date): Column<Namespace>[] {
  return [
    { name: 'ID', align: 'right', cell: (row) => row.id },
    { name: 'NS', align: 'right', cell: (row) => row.inode },
    { name: 'TYPE', cell: (row) => row.type },
    { name: 'NPROCS', align: 'right', cell: (row) => row.processCount },
    { name: 'PID', align: 'right', cell: (row) => row.leader?.pid ?? null },
    { name: 'UID', align: 'right', cell: (row) => row.leader?.uid ?? null },
    { name: 'HOST', cell: (row) => row.hostName },
    { name: 'SANDBOX', cell: (row) => row.sandbox?.name ?? null },
    // Kernel threads have no command line; lsns shows their name too.
    { name: 'COMMAND', cell: (row) => raw(row.leader?.command || row.leader?.comm) },
    { name: 'COMM', cell: (row) => raw(row.leader?.comm) },
    { name: 'KEY', cell: (row) => row.key },
    { name: 'PARENT', cell: (row) => row.parent },
    { name: 'OWNER', cell: (row) => row.owner },
    { name: 'OWNER-UID', align: 'right', cell: (row) => row.ownerUid },
    { name: 'BOOT', cell: (row) => row.bootId },
    { name: 'FIRST-SEEN', cell: (row) => ago(row.firstSeen, now) },
    { name: 'LAST-SEEN', cell: (row) => ago(row.lastSeen, now) },
    { name: 'CURRENT', cell: (row) => (row.current ? 'yes' : 'no') },
  ];
}

const usual = ['ID', 'NS', 'TYPE', 'NPROCS', 'PID', 'UID', 'HOST', 'COMMAND'];

/**
 * The columns to print. `output` is what --output says: a list, or with a leading + an addition to the usual ones. SANDBOX is usual
 * where a row belongs to a sandbox, LAST-SEEN where a row is past.
 */
export function chooseColumns(rows: readonly Namespace[], output: string | undefined, now: Date): Column<Namespace>[] {
  const all = namespaceColumns(now);
  const named = (name: string): Column<Namespace> => {
    const asked = name.trim().toUpperCase().replaceAll('_', '-');
    // lsns calls it so.
    const found = all.find((column) => column.name === (asked === 'USER' ? 'UID' : asked));
    if (found !== undefined) return found;
    throw new NsfleetError('USAGE', {
      attempted: 'print column',
      target: name,
      reason: 'there is no such column',
      remedy: `choose from ${all.map((column) => column.name).join(',')}`,
    });
  };
  const plain = usual.flatMap((name) => {
    if (name !== 'COMMAND') return [name];
    const sandbox = rows.some((row) => row.sandbox !== null) ? ['SANDBOX'] : [];
    const past = rows.some((row) => !row.current) ? ['LAST-SEEN'] : [];
    return [...sandbox, ...past, name];
  });
  if (output === undefined) return plain.map(named);
  const added = output.startsWith('+');
  const asked = (added ? output.slice(1) : output).split(',');
  // COMMAND stays last: it is the long one.
  return added ? [...plain.slice(0, -1), ...asked, 'COMMAND'].map(named) : asked.map(named);
}
