/** Asking again where the answer may have been lost. */
import { backoffMs, sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';

/** How long a lost connection is tried again: a controller that restarts is back before that. */
const repeatForMs = 20_000;

/** Calls until there is an answer or a refusal; only for calls that may be done twice. Throws what the last one threw. */
export async function repeatWhileLost<T>(
  call: () => Promise<T>,
  mayWait: (error: unknown, attempt: number) => boolean = () => true,
): Promise<T> {
  const until = Date.now() + repeatForMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!mayRepeat(error) || !mayWait(error, attempt) || Date.now() > until) throw error;
    }
    await pause(attempt);
  }
}

/** Waits before the next attempt: 0.1 s to 2.1 s, longer each time. */
export function pause(attempt: number): Promise<void> {
  return sleep(100 + backoffMs(attempt, 100, 2000));
}

/** True where the request may have been done although no answer came, or where the server asks to repeat it. */
export function mayRepeat(error: unknown): boolean {
  return error instanceof NsfleetError && (error.code === 'NOT_RUNNING' || error.code === 'UNAVAILABLE' || error.code === 'STREAM_BROKEN');
}

/** True where nobody listened: nothing was asked yet. */
export function wasRefused(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ((at as NodeJS.ErrnoException).code === 'ECONNREFUSED') return true;
  }
  return false;
}
