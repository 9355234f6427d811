/**
 * Text that a process chose (comm, command line, host name, path): bytes, not characters. It is kept exact and readable: UTF-8 stays as it is,
 * control characters too; what neither JSON nor Postgres can hold is written as `\xHH` (bytes that are no UTF-8, and NUL), and a backslash as `\\`, so
 * that the bytes can be had back. Terminals get it through escape.ts only.
 */
import { z } from 'zod';

/** 4,096 bytes, each of which may take four characters. */
export const rawTextMaxBytes = 4096;

export const RawText = z
  .string()
  .max(4 * rawTextMaxBytes)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'no NUL, no lone surrogate: write bytes as \\xHH');

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as raw text: `a\nb` stays, 0xff becomes `\xff`. Of more than `maxBytes` the first ones; a character cut in two becomes bytes. */
export function rawText(bytes: Uint8Array, maxBytes: number = rawTextMaxBytes): string {
  const cut = bytes.subarray(0, maxBytes);
  const whole = decodeStrictly(cut);
  if (whole !== null) return whole.replaceAll('\\', '\\\\').replaceAll('\0', '\\x00');
  let text = '';
  for (let at = 0; at < cut.length;) {
    const length = characterBytes(cut, at);
    const character = length === 0 ? null : decodeStrictly(cut.subarray(at, at + length));
    text += character === null ? `\\x${(cut[at] ?? 0).toString(16).padStart(2, '0')}` : rawText(cut.subarray(at, at + length));
    at += character === null ? 1 : length;
  }
  return text;
}

/** The bytes of a raw text. What is no raw text (a lone `\q`) is taken as it stands. */
export function rawBytes(text: string): Uint8Array {
  const parts = text.split(/(\\x[0-9a-f]{2}|\\\\)/u).map((part) => {
    if (part === '\\\\') return Buffer.from('\\');
    return /^\\x[0-9a-f]{2}$/u.test(part) ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
  });
  return Buffer.concat(parts);
}

function decodeStrictly(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** How many bytes the character whose first byte is at AT would have; 0 where none begins there or it is cut. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  return at + length <= bytes.length ? length : 0;
}

/** For people: a backslash once, bytes as they stand. Not for terminals yet: escape.ts. */
export function rawTextShown(text: string): string {
  return text.replaceAll('\\\\', '\\');
}
