/**
 * A share of this process's time for work that somebody else's words make dear: one after another, whoever has taken least of late first,
 * and a rest after it for everything else that the process does.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import { processorMs } from './bounded.ts';

/** Of the time of the one thread, for all who take turns together. */
const share = 0.25;
/** What was taken counts half after so long. */
const halfLifeMs = 10_000;
/** Who is new has taken so much: coming again under another name must not bring anybody to the front. */
const newcomerMs = 250;
/** Rests below this are added up: a timer is no more precise. */
const restMinMs = 4;
/** Who is behind the others for so long costs more than there is. */
const waitMaxMs = 10_000;

/** What one of them has taken. */
export type Account = { takenMs: number; atMs: number };
export type Turns = {
  open(): Account;
  /** What `work`, which waits for nothing, returns; FILTER_TOO_SLOW where its turn does not come in time, or the signal's reason. */
  take<T>(account: Account, work: () => T, signal: AbortSignal): Promise<T>;
};

type Waiting = { account: Account; sinceMs: number; run: () => void; refuse: (error: unknown) => void };

export function createTurns(limits: { waitMaxMs: number } = { waitMaxMs }): Turns {
  const waiting = new Set<Waiting>();
  let going = false;

  const go = async () => {
    going = true;
    // Not at once: who comes in the same moment is compared with who is here.
    await turn();
    for (let restMs = 0; waiting.size > 0;) {
      const next = firstOf(waiting);
      waiting.delete(next);
      const startedMs = processorMs();
      next.run();
      const tookMs = processorMs() - startedMs;
      charge(next.account, tookMs);
      restMs += tookMs * (1 / share - 1);
      if (restMs < restMinMs) {
        await turn();
        continue;
      }
      await sleep(restMs);
      restMs = 0;
      refuseLate();
    }
    going = false;
  };
  const refuseLate = () => {
    for (const one of waiting) {
      if (performance.now() - one.sinceMs <= limits.waitMaxMs) continue;
      waiting.delete(one);
      const reason = `others, which cost less, came first for ${limits.waitMaxMs / 1000} s`;
      one.refuse(new NsfleetError('FILTER_TOO_SLOW', { attempted: 'evaluate', target: 'filter', reason }));
    }
  };

  return {
    open: () => ({ takenMs: newcomerMs, atMs: performance.now() }),
    take(account, work, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof work>>();
      const onAbort = () => {
        waiting.delete(one);
        reject(signal.reason as Error);
      };
      const run = () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      const one: Waiting = { account, sinceMs: performance.now(), run, refuse: reject };
      if (signal.aborted) onAbort();
      else waiting.add(one);
      signal.addEventListener('abort', onAbort, { once: true });
      if (!going) void go();
      return promise.finally(() => signal.removeEventListener('abort', onAbort));
    },
  };
}

function firstOf(waiting: ReadonlySet<Waiting>): Waiting {
  return [...waiting].reduce((first, one) => (taken(one.account) < taken(first.account) ? one : first));
}

function taken({ takenMs, atMs }: Account): number {
  return takenMs * 2 ** ((atMs - performance.now()) / halfLifeMs);
}

function charge(account: Account, tookMs: number): void {
  account.takenMs = taken(account) + tookMs;
  account.atMs = performance.now();
}
