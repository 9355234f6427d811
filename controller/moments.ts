/** Moments of requests as the database takes them. */
import { NsfleetError } from '#shared/errors.ts';
import { momentMs } from '#shared/moment.ts';

/** RFC 3339 in UTC of what shared/moment.ts describes; nothing is older than 1970. */
export function isoMoment(text: string): string {
  const ms = momentMs(text, Date.now());
  if (ms !== null) return new Date(Math.max(0, ms)).toISOString();
  throw new NsfleetError('INVALID_INPUT', { attempted: 'read moment', target: text, reason: 'not a date and time' });
}
