/** `nsfleet ns history`. */
import type { Namespace } from '#shared/resources.ts';
import type { Reply } from '#shared/client.ts';
import { connect } from '../connection.ts';
import { eventColumns } from '../fleet/event-table.ts';
import { printJson } from '../output/json.ts';
import { shown } from '../output/raw.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { durationText, elapsedMs } from '../output/times.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';
import { calledText } from './names.ts';
import { whichQuery } from './show.ts';
import type { WhichOptions } from './show.ts';

export type HistoryOptions = WhichOptions & { inode?: boolean };

/** Prints from when to when a namespace was there, and what happened to it; with `inode` also those that had its inode before and after it. */
export async function printHistory(session: Session, name: string, options: HistoryOptions): Promise<number> {
  const { client } = connect(session);
  let intervals: Namespace[] = [];
  const inode = options.inode === true ? 'true' : 'false';
  const events = await allPages(async (cursor) => {
    const query = { ...whichQuery(options), inode, cursor } as const;
    const page: Reply<'namespaceHistory'> = await client.call('namespaceHistory', { params: { namespace: name }, query });
    intervals = page.intervals;
    return { items: page.events, nextCursor: page.nextCursor };
  });
  if (session.json) {
    printJson(session, { intervals, events });
    return 0;
  }
  printTable(session, columns(session.now()), intervals);
  session.stdout.write('\n');
  // One host, and mostly one namespace: what is the same in every line is left out.
  const same = intervals.length === 1 ? ['HOST', 'ID'] : ['HOST'];
  printTable(
    session,
    eventColumns(new Map()).filter(({ name }) => !same.includes(name)),
    events,
    { cut: false },
  );
  return 0;
}

function columns(now: Date): Column<Namespace>[] {
  return [
    { name: 'ID', align: 'right', cell: (row) => row.id },
    { name: 'NS', align: 'right', cell: (row) => row.inode },
    { name: 'TYPE', cell: (row) => row.type },
    { name: 'HOST', cell: (row) => row.hostName },
    { name: 'FROM', cell: (row) => row.firstSeen },
    { name: 'TO', cell: (row) => (row.current ? shown`now` : shown`${row.lastSeen}${row.endUnseen ? ' or later' : ''}`) },
    { name: 'FOR', cell: (row) => durationText(elapsedMs(row.firstSeen, row.current ? null : row.lastSeen, now)) },
    { name: 'WHAT', cell: calledText },
  ];
}
