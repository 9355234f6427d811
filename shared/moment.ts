/** A moment as people write it: for `--at`, `--from`, `--to`. */
import { z } from 'zod';

const absolute =
  /^(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](?<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)(?<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?$/u;
const ago = /^-(?<count>[0-9]{1,9})(?<unit>[smhdw])$/u;
const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds since 1970, or null for what is no moment. Without a zone it is UTC; a date alone is its midnight; `-90m` is that long before `nowMs`. */
export function momentMs(text: string, nowMs: number): number | null {
  if (text === 'now') return nowMs;
  const past = ago.exec(text)?.groups;
  if (past !== undefined) return nowMs - Number(past['count']) * (unitMs[past['unit'] ?? ''] ?? 0);
  const { date, time = '00:00', zone = 'Z' } = absolute.exec(text)?.groups ?? {};
  if (date === undefined) return null;
  const ms = Date.parse(`${date}T${time}${zone}`);
  // Date.parse takes the 31st of April for the 1st of May
  return Number.isNaN(ms) || new Date(Date.parse(`${date}T00:00Z`)).toISOString().slice(0, 10) !== date ? null : ms;
}

export const Moment = z
  .string()
  .max(40)
  .refine(
    (text) => momentMs(text, 0) !== null,
    'a moment: 2026-11-20T14:00 (UTC unless it ends in a zone), 2026-11-20, now, or -90m, -2h, -7d',
  )
  .describe('RFC 3339; without a zone it is UTC; a date is its midnight; `-2h` is two hours ago');
