/**
 * Text that a process chose (comm, command line, host name, path): bytes, not characters. It is kept exact and readable: UTF-8 stays as it is,
 * control characters too; what neither JSON nor Postgres can hold is written as `\xHH` (bytes that are no UTF-8, and NUL), and a backslash as `\\`, so
 * that the bytes can be had back. Terminals get it through escape.ts only.
 */
import { z } from 'zod';
import { printable } from './escape.ts';

/** 4,096 bytes, each of which may take four characters. */
export const rawTextMaxBytes = 4096;

export const RawText = z
  .string()
  .max(4 * rawTextMaxBytes)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'no NUL, no lone surrogate: write bytes as \\xHH');

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const escapes = /(\\x[0-9a-f]{2}|\\\\)/u;
/** Bytes as raw text: `a\nb` stays, 0xff becomes `\xff`. Of more than `maxBytes` the first ones; a character cut in two becomes bytes. */
export function rawText(bytes: Uint8Array, maxBytes: number = rawTextMaxBytes): string {
  const cut = bytes.subarray(0, maxBytes);
  if (isUtf8(cut)) return Buffer.from(cut).toString().replaceAll('\\', '\\\\').replaceAll('\0', '\\x00');
  let text = '';
  for (let at = 0; at < cut.length;) {
    const character = cut.subarray(at, at + characterBytes(cut, at));
    const isOne = character.length > 0 && isUtf8(character);
    text += isOne ? rawText(character) : `\\x${(cut[at] ?? 0).toString(16).padStart(2, '0')}`;
    at += isOne ? character.length : 1;
  }
  return text;
}

/** The bytes of a raw text. What is no raw text (a lone `\q`) is taken as it stands. */
export function rawBytes(text: string): Uint8Array {
  const parts = text.split(escapes).map((part) => {
    if (part === '\\\\') return Buffer.from('\\');
    return /^\\x[0-9a-f]{2}$/u.test(part) ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
  });
  return Buffer.concat(parts);
}

/** Without an exception for each that is not: names of hostile processes are many. */
function isUtf8(bytes: Uint8Array): boolean {
  const text = lenient.decode(bytes);
  return !text.includes('\ufffd') || Buffer.from(text).equals(bytes);
}

/** How many bytes the character whose first byte is at AT would have; 0 where none begins there or it is cut. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  return at + length <= bytes.length ? length : 0;
}

/** For terminals: a byte that is no UTF-8 as `\xff`, a backslash once; all else as `printable` does it. Two different texts never look the same. */
export function printableRaw(text: string): string {
  const parts = text.split(escapes);
  return parts
    .map((part, index) => {
      if (index % 2 === 0) return printable(part);
      if (part !== '\\\\') return part;
      return /^[xu]/u.test(parts[index + 1] ?? '') ? '\\x5c' : '\\';
    })
    .join('');
}
