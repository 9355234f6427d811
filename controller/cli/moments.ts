/** Moments as people type them, read at the door: what goes on from here is RFC 3339 in UTC. */
import { NsfleetError } from '#shared/errors.ts';
import { momentMs } from '#shared/moment.ts';

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
/** `2h`, `-90m`, `1h30m`, `2 days ago`: the words of journalctl and kubectl. */
const relative = /^-?\s*(?:[0-9]{1,9}\s*(?:s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)\s*)+(?:ago)?$/u;
const parts = /([0-9]+)\s*([smhdw])/gu;
const local = /^(?:(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](?=[0-9]))?)?(?<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?$/u;
/** Clocks of two machines may differ; what is further ahead was meant otherwise. */
const aheadMaxMs = 60_000;

/**
 * `2026-11-20T14:00Z` as it stands; without a zone it is local time (TZ); `2026-11-20` is its midnight, `14:00` today's; `-2h`, `2h ago`,
 * `now`, `today`, `yesterday`. Throws USAGE for anything else, and for what is yet to come.
 */
export function momentOption(option: string, text: string, now: Date): string {
  const ms = readMoment(text.trim(), now);
  if (ms === null || Number.isNaN(ms)) {
    throw wrong(
      option,
      text,
      'it is no moment',
      'write 2026-11-20T14:00 (local time), 2026-11-20T14:00Z, 2026-11-20, 14:00, -2h or "2h ago"',
    );
  }
  if (ms > now.getTime() + aheadMaxMs)
    throw wrong(option, text, `${new Date(ms).toISOString()} is yet to come`, 'name a moment of the past');
  return new Date(ms).toISOString();
}

function readMoment(text: string, now: Date): number | null {
  if (text === 'now') return now.getTime();
  if (text === 'today' || text === 'yesterday') return midnight(now, text === 'today' ? 0 : 1);
  if (relative.test(text)) return now.getTime() - durationOf(text);
  const { date, time } = local.exec(text)?.groups ?? {};
  if (date !== undefined || time !== undefined) return localMs(date, time ?? '00:00', now);
  return momentMs(text, now.getTime());
}

function durationOf(text: string): number {
  return [...text.matchAll(parts)].reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0), 0);
}

function localMs(date: string | undefined, time: string, now: Date): number | null {
  const day = date ?? dayText(now);
  const parsed = new Date(`${day}T${time}`);
  // The 31st of April would become the 1st of May.
  return Number.isNaN(parsed.getTime()) || dayText(parsed) !== day ? null : parsed.getTime();
}

function dayText(day: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${String(day.getFullYear()).padStart(4, '0')}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

function midnight(now: Date, daysBefore: number): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysBefore).getTime();
}

function wrong(option: string, text: string, reason: string, remedy: string): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'understand', target: `${option} ${text}`, reason, remedy });
}
