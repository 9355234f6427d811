/**
 * Looks at sandboxes a while after they began to run, one after another, so that no create waits for it and a command that ends at once is not
 * looked at. What is seen is told in a later status.
 */
import type { Native } from '#native/binding.ts';
import type { SandboxObserved } from '#shared/observed.ts';
import { observe } from './observe.ts';
import type { Placement } from './placement.ts';
import { createTurns } from './turns.ts';

/** After the last sandbox began: a burst of creates has the machine to itself. */
const quietMs = 100;
/** Where they never stop coming. */
const longestMs = 2000;

export type Observer = {
  /** Soon, and once: nothing happens where it was seen already. */
  soon(placement: Placement): void;
  /** Resolves when nothing is being read any more. */
  close(): Promise<void>;
};

/** `seen` is called with what a placement got; its record is as it was then or newer. */
export function createObserver(
  native: Pick<Native, 'processStart' | 'lookInside' | 'relate'>,
  nowMs: () => number,
  seen: (placement: Placement, observed: SandboxObserved) => void,
): Observer {
  const waiting = new Set<Placement>();
  const turns = createTurns(1);
  let timer: NodeJS.Timeout | null = null;
  let since = 0;
  let closed = false;

  const lookAt = async (placement: Placement): Promise<void> => {
    const { command, observed } = placement.record;
    if (closed || command === null || observed !== null) return;
    const found = await observe(native, command, new Date(nowMs()).toISOString());
    if (found !== null && !closed) seen(placement, found);
  };
  const work = (): void => {
    timer = null;
    const now = [...waiting];
    waiting.clear();
    for (const placement of now) void turns.take(() => lookAt(placement));
  };

  return {
    soon(placement) {
      if (closed) return;
      const now = performance.now();
      if (waiting.size === 0) since = now;
      waiting.add(placement);
      if (timer !== null) clearTimeout(timer);
      timer = setTimeout(work, Math.max(0, Math.min(quietMs, since + longestMs - now))).unref();
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      waiting.clear();
      await turns.idle();
    },
  };
}
