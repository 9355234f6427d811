/** The oldest nats-server that may carry a fleet: below it are CVE-2023-47090, CVE-2025-30215 and the advisories of 2026. */

export const natsVersionMinimum = '2.11.16, 2.12.7 or 2.14';

/** First safe patch of each older line; lines that are not named here and lie below 2.14 have none. */
const safePatch: Readonly<Record<string, number>> = { '2.11': 16, '2.12': 7 };

/** `natsVersionSafe('2.12.6')` is false. What is no version is not safe; a pre-release counts as its release. */
export function natsVersionSafe(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor, patch] = match.slice(1).map(Number) as [number, number, number];
  const first = safePatch[`${major}.${minor}`];
  if (first !== undefined) return patch >= first;
  return major > 2 || (major === 2 && minor >= 14);
}
