/** `nsfleet events`. */
import type { FollowRequest } from '#shared/sockets.ts';
import type { Client } from '#shared/client.ts';
import type { Event } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { hostNames } from '../host/list.ts';
import { momentOption } from '../moments.ts';
import { printJson, printJsonLine } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { eventColumns } from './event-table.ts';
import { followEvents } from './follow.ts';

export type EventOptions = {
  since?: string;
  follow?: boolean;
  type?: string[];
  host?: string;
  sandbox?: string;
  ns?: string;
  filter?: string;
};

type Choice = Omit<FollowRequest, 'since'>;

const pageSize = 1000;

/** Prints the events after a number or since a moment; with `follow` never returns by itself. */
export async function printEvents(session: Session, options: EventOptions): Promise<number> {
  const { host, sandbox, ns: namespace, filter } = options;
  const since = options.since === undefined ? undefined : sinceOption(options.since, session.now());
  const types = options.type?.join(',');
  const choice = Object.fromEntries(
    Object.entries({ types, host, sandbox, namespace, filter }).filter(([, value]) => value !== undefined),
  ) as Choice;
  const { client } = connect(session);
  if (options.follow === true) return follow(session, client, choice, since);
  const events: Event[] = [];
  for await (const page of eventPages(client, choice, since ?? '0')) events.push(...page);
  if (session.json) printJson(session, { events });
  else printTable(session, eventColumns(await hostNames(client)), events, { cut: false });
  return 0;
}

/** A number as it is; a moment becomes one of UTC, so that it stays the same where a connection breaks before the first event. */
function sinceOption(text: string, now: Date): string {
  return /^[0-9]{1,18}$/.test(text) ? text : momentOption('--since', text, now);
}

async function follow(session: Session, client: Client, choice: Choice, since: string | undefined): Promise<never> {
  const columns = eventColumns(session.json ? new Map() : await hostNames(client), true);
  let headings = true;
  return followEvents(session, choice, since ?? (await newest(client)), (event) => {
    if (session.json) printJsonLine(session, event);
    else printTable(session, columns, [event], { headings, cut: false });
    headings = false;
  });
}

async function* eventPages(client: Client, choice: Choice, since: string): AsyncGenerator<Event[]> {
  for (let at = since; ;) {
    const { events, last } = await client.call('eventList', { query: { ...choice, since: at, limit: pageSize } });
    yield events;
    // Where a filter leaves little, `last` goes on while nothing comes.
    if (last === at) return;
    at = last;
  }
}

/** The number of the newest event. No event is of namespace 0, so none is sent and all are looked at. */
async function newest(client: Client): Promise<string> {
  return (await client.call('eventList', { query: { since: '0', namespace: '0', limit: 1 } })).last;
}
