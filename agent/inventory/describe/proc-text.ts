/** Small texts of /proc/<pid>, parsed. Pure; what is not as the kernel writes it is refused with MESSAGE_MALFORMED. */
import { NsfleetError } from '#shared/errors.ts';
import type { NamespaceDetails } from '#shared/namespace-details.ts';

const linesMax = 340;
const idMax = 2 ** 32 - 1;

/** uid_map and gid_map: three numbers a line. */
export function parseIdMap(text: string): NonNullable<NamespaceDetails['uidMap']> {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(0, linesMax)
    .map((line) => {
      const [inside, outside, count] = line.trim().split(/ +/).map(Number);
      if (!isId(inside) || !isId(outside) || !isId(count) || count === 0) throw malformed('id map', line);
      return { inside, outside, count };
    });
}

/** timens_offsets: `monotonic  -2  500000000`, seconds and nanoseconds to add. The sum passes 2^53, so it comes as text. */
export function parseTimeOffsets(text: string): { monotonic: string; boottime: string } {
  const offset = (clock: string): string => {
    const found = new RegExp(`(?:^|\\n)${clock} +(-?[0-9]{1,19}) +([0-9]{1,9})(?:\\n|$)`).exec(text);
    if (found === null) throw malformed('time offsets', text);
    return String(BigInt(found[1] ?? '0') * 1_000_000_000n + BigInt(found[2] ?? '0'));
  };
  return { monotonic: offset('monotonic'), boottime: offset('boottime') };
}

/** NSpid of status: the pid in each pid namespace from the reader's down to the process's own. */
export function parseNsPids(text: string): number[] {
  // A newline in a name is written \n there, so the first line that begins so is the kernel's. Not /^…$/m: to JavaScript a line also ends
  // with \r, \u2028 and \u2029, which the kernel leaves in a name as they are.
  const found = /\nNSpid:((?:\t[0-9]{1,10})+)\n/.exec(`\n${text}\n`)?.[1];
  if (found === undefined) throw malformed('NSpid', text.slice(0, 100));
  return found.trim().split('\t').map(Number);
}

function isId(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= idMax;
}

function malformed(what: string, text: string): NsfleetError {
  return new NsfleetError('MESSAGE_MALFORMED', { attempted: 'read', target: what, reason: JSON.stringify(text.slice(0, 80)) });
}
