/** A tar archive, entry by entry, from a stream that nobody vouches for. */
import type { ByteReader } from './byte-reader.ts';
import { parsePax, paxMaxBytes, paxNumber, paxTime, paxValue } from './pax.ts';
import type { PaxRecord } from './pax.ts';
import { ArchiveError } from './refusal.ts';
import { oldGnuMap, paxMap } from './sparse.ts';
import type { Segment, SparseMap } from './sparse.ts';
import { blockBytes, isZero, parseHeader } from './tar-header.ts';
import type { TarHeader } from './tar-header.ts';

export type TarType = 'file' | 'hardlink' | 'symlink' | 'directory' | 'fifo' | 'character' | 'block';

/** Names are latin1: a character a byte. */
export type TarEntry = {
  type: TarType;
  /** as it stands there */
  path: string;
  link: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: { seconds: number; nanoseconds: number };
  /** of the file, with its holes */
  size: number;
  /** what of it is not a hole */
  segments: readonly Segment[];
  xattrs: readonly { name: string; value: string }[];
  /** The bytes of all segments, one after another. At most once, and before the next entry is asked for; what is not read is skipped. */
  content(): AsyncGenerator<Buffer>;
};

const types: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  S: 'file',
};

/** Throws ArchiveError. What follows the end of the archive is left unread. */
export async function* tarEntries(reader: ByteReader): AsyncGenerator<TarEntry> {
  let globals: PaxRecord[] = [];
  let own: PaxRecord[] = [];
  let longName: string | null = null;
  let longLink: string | null = null;
  for (;;) {
    const block = await reader.take(blockBytes);
    if (block === null || isZero(block)) return;
    const header = parseHeader(block);
    if (header.type === 'x' || header.type === 'g') {
      const records = parsePax(await meta(reader, header));
      if (header.type === 'x') own = records;
      else globals = [...globals, ...records].slice(-1000);
      continue;
    }
    if (header.type === 'L' || header.type === 'K') {
      const text = untilNul((await meta(reader, header)).toString('latin1'));
      if (header.type === 'L') longName = text;
      else longLink = text;
      continue;
    }
    // A volume's label.
    if (header.type === 'V') {
      await reader.skip(padded(header.size));
      continue;
    }
    const records = [...globals, ...own];
    const stored = mayHaveContent(header) ? (paxNumber(records, 'size') ?? header.size) : 0;
    const map = await sparseMap(block, header, own, reader);
    if (map !== null && map.stored > stored) throw new ArchiveError('read sparse map', 'it is longer than its file');
    let unread = padded(stored) - (map?.stored ?? 0);
    const segments = map?.segments ?? [{ offset: 0, length: stored }];
    const length = segments.reduce((sum, segment) => sum + segment.length, 0);
    if (length > unread) throw new ArchiveError('read sparse map', 'it tells of more than there is');
    const entry: TarEntry = {
      ...described(header, records, { longName, longLink }),
      size: map?.size ?? stored,
      segments: length === 0 ? [] : segments,
      async *content() {
        for await (const chunk of reader.chunks(length)) {
          unread -= chunk.length;
          yield chunk;
        }
      },
    };
    own = [];
    longName = longLink = null;
    yield entry;
    await reader.skip(unread);
  }
}

/** Links may have the size of their target, and directories one of their own, and nothing of it follows. */
function mayHaveContent({ type }: TarHeader): boolean {
  return type === '0' || type === '7' || type === 'S' || !Object.hasOwn(types, type);
}

async function meta(reader: ByteReader, { size }: TarHeader): Promise<Buffer> {
  if (size > paxMaxBytes) throw new ArchiveError('read extended header', `it has ${size} bytes; the limit is ${paxMaxBytes}`);
  return (await reader.need(padded(size))).subarray(0, size);
}

async function sparseMap(block: Buffer, { type }: TarHeader, own: readonly PaxRecord[], reader: ByteReader): Promise<SparseMap | null> {
  return type === 'S' ? oldGnuMap(block, reader) : paxMap(own, reader);
}

function described(
  header: TarHeader,
  records: readonly PaxRecord[],
  { longName, longLink }: { longName: string | null; longLink: string | null },
): Omit<TarEntry, 'size' | 'segments' | 'content'> {
  const path = paxValue(records, 'GNU.sparse.name') ?? paxValue(records, 'path') ?? longName ?? header.name;
  const type = types[header.type];
  if (type === undefined) throw new ArchiveError('read header', `entry of type ${JSON.stringify(header.type)}, which is unknown`);
  return {
    // Before POSIX a directory was a file with a slash behind it.
    type: type === 'file' && path.endsWith('/') ? 'directory' : type,
    path,
    link: paxValue(records, 'linkpath') ?? longLink ?? header.link,
    mode: header.mode & 0o7777,
    uid: paxNumber(records, 'uid') ?? header.uid,
    gid: paxNumber(records, 'gid') ?? header.gid,
    mtime: paxTime(records, 'mtime') ?? { seconds: header.mtime, nanoseconds: 0 },
    xattrs: records
      .filter(({ key }) => key.startsWith('SCHILY.xattr.'))
      .map(({ key, value }) => ({ name: key.slice('SCHILY.xattr.'.length), value })),
  };
}

function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes;
}

function untilNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
