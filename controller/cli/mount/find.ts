/** `nsfleet mount find`. */
import type { Reply } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import { printable } from '#shared/escape.ts';
import { rawText } from '#shared/raw-text.ts';
import { connect } from '../connection.ts';
import { printJson } from '../output/json.ts';
import { raw } from '../output/raw.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import type { Session } from '../session.ts';

export type MountFindOptions = { source?: string; target?: string; type?: string; host?: string };

type FoundMount = Reply<'mountFind'>['mounts'][number];

/** Prints the mounts that the hosts have now; who did not answer, and what could not be read, is told on standard error. */
export async function findMounts(session: Session, options: MountFindOptions): Promise<number> {
  const { source, target, type, host } = options;
  if (source === undefined && target === undefined && type === undefined) {
    throw new NsfleetError('USAGE', {
      attempted: 'find mounts',
      target: 'nsfleet mount find',
      reason: 'nothing to look for was given',
      remedy: 'give --source, --target or --type; `--target /` finds all',
    });
  }
  const asRaw = (text: string | undefined): string | undefined => (text === undefined ? undefined : rawText(Buffer.from(text)));
  const found = await connect(session).client.call('mountFind', {
    query: { source: asRaw(source), target: asRaw(target), fsType: type, host },
  });
  if (session.json) {
    printJson(session, found);
    return 0;
  }
  printTable(session, columns, found.mounts);
  const warn = (text: string): void => void session.stderr.write(`warning: ${printable(text)}\n`);
  for (const name of found.truncated) warn(`${name} has more than is shown: ask for less`);
  for (const name of found.silent) warn(`${name} did not answer`);
  if (found.unread > 0) warn(`${found.unread} mount namespaces could not be read: no process lives there, or reading is refused`);
  return 0;
}

const columns: Column<FoundMount>[] = [
  { name: 'HOST', cell: (row) => row.hostName },
  { name: 'NS', align: 'right', cell: (row) => row.namespaceId ?? row.namespace },
  { name: 'PID', align: 'right', cell: (row) => row.pid },
  { name: 'COMM', cell: (row) => raw(row.comm) },
  { name: 'TYPE', cell: (row) => raw(row.fsType) },
  { name: 'SOURCE', cell: (row) => raw(row.root === '/' ? row.source : `${row.source}[${row.root}]`) },
  { name: 'PROPAGATION', cell: (row) => row.propagation },
  { name: 'TARGET', cell: (row) => raw(row.target) },
];
