/** Cursors of lists that are ordered by a number of ours. */
import { NsfleetError } from '#shared/errors.ts';

/** A number that fits a bigint, as text; INVALID_INPUT for what is none. */
export function numberCursor(cursor: string, attempted: string): string {
  if (/^[0-9]{1,18}$/.test(cursor)) return cursor;
  throw new NsfleetError('INVALID_INPUT', { attempted, target: 'cursor', reason: 'not a nextCursor of this list' });
}
