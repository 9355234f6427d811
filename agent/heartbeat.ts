/** Says every few seconds, and at once when a placement changed, that this host lives and what it holds. */
import { sleep } from '#shared/async.ts';

/** Of the interval, so that a fleet does not beat in step. */
const jitterShare = 0.1;
/** A burst of changes is one beat, after the statuses that tell them: else the digest would differ from what the controller knows. */
const settleMs = 250;

export type Heartbeat = {
  /** A placement changed: beat soon. */
  poke(): void;
  /** Beats until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** `beat` sends one; it must not throw. */
export function createHeartbeat(intervalMs: number, beat: () => void): Heartbeat {
  let poked: NodeJS.Timeout | null = null;
  let ended = false;
  return {
    poke() {
      if (ended) return;
      poked ??= setTimeout(() => {
        poked = null;
        beat();
      }, settleMs);
    },
    async run(signal) {
      try {
        while (!signal.aborted) {
          beat();
          await sleep(intervalMs * (1 + jitterShare * (2 * Math.random() - 1)), signal).catch(() => undefined);
        }
      } finally {
        ended = true;
        if (poked !== null) clearTimeout(poked);
      }
    },
  };
}
