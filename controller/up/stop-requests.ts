/** The first request to stop stops, the second hastens. A request is a signal, or the end of the process that started this one. */
import type { Say } from './progress.ts';

export type StopRequests = {
  /** aborted by the first request */
  stop: AbortSignal;
  /** resolves with it */
  stopped: Promise<void>;
  /** aborted by the second */
  hasten: AbortSignal;
  /** Stopping has begun without a request: the next request is the second. */
  begin(): void;
  [Symbol.dispose](): void;
};

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function stopRequests(process: NodeJS.Process, say: Say): StopRequests {
  const stop = new AbortController();
  const hasten = new AbortController();
  const stopped = Promise.withResolvers<void>();
  let begun = false;
  const request = (what: string) => {
    if (begun) {
      say(`${what} again: hastening`);
      hasten.abort();
      return;
    }
    begun = true;
    say(`${what}: stopping (once more to hasten)`);
    stop.abort(new Error(`${what} during the start`));
    stopped.resolve();
  };
  const onDisconnect = () => {
    if (!begun) request('the terminal is gone');
  };
  for (const signal of signals) process.on(signal, request);
  process.on('disconnect', onDisconnect);
  return {
    stop: stop.signal,
    stopped: stopped.promise,
    hasten: hasten.signal,
    begin() {
      begun = true;
    },
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, request);
      process.off('disconnect', onDisconnect);
      if (process.connected) process.disconnect();
    },
  };
}
