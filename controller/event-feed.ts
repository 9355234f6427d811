/**
 * Events as they happen: read from the database after a number, again and again, woken by its notifications and by a timer. The number that
 * was reached is the only state, so that whoever is cut off goes on anywhere, at any controller.
 */
import type { FollowRequest } from '#shared/sockets.ts';
import { sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Event } from '#shared/resources.ts';
import { chooseEvents, sinceNumber } from './event-choice.ts';
import type { ChosenEvents } from './event-choice.ts';
import { createFollowerFilters } from './filter/followers.ts';
import type { FollowerFilter } from './filter/followers.ts';
import type { Store } from './store/client.ts';
import { readEvents } from './store/events.ts';
import { changeKinds } from './store/listen.ts';
import { onChange } from './store/notifications.ts';

/** In memory for one reader that is slow: a page and what its socket has taken. */
const pageEvents = 200;
/** A wake-up that was lost costs no more. */
const lookAgainMs = 1000;
/** Under constant change a reader is served so often; each time with all that came meanwhile. */
const restMs = 20;
/** Readers that ask the database at once: the pool is for others too. */
const readingMax = 3;

let reading = 0;
const waiting: (() => void)[] = [];

/** `last`: all events up to that number were looked at; what was wanted of them is `events` and what was delivered before. */
type Deliver = (events: readonly Event[], last: string) => Promise<void>;
/**
 * Calls `deliver` with what was asked for, in order, and waits for it; at first with nothing, to tell where it begins. Ends with the signal's
 * reason, or the first failure; FILTER_TOO_SLOW names the event to resume after.
 */
export type Follow = (request: FollowRequest, deliver: Deliver, signal: AbortSignal) => Promise<never>;

export function createFollow(store: Store): Follow {
  const filters = createFollowerFilters();
  return async ({ since, filter: text, ...choice }, deliver, signal) => {
    using filter = text === undefined ? null : filters.use(text);
    const read = await chooseEvents(store.db, choice);
    // With limit 0 all events are looked at and none is shown: `last` is the newest.
    const from = since === undefined ? (await readEvents(store.db, { since: '0', limit: 0 })).last : await sinceNumber(store.db, since);
    return await feedEvents(store, read, filter, from, deliver, signal);
  };
}

async function feedEvents(
  store: Store,
  read: ChosenEvents,
  filter: FollowerFilter | null,
  since: string,
  deliver: Deliver,
  signal: AbortSignal,
): Promise<never> {
  let wake = Promise.withResolvers<void>();
  const endings = changeKinds.map((kind) => onChange(store, kind, () => wake.resolve()));
  try {
    await deliver([], since);
    for (let at = since; ;) {
      signal.throwIfAborted();
      wake = Promise.withResolvers();
      const page = await inTurn(() => read(at, pageEvents));
      const wanted = filter === null ? page.events : await filter.wanted(page.events, signal).catch(resumeAfter(at));
      if (page.last !== at) await deliver(wanted, page.last);
      at = page.last;
      if (!page.atEnd) continue;
      await sleep(restMs, signal);
      const rest = new AbortController();
      await Promise.race([wake.promise, sleep(lookAgainMs, AbortSignal.any([signal, rest.signal])).catch(() => undefined)]);
      rest.abort();
    }
  } finally {
    for (const end of endings) end();
  }
}

function resumeAfter(at: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof NsfleetError) || error.code !== 'FILTER_TOO_SLOW') throw error;
    const { code, attempted, target, reason } = error;
    throw new NsfleetError(code, { attempted, target, reason: `${reason}; resume after event ${at}`, cause: error });
  };
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (reading >= readingMax) await new Promise<void>((resolve) => void waiting.push(resolve));
  else reading += 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) reading -= 1;
    else next();
  }
}
