/** At most so many at once; the rest waits in its order. */
export type Turns = {
  take<T>(run: () => Promise<T>): Promise<T>;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
};

export function createTurns(max: number): Turns {
  const waiting: (() => void)[] = [];
  const idlers: (() => void)[] = [];
  let running = 0;
  return {
    async take(run) {
      if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
      else running += 1;
      try {
        return await run();
      } finally {
        // The turn passes to the next in line, or ends.
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
        if (running === 0) for (const resolve of idlers.splice(0)) resolve();
      }
    },
    idle: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  };
}
