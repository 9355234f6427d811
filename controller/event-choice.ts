/** Which events are wanted: what a request says, resolved to what the database can ask, and the filter for the rest. */
import { Seq } from '#shared/event-query.ts';
import type { Event } from '#shared/resources.ts';
import { judgeInTime } from './filter/bounded.ts';
import { compileEventFilter, eventValues } from './filter/nouns.ts';
import { isoMoment } from './moments.ts';
import type { EventPage, EventQuery } from './store/events.ts';
import { numberBefore, readEvents } from './store/events.ts';
import type { Tx } from './store/client.ts';
import { findHost } from './store/hosts.ts';
import { findSandbox } from './store/sandboxes.ts';

export type EventChoice = {
  types?: string | undefined;
  host?: string | undefined;
  sandbox?: string | undefined;
  namespace?: string | undefined;
  filter?: string | undefined;
};

type Range = Pick<EventQuery, 'from' | 'to'>;
export type ChosenEvents = (since: string, limit: number) => Promise<EventPage>;

/** Reads pages of what was chosen: at most `limit` events after a number. Throws HOST_NOT_FOUND, SANDBOX_NOT_FOUND, FILTER_INVALID at once. */
export async function chooseEvents(db: Tx, choice: EventChoice, range: Range = {}): Promise<ChosenEvents> {
  const filter = choice.filter === undefined ? null : compileEventFilter(choice.filter);
  const where = {
    ...range,
    types: choice.types?.split(','),
    hostId: choice.host === undefined ? undefined : (await findHost(db, choice.host)).id,
    sandboxId: choice.sandbox === undefined ? undefined : (await findSandbox(db, choice.sandbox)).id,
    namespaceIds: choice.namespace === undefined ? undefined : [choice.namespace],
  };
  return async (since, limit) => {
    const page = await readEvents(db, { ...where, since, limit });
    if (filter === null) return page;
    const wanted = (event: Event) => filter.refuse(eventValues(event)) === null;
    return { ...page, events: judgeInTime('FILTER_INVALID', () => page.events.filter(wanted)) };
  };
}

/** Where to begin: a number as it is, for a moment the number before its first event. */
export async function sinceNumber(db: Tx, since: string): Promise<string> {
  return Seq.safeParse(since).success ? since : numberBefore(db, isoMoment(since));
}

/** Batches that are read for one answer; then it is as short as it is, and `last` says where to go on. */
const batchesMax = 50;

/** One full page, where a filter leaves little of what is read. */
export async function fillEvents(read: ChosenEvents, since: string, limit: number, signal: AbortSignal): Promise<EventPage> {
  const events: Event[] = [];
  let page: EventPage = { events, last: since, atEnd: false };
  for (let batch = 0; batch < batchesMax && events.length < limit && !page.atEnd; batch += 1) {
    signal.throwIfAborted();
    page = await read(page.last, limit - events.length);
    events.push(...page.events);
  }
  return { ...page, events };
}
