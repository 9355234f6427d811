/** Looks for leaks: on a host soon after its report was committed here, and where time alone may make one, every half minute. */
import { sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { Store } from '../store/client.ts';
import { hostPicture, hostsToLookAt } from '../store/leak-picture.ts';
import { syncLeaks } from '../store/leaks.ts';
import { findLeaks } from './rules.ts';
import type { LeakSettings } from './settings.ts';

const restMs = 1000;
/** A host that reports all the time is looked at so often: all that it has is read for it. */
const lookAgainMs = 5000;
const sweepMs = 30_000;

export type LeakWatch = {
  /** The inventory of that host has changed. */
  touch(hostId: string): void;
  close(): Promise<void>;
};

/** One look at a host: its open leaks become what the rules say. Null where it is silent, or another controller looks. */
export async function lookForLeaks(
  store: Store,
  hostId: string,
  settings: LeakSettings,
): Promise<{ found: number; cleared: number } | null> {
  return syncLeaks(store, hostId, async (tx) => {
    const picture = await hostPicture(tx, hostId, settings['user-growth'].minutes);
    return picture === null ? null : findLeaks(picture, settings);
  });
}

export function startLeakWatch(store: Store, settings: LeakSettings, log: Log): LeakWatch {
  const ending = new AbortController();
  const touched = new Set<string>();
  /** Of hosts that were looked at within lookAgainMs. */
  const lookedAt = new Map<string, number>();
  const look = async (hostId: string) => {
    try {
      const outcome = await lookForLeaks(store, hostId, settings);
      if (outcome !== null && outcome.found + outcome.cleared > 0) log.info({ hostId, ...outcome }, 'leaks changed');
    } catch (error) {
      log.warn({ hostId, error: errorText(error) }, 'cannot look for leaks');
    }
  };
  const turn = async () => {
    for (let sweptAt = -Infinity; ; await sleep(restMs, ending.signal)) {
      const now = performance.now();
      if (now - sweptAt >= sweepMs) {
        sweptAt = now;
        for (const hostId of await hostsToLookAt(store.db).catch(() => [])) touched.add(hostId);
      }
      for (const [hostId, at] of lookedAt) if (now - at >= lookAgainMs) lookedAt.delete(hostId);
      for (const hostId of touched) {
        if (lookedAt.has(hostId)) continue;
        ending.signal.throwIfAborted();
        touched.delete(hostId);
        lookedAt.set(hostId, now);
        await look(hostId);
      }
    }
  };
  const turning = turn().catch(() => undefined);
  return {
    touch: (hostId) => void touched.add(hostId),
    async close() {
      ending.abort();
      await turning;
    },
  };
}
