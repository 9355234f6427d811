/** `nsfleet ns reap`. */
import type { Reply } from '#shared/client.ts';
import { exitCodes } from '#shared/errors.ts';
import { connect } from '../../connection.ts';
import { usage } from '../../failure.ts';
import { printJson } from '../../output/json.ts';
import { raw } from '../../output/raw.ts';
import { printTable } from '../../output/table.ts';
import type { Column } from '../../output/table.ts';
import { allPages } from '../../pages.ts';
import type { Session } from '../../session.ts';

export type ReapOptions = { dryRun?: boolean; leaks?: boolean; host?: string };

/** Takes away what pins the named namespaces, or those of all open leaks. 1 where one was refused. */
export async function reapNamespaces(session: Session, named: readonly string[], options: ReapOptions): Promise<number> {
  if ((named.length === 0) === (options.leaks !== true)) throw usage('nsfleet ns reap', 'name namespaces, or give --leaks, and not both');
  const { client } = connect(session);
  const leaks = async (): Promise<string[]> => {
    const all = await allPages(async (cursor) => {
      const page = await client.call('leakList', { query: { cursor, host: options.host } });
      return { items: page.leaks, nextCursor: page.nextCursor };
    });
    return [...new Set(all.flatMap(({ namespace }) => (namespace === null ? [] : [namespace.id])))];
  };
  const namespaces = named.length > 0 ? [...named] : await leaks();
  const outcomes: Outcome[] = [];
  // The API takes a thousand at once.
  for (let from = 0; from < namespaces.length; from += 1000) {
    const body = { namespaces: namespaces.slice(from, from + 1000), dryRun: options.dryRun === true };
    outcomes.push(...(await client.call('namespaceReap', { body })).outcomes);
  }
  if (session.json) printJson(session, { outcomes });
  else printTable(session, columns(options.dryRun === true), outcomes);
  return outcomes.some(({ refused }) => refused !== null) ? exitCodes.failed : exitCodes.ok;
}

type Outcome = Reply<'namespaceReap'>['outcomes'][number];

function columns(dryRun: boolean): Column<Outcome>[] {
  return [
    { name: 'ID', align: 'right', cell: (row) => row.namespaceId },
    { name: 'TYPE', cell: (row) => row.type },
    { name: 'HOST', cell: (row) => row.hostName },
    { name: 'RESULT', cell: (row) => (row.refused !== null ? 'refused' : dryRun ? 'would be reaped' : 'reaped') },
    { name: 'STEPS', cell: (row) => raw(row.refused ?? row.steps.map(({ action, path }) => `${action} ${path}`).join('; ')) },
  ];
}
