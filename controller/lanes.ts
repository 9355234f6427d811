/**
 * Bounded concurrency with one lane a host: what comes from one host is done in its order, one at a time, and a host that sends
 * without end fills its own lane and nobody else's.
 */
export type LaneLimits = {
  /** How many lanes work at once. */
  concurrent: number;
  /** How many may wait in one lane. */
  waitingPerLane: number;
  /** How many may wait in all lanes together. */
  waiting: number;
};

export type Lanes = {
  /** False where the lane, or everything, is full: then `run` is not called. `run` must not throw. */
  enter(lane: string, run: () => Promise<void>): boolean;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
};

export function createLanes(limits: LaneLimits): Lanes {
  const lanes = new Map<string, (() => Promise<void>)[]>();
  /** Lanes with something to do that wait for their turn. */
  const ready: string[] = [];
  const idlers: (() => void)[] = [];
  let running = 0;
  let waiting = 0;

  const advance = () => {
    while (running < limits.concurrent) {
      const lane = ready.shift();
      if (lane === undefined) break;
      const run = lanes.get(lane)?.shift();
      if (run === undefined) continue;
      waiting -= 1;
      running += 1;
      void run().finally(() => leave(lane));
    }
    if (running === 0 && waiting === 0) for (const resolve of idlers.splice(0)) resolve();
  };
  const leave = (lane: string) => {
    running -= 1;
    if ((lanes.get(lane)?.length ?? 0) > 0) ready.push(lane);
    else lanes.delete(lane);
    advance();
  };

  return {
    enter(lane, run) {
      const queue = lanes.get(lane);
      if (waiting >= limits.waiting || (queue?.length ?? 0) >= limits.waitingPerLane) return false;
      waiting += 1;
      if (queue === undefined) {
        lanes.set(lane, [run]);
        ready.push(lane);
      } else {
        queue.push(run);
      }
      advance();
      return true;
    },
    idle: () =>
      new Promise((resolve) => {
        idlers.push(resolve);
        advance();
      }),
  };
}
