/** The first message of a WebSocket: text, JSON, and what its route says. */
import type { z } from 'zod';
import { NsfleetError, issuesText } from '#shared/errors.ts';

/** Who opens one and says nothing is sent away after that. */
export const firstMessageMs = 10_000;

export function readFirst<T>(model: z.ZodType<T>, data: Buffer, isBinary: boolean): { value: T } | NsfleetError {
  if (isBinary) return badFirst('it is binary');
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return badFirst('it is not JSON');
  }
  const parsed = model.safeParse(value);
  return parsed.success ? { value: parsed.data } : badFirst(issuesText(parsed.error.issues).slice(0, 2000));
}

export function noFirst(): NsfleetError {
  return badFirst(`it did not come within ${firstMessageMs / 1000} s`);
}

function badFirst(reason: string): NsfleetError {
  return new NsfleetError('INVALID_INPUT', { attempted: 'read', target: 'the first message', reason });
}
