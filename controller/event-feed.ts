/**
 * Events as they happen: read from the database after a number, again and again, woken by its notifications and by a timer. The number that
 * was reached is the only state, so that whoever is cut off goes on anywhere, at any controller.
 */
import type { FollowRequest } from '#shared/sockets.ts';
import { sleep } from '#shared/async.ts';
import type { Event } from '#shared/resources.ts';
import { chooseEvents } from './event-choice.ts';
import type { ChosenEvents } from './event-choice.ts';
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

type Deliver = (events: readonly Event[]) => Promise<void>;
/** Calls `deliver` with what was asked for, in order, and waits for it. Ends with the signal's reason, or the first failure. */
export type Follow = (request: FollowRequest, deliver: Deliver, signal: AbortSignal) => Promise<never>;

export function createFollow(store: Store): Follow {
  return async ({ since, ...choice }, deliver, signal) => {
    const read = await chooseEvents(store.db, choice);
    // With limit 0 all events are looked at and none is shown: `last` is the newest.
    const from = since ?? (await readEvents(store.db, { since: '0', limit: 0 })).last;
    return feedEvents(store, read, from, deliver, signal);
  };
}

async function feedEvents(store: Store, read: ChosenEvents, since: string, deliver: Deliver, signal: AbortSignal): Promise<never> {
  let wake = Promise.withResolvers<void>();
  const endings = changeKinds.map((kind) => onChange(store, kind, () => wake.resolve()));
  try {
    for (let at = since; ;) {
      signal.throwIfAborted();
      wake = Promise.withResolvers();
      const page = await inTurn(() => read(at, pageEvents));
      if (page.events.length > 0) await deliver(page.events);
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
