/** Files with holes, in the four ways that GNU tar writes them (its manual, "Storing Sparse Files"). */
import type { ByteReader } from './byte-reader.ts';
import { paxNumber, paxValue } from './pax.ts';
import type { PaxRecord } from './pax.ts';
import { ArchiveError } from './refusal.ts';
import { blockBytes, number } from './tar-header.ts';

/** Data of a file; between them are holes. */
export type Segment = { offset: number; length: number };
/** `size`: of the file with its holes; `stored`: bytes of the map that stand before its data. */
export type SparseMap = { segments: Segment[]; size: number; stored: number };

/** 8 TB in holes of 64 MiB; more is an attack. */
const segmentsMax = 131_072;

const bad = (reason: string): ArchiveError => new ArchiveError('read sparse map', reason);

/** Type `S`: four segments in the header, the others in blocks behind it, which are read from `reader`. */
export async function oldGnuMap(header: Buffer, reader: ByteReader): Promise<SparseMap> {
  const segments = segmentsOf(header, 386, 4);
  let more = header[482] !== 0;
  while (more) {
    const block = await reader.need(blockBytes);
    segments.push(...segmentsOf(block, 0, 21));
    more = block[504] !== 0;
    if (segments.length > segmentsMax) throw bad('too many segments');
  }
  return checked({ segments, size: number(header, 483, 12, 'size'), stored: 0 });
}

function segmentsOf(block: Buffer, at: number, count: number): Segment[] {
  const all = Array.from({ length: count }, (_, index) => at + 24 * index).filter((place) => block[place] !== 0);
  return all.map((place) => ({ offset: number(block, place, 12, 'offset'), length: number(block, place + 12, 12, 'length') }));
}

/** Versions 0.0, 0.1 and 1.0 of an extended header; null where it tells of no sparse file. The map of 1.0 stands before the data. */
export async function paxMap(records: readonly PaxRecord[], reader: ByteReader): Promise<SparseMap | null> {
  const major = paxNumber(records, 'GNU.sparse.major');
  if (major !== null) {
    if (major !== 1 || paxNumber(records, 'GNU.sparse.minor') !== 0) throw bad('of an unknown version');
    return mapBeforeData(reader, sizeOf(records));
  }
  const map = paxValue(records, 'GNU.sparse.map');
  if (map !== null) return checked({ segments: pairs(map.split(',').map(numberOf)), size: sizeOf(records), stored: 0 });
  const listed = records
    .filter(({ key }) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
    .map(({ value }) => numberOf(value));
  return listed.length === 0 ? null : checked({ segments: pairs(listed), size: sizeOf(records), stored: 0 });
}

function sizeOf(records: readonly PaxRecord[]): number {
  const size = paxNumber(records, 'GNU.sparse.realsize') ?? paxNumber(records, 'GNU.sparse.size');
  if (size === null) throw bad('without a size');
  return size;
}

/** Decimal numbers, a line each, filled up to whole blocks. */
async function mapBeforeData(reader: ByteReader, size: number): Promise<SparseMap> {
  let stored = 0;
  let rest = '';
  const lines: string[] = [];
  const wanted = (): number => (lines[0] === undefined ? 1 : 1 + 2 * numberOf(lines[0]));
  while (lines.length < wanted()) {
    stored += blockBytes;
    const parts = (rest + (await reader.need(blockBytes)).toString('latin1')).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    if (lines.length > 2 * segmentsMax + blockBytes) throw bad('too many segments');
    if (rest.length > blockBytes) throw bad('a line without end');
  }
  return checked({ segments: pairs(lines.slice(1, wanted()).map(numberOf)), size, stored });
}

function numberOf(text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw bad('a number in it is none');
  return value;
}

function pairs(numbers: readonly number[]): Segment[] {
  if (numbers.length % 2 !== 0) throw bad('an offset without a length');
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: numbers[2 * index] ?? 0,
    length: numbers[2 * index + 1] ?? 0,
  }));
}

/** In order, none over another, none beyond the size. */
function checked(map: SparseMap): SparseMap {
  if (map.segments.length > segmentsMax) throw bad('too many segments');
  let end = 0;
  for (const { offset, length } of map.segments) {
    if (offset < end || !Number.isSafeInteger(offset + length) || offset + length > map.size)
      throw bad('its segments overlap or lie outside of the file');
    end = offset + length;
  }
  return { ...map, segments: map.segments.filter(({ length }) => length > 0) };
}
