/** Extended headers (pax(1), "pax Extended Header"): `<length> <key>=<value>\n`, again and again. Pure. */
import { ArchiveError } from './refusal.ts';

/** More than any path, link and set of attributes needs. */
export const paxMaxBytes = 1024 * 1024;

/** In order, and with repeats, by which sparse files are described. latin1. */
export type PaxRecord = { key: string; value: string };

export function parsePax(bytes: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space);
    const length = /^[0-9]{1,8}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    if (length === 0 || end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new ArchiveError('read extended header', 'a record of it is malformed');
    }
    records.push({ key: bytes.toString('latin1', space + 1, equals), value: bytes.toString('latin1', equals + 1, end - 1) });
    at = end;
  }
  return records;
}

/** The last of that key; an empty value takes an earlier one back. */
export function paxValue(records: readonly PaxRecord[], key: string): string | null {
  const found = records.findLast((record) => record.key === key);
  return found === undefined || found.value === '' ? null : found.value;
}

/** A count of that key. */
export function paxNumber(records: readonly PaxRecord[], key: string): number | null {
  const value = paxValue(records, key);
  if (value === null) return null;
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new ArchiveError('read extended header', `${key} is no number`);
  return number;
}

/** `1350244992.023960108` as seconds and nanoseconds, which are positive also before 1970. */
export function paxTime(records: readonly PaxRecord[], key: string): { seconds: number; nanoseconds: number } | null {
  const value = paxValue(records, key);
  if (value === null) return null;
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,30}))?$/.exec(value);
  if (match === null) throw new ArchiveError('read extended header', `${key} is no time`);
  const whole = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').padEnd(9, '0').slice(0, 9));
  if (match[1] === '') return { seconds: whole, nanoseconds };
  return nanoseconds === 0 ? { seconds: -whole, nanoseconds } : { seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
