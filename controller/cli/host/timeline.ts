/** `nsfleet host timeline`. */
import { connect } from '../connection.ts';
import { eventColumns } from '../fleet/event-table.ts';
import { momentOption } from '../moments.ts';
import { printJson } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';

export type TimelineOptions = { since?: string; until?: string; type?: string[]; filter?: string };

/** Of a busy host the whole past is long; a day is what somebody who looks for what happened wants first. */
const sinceDefault = '-24h';

/** Prints what happened on a host, oldest first. */
export async function printTimeline(session: Session, host: string, options: TimelineOptions): Promise<number> {
  const now = session.now();
  const from = momentOption('--since', options.since ?? sinceDefault, now);
  const to = options.until === undefined ? undefined : momentOption('--until', options.until, now);
  const { client } = connect(session);
  const found = { id: '', name: host };
  const events = await allPages(async (cursor) => {
    const query = { cursor, from, to, types: options.type?.join(','), filter: options.filter };
    const page = await client.call('hostTimeline', { params: { host }, query });
    Object.assign(found, page.host);
    return { items: page.events, nextCursor: page.nextCursor };
  });
  if (session.json) printJson(session, { host: found, from, to: to ?? now.toISOString(), events });
  else
    printTable(
      session,
      eventColumns(new Map()).filter(({ name }) => name !== 'HOST'),
      events,
    );
  return 0;
}
