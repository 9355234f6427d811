/** Waiting for a part to be ready, by asking again and again; ends early when the part ends. */
import { NsfleetError, isErrorCode } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { sleep } from '#shared/async.ts';
import { logTail } from './part.ts';
import type { Part } from './part.ts';

const pollMs = 10;

/**
 * The first answer of `probe` that is not null. CHILD_DIED, with the end of its log, when the part ends before that;
 * DEADLINE_EXCEEDED after `ms`; the signal's reason when `signal` aborts.
 */
export async function untilReady<T>(part: Part, ms: number, probe: () => T | null | Promise<T | null>, signal?: AbortSignal): Promise<T> {
  let ended: string | null = null;
  void part.ended.then((how) => {
    ended = how;
  });
  const end = performance.now() + ms;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await probe();
    if (answer !== null) return answer;
    if (ended !== null) throw partDied(part, ended, 'start');
    if (performance.now() >= end) {
      throw new NsfleetError('DEADLINE_EXCEEDED', {
        attempted: 'wait for',
        target: part.name,
        reason: `not ready after ${ms / 1000} s; the end of ${part.logFile}:\n${logTail(part)}`,
        remedy: 'read its log; a slow disk or an overloaded machine can be the cause',
      });
    }
    await sleep(pollMs, signal);
  }
}

/** What to say of a part that ended and should not have: what it said itself, with its own code, or the end of its log. */
export function partDied(part: Part, how: string, attempted: string): NsfleetError {
  const tail = logTail(part);
  const own = ownFailure(tail);
  if (own !== null) return new NsfleetError(own.code, { attempted, target: part.name, reason: own.message, remedy: own.remedy });
  return new NsfleetError('CHILD_DIED', {
    attempted,
    target: part.name,
    reason: `it ended with ${how}; the end of ${part.logFile}:\n${tail === '' ? '(empty)' : tail}`,
  });
}

/** The last words of a controller or an agent that could not start. */
function ownFailure(tail: string): { code: ErrorCode; message: string; remedy: string } | null {
  const match = /^error: (?<code>[A-Z_]+): (?<message>.+)\n {2}what to do: (?<remedy>.+)/m.exec(tail);
  const { code = '', message = '', remedy = '' } = match?.groups ?? {};
  return isErrorCode(code) ? { code, message, remedy } : null;
}
