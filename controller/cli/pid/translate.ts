/** `nsfleet pid translate`. */
import { NsfleetError } from '#shared/errors.ts';
import type { Reply } from '#shared/client.ts';
import { connect } from '../connection.ts';
import { printJson } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import type { Session } from '../session.ts';

export type PidTranslateOptions = { host: string; ns?: string };

type Level = Reply<'pidTranslate'>['pids'][number];

/** Prints a process's pid in every pid namespace that it is in, outermost first. */
export async function translatePid(session: Session, pid: string, { host, ns }: PidTranslateOptions): Promise<number> {
  if (!/^[1-9][0-9]{0,9}$/.test(pid)) {
    throw new NsfleetError('USAGE', { attempted: 'translate pid', target: pid, reason: 'it is no pid', remedy: 'give a number from 1 on' });
  }
  const found = await connect(session).client.call('pidTranslate', { params: { host, pid: Number(pid) }, query: { namespace: ns } });
  if (session.json) printJson(session, found);
  else printTable(session, columns, found.pids);
  return 0;
}

const columns: Column<Level>[] = [
  { name: 'PID', align: 'right', cell: (row) => row.pid },
  { name: 'NS', align: 'right', cell: (row) => row.namespaceId },
  { name: 'KEY', cell: (row) => row.namespace ?? 'hidden from the agent' },
];
