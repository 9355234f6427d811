/** From the entries of an archive to the records that make its tree: names judged, whiteouts understood, limits kept. */
import { ArchiveError } from './refusal.ts';
import type { Segment } from './sparse.ts';
import type { TarEntry } from './tar.ts';
import { pathMaxBytes } from './tree-records.ts';
import type { TreeRecord } from './tree-records.ts';

export type ArchiveLimits = {
  /** of all files, holes included */
  bytes: number;
  entries: number;
};

export type LayerFacts = {
  entries: number;
  bytes: number;
  /** devices, and attributes that mean nothing or too much on this host */
  skipped: number;
  /** nothing of lower layers shows */
  opaque: boolean;
};

/** A sandbox has so many ids. */
const idsMax = 65_536;
/** Of one record; the shim takes up to 1 MiB. */
const dataBytes = 256 * 1024;

/** `layer`: names that begin with .wh. are whiteouts (OCI image specification, "Representing Changes"). Counts into `facts`. */
export async function* layerRecords(
  entries: AsyncIterable<TarEntry>,
  limits: ArchiveLimits,
  layer: boolean,
  facts: LayerFacts,
): AsyncGenerator<TreeRecord> {
  const times: TreeRecord[] = [];
  for await (const entry of entries) {
    facts.entries += 1;
    if (facts.entries > limits.entries)
      throw new ArchiveError('count', `it has more than ${limits.entries} entries (NSFLEET_AGENT_IMAGE_ENTRIES)`);
    const path = cleanPath(entry.path, entry.path);
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (layer && name.startsWith('.wh.')) yield* whiteout(path, slash, name, facts);
    else if (entry.type === 'character' || entry.type === 'block') facts.skipped += 1;
    else if (entry.type === 'directory') {
      const record = { ...ownership(entry), path };
      yield { type: 'directory', ...record };
      times.push({ type: 'times', path, mtime: entry.mtime });
    } else if (path === '') throw new ArchiveError(entry.type, `${printable(entry.path)} is no name for one`);
    else if (entry.type === 'file') yield* file(entry, path, limits, facts);
    else if (entry.type === 'symlink') yield { type: 'symlink', path, payload: linkText(entry), ...ownership(entry) };
    else if (entry.type === 'hardlink') yield { type: 'hardlink', path, payload: hardlinkTarget(entry) };
    else yield { type: 'fifo', path, ...ownership(entry) };
    yield* attributes(entry, facts);
  }
  // What was made in them has changed them since; the deepest first, so that none changes another.
  for (const record of times.toReversed()) yield record;
  yield { type: 'end' };
}

/** Parts with one slash between two; '' is the root itself. A name that leads up is refused, not understood. */
function cleanPath(path: string, shown: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new ArchiveError('path', `${printable(shown)} leads out of the archive`);
  if (path.includes('\0')) throw new ArchiveError('path', `${printable(shown)} holds a NUL`);
  const clean = parts.join('/');
  if (clean.length > pathMaxBytes) throw new ArchiveError('path', `${printable(shown)} is longer than ${pathMaxBytes} bytes`);
  return clean;
}

function linkText({ path, link }: TarEntry): string {
  if (link === '' || link.length > pathMaxBytes || link.includes('\0'))
    throw new ArchiveError('symlink', `${printable(path)} leads to no path`);
  return link;
}

function hardlinkTarget({ path, link }: TarEntry): string {
  const target = cleanPath(link, `${path} → ${link}`);
  if (target === '') throw new ArchiveError('hardlink', `${printable(path)} is one to nothing`);
  return target;
}

function* whiteout(path: string, slash: number, name: string, facts: LayerFacts): Generator<TreeRecord> {
  const directory = slash < 0 ? '' : path.slice(0, slash);
  if (name === '.wh..wh..opq') {
    if (directory === '') facts.opaque = true;
    else yield { type: 'opaque', path: directory };
  } else if (!name.startsWith('.wh..wh.')) {
    const hidden = name.slice('.wh.'.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new ArchiveError('whiteout', `${printable(path)} hides nothing that has a name`);
    yield { type: 'whiteout', path: directory === '' ? hidden : `${directory}/${hidden}` };
  }
}

async function* file(entry: TarEntry, path: string, limits: ArchiveLimits, facts: LayerFacts): AsyncGenerator<TreeRecord> {
  facts.bytes += entry.size;
  if (facts.bytes > limits.bytes)
    throw new ArchiveError('count', `its files have more than ${limits.bytes} bytes (NSFLEET_AGENT_IMAGE_BYTES)`);
  const head = { type: 'file', path, size: entry.size, ...ownership(entry) } as const;
  const [only, ...others] = entry.segments;
  // Most files are one record.
  if (only === undefined || (others.length === 0 && only.offset === 0 && only.length <= dataBytes)) {
    const parts: Buffer[] = [];
    for await (const chunk of entry.content()) parts.push(chunk);
    yield { ...head, payload: parts.length === 1 ? (parts[0] ?? '') : Buffer.concat(parts) };
    return;
  }
  yield { ...head, more: true };
  const places = placesOf(entry.segments);
  for await (const chunk of entry.content()) {
    for (let at = 0; at < chunk.length;) {
      const { offset, room } = places.next(Math.min(chunk.length - at, dataBytes));
      yield { type: 'data', size: offset, payload: chunk.subarray(at, at + room) };
      at += room;
    }
  }
  yield { type: 'close', size: entry.size };
}

/** Where the next bytes of a file's data belong. */
function placesOf(segments: readonly Segment[]): { next(count: number): { offset: number; room: number } } {
  let index = 0;
  let done = 0;
  return {
    next(count) {
      const segment = segments[index] ?? { offset: 0, length: 0 };
      const place = { offset: segment.offset + done, room: Math.min(count, segment.length - done) };
      done += place.room;
      if (done === segment.length) {
        index += 1;
        done = 0;
      }
      return place;
    },
  };
}

function ownership({ path, mode, uid, gid, mtime }: TarEntry): Pick<TreeRecord, 'mode' | 'uid' | 'gid' | 'mtime'> {
  if (uid >= idsMax || gid >= idsMax)
    throw new ArchiveError('owner', `${printable(path)} belongs to ${uid}:${gid}; a sandbox has ids below ${idsMax} only`);
  return { mode, uid, gid, mtime };
}

/** File capabilities mean nothing where every mount is nosuid; overlayfs’s own would be orders to it. */
function* attributes({ type, xattrs }: TarEntry, facts: LayerFacts): Generator<TreeRecord> {
  for (const { name, value } of xattrs) {
    if (
      (type === 'file' || type === 'directory') &&
      /^user\.[^\0]{1,250}$/.test(name) &&
      !name.startsWith('user.overlay.') &&
      value.length <= 65_536
    ) {
      yield { type: 'xattr', path: name, payload: value };
    } else facts.skipped += 1;
  }
}

/** A name of an archive in a sentence. */
export function printable(name: string): string {
  return JSON.stringify(Buffer.from(name, 'latin1').toString('utf8').slice(0, 200));
}
