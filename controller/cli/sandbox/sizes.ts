/** Sizes as people type them. */
import { wrong } from './values.ts';

const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `64m`, `1g`, `4096`: powers of 1024, as docker has them. USAGE for what is none. */
export function sizeBytes(option: string, text: string): number {
  const match = /^([0-9]{1,12})([bkmgt]?)(?:i?b)?$/.exec(text.trim().toLowerCase());
  const unit = units[match?.[2] ?? '?'];
  const bytes = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) throw wrong(option, text, 'a size: 64m, 1g, or bytes');
  return bytes;
}
