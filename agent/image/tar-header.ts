/** One header block of a tar archive: ustar, GNU and the old form (tar(5)). Pure. Text is latin1: one character a byte, so that every name survives. */
import { ArchiveError } from './refusal.ts';

export const blockBytes = 512;

export type TarHeader = {
  name: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  type: string;
  link: string;
};

export function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** Throws ArchiveError where it is no header: a wrong checksum, a number that is none. */
export function parseHeader(block: Buffer): TarHeader {
  const sum = number(block, 148, 8, 'checksum');
  const [unsigned, signed] = checksums(block);
  if (sum !== unsigned && sum !== signed) throw new ArchiveError('read header', 'its checksum is wrong, or this is no tar archive');
  const magic = text(block, 257, 6);
  const prefix = magic === 'ustar' ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const type = String.fromCharCode(block[156] ?? 0);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8, 'mode'),
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime', true),
    type: type === '\0' ? '0' : type,
    link: text(block, 157, 100),
  };
}

function checksums(block: Buffer): [number, number] {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < blockBytes; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  return [unsigned, signed];
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.toString('latin1', at, at + length);
  const end = field.indexOf('\0');
  return end < 0 ? field : field.slice(0, end);
}

/** Octal, or base 256 with the first bit set (GNU). A time may be negative. */
export function number(block: Buffer, at: number, length: number, field: string, mayBeNegative = false): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) return binary(block.subarray(at, at + length), field, mayBeNegative);
  const digits = text(block, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new ArchiveError('read header', `${field} is no number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function binary(field: Buffer, name: string, mayBeNegative: boolean): number {
  const bits = BigInt(field.length * 8 - 1);
  const value = BigInt.asIntN(Number(bits), BigInt(`0x${field.toString('hex')}`));
  const result = Number(value);
  if (!Number.isSafeInteger(result) || (result < 0 && !mayBeNegative))
    throw new ArchiveError('read header', `${name} is beyond all bounds`);
  return result;
}
