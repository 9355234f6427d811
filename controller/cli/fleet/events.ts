/** `nsfleet events`. */
import { sleep } from '#shared/async.ts';
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Event } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { printJson, printJsonLine } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import type { Session } from '../session.ts';

export type EventOptions = { since?: string; follow?: boolean };

const pageSize = 1000;
const pollMs = 1000;

/** Prints the events after a number; with `follow` never returns by itself. */
export async function printEvents(session: Session, options: EventOptions): Promise<number> {
  const since = options.since ?? '0';
  if (!/^[0-9]{1,19}$/.test(since)) {
    throw new NsfleetError('USAGE', { attempted: 'list events after', target: since, reason: 'not the number of an event' });
  }
  const { client } = connect(session);
  const events = await eventsAfter(client, since);
  if (options.follow !== true) {
    if (session.json) printJson(session, { events });
    else printTable(session, columns, events);
    return 0;
  }
  let headings = true;
  for (let last = since, batch = events; ; batch = await eventsAfter(client, last)) {
    if (session.json) for (const event of batch) printJsonLine(session, event);
    else if (headings || batch.length > 0) printTable(session, columns, batch, headings);
    headings = false;
    last = batch.at(-1)?.seq ?? last;
    await sleep(pollMs);
  }
}

async function eventsAfter(client: Client, since: string): Promise<Event[]> {
  const all: Event[] = [];
  for (let last = since; ;) {
    const { events } = await client.call('eventList', { query: { since: last, limit: pageSize } });
    all.push(...events);
    const next = events.at(-1)?.seq;
    if (next === undefined || next === last || events.length < pageSize) return all;
    last = next;
  }
}

const columns: Column<Event>[] = [
  { name: 'SEQ', align: 'right', cell: (event) => event.seq },
  { name: 'TIME', cell: (event) => event.at },
  { name: 'TYPE', cell: (event) => event.type },
  { name: 'HOST', cell: (event) => event.hostId },
  { name: 'SANDBOX', cell: (event) => event.sandboxId },
  { name: 'NAMESPACE', align: 'right', cell: (event) => event.namespaceId },
  { name: 'DETAIL', cell: (event) => (Object.keys(event.detail).length === 0 ? null : JSON.stringify(event.detail)) },
];
