/** Which nats-server versions are safe to stand on. Pure. */
import { NsfleetError } from '#shared/errors.ts';

/**
 * The first release of each line with the fixes of 2026, and with those of CVE-2023-47090 (anonymous login) and CVE-2025-30215 (one
 * account purges another's streams). Lines without an entry that are newer than the newest are fine; older ones are not.
 */
const firstSafePatch: Readonly<Record<string, number>> = { '2.11': 16, '2.12': 7, '2.14': 0 };
const newestLine = [2, 14] as const;

/** True for 2.11.16 and later of that line, 2.12.7 and later of that line, and everything from 2.14 on. */
export function isSafeNatsVersion(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (major > newestLine[0] || (major === newestLine[0] && minor > newestLine[1])) return true;
  const first = firstSafePatch[`${major}.${minor}`];
  // A pre-release comes before its release.
  return first !== undefined && (patch > first || (patch === first && !version.includes('-')));
}

/** NATS_TOO_OLD, naming the server and what was found. */
export function natsTooOld(server: string, version: string): NsfleetError {
  return new NsfleetError('NATS_TOO_OLD', {
    attempted: 'use the NATS server at',
    target: server,
    reason: `it is version ${version}, which has known holes`,
    remedy: 'run nats-server 2.11.16, 2.12.7, 2.14 or newer; NSFLEET_ALLOW_OLD_NATS=1 accepts this one, for development only',
  });
}
