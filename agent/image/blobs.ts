/** Where an image's documents and layers lie: a directory, or an archive of one, which is read in place. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { ByteReader } from './byte-reader.ts';
import { ArchiveError } from './refusal.ts';
import { tarEntries } from './tar.ts';

export type Blobs = AsyncDisposable & {
  /** A small file, or null where there is none. ArchiveError where it is larger. */
  read(path: string, maxBytes: number): Promise<Buffer | null>;
  /** A file's bytes; they end with an ArchiveError where there is no such file. */
  stream(path: string): AsyncIterable<Uint8Array>;
};

/** A layout has a handful of files beside two a layer. */
const filesMax = 10_000;
const chunkBytes = 256 * 1024;
/** `FIFO`s are opened without waiting for who writes, and refused. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function directoryBlobs(directory: string): Blobs {
  const openFile = async (path: string): Promise<FileHandle | null> => {
    let file: FileHandle;
    try {
      file = await open(join(directory, path), flags);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return null;
      throw new ArchiveError('open', `${path}: ${code}`);
    }
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw new ArchiveError('open', `${path} is no regular file`);
  };
  return {
    async [Symbol.asyncDispose]() {},
    async read(path, maxBytes) {
      const file = await openFile(path);
      if (file === null) return null;
      try {
        return await readPart(file, path, { offset: 0, size: (await file.stat()).size }, maxBytes);
      } finally {
        await file.close();
      }
    },
    async *stream(path) {
      const file = await openFile(path);
      if (file === null) throw missing(path);
      // Closed by the stream.
      yield* createReadStream('', { fd: file, highWaterMark: chunkBytes }) as AsyncIterable<Uint8Array>;
    },
  };
}

type Part = { offset: number; size: number };

/** Takes `file` over. Its headers are read once, each file's place is remembered. */
export async function archiveBlobs(file: FileHandle): Promise<Blobs> {
  const places = new Map<string, Part>();
  let position = 0;
  const size = (await file.stat()).size;
  const reader = new ByteReader(
    (async function* () {
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(16 * 1024), 0, 16 * 1024, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    })(),
    // What is not asked for is not read from the disk.
    (count) => {
      const possible = Math.max(0, Math.min(count, size - position));
      position += possible;
      return possible;
    },
  );
  for await (const entry of tarEntries(reader)) {
    if (entry.type !== 'file') continue;
    if (places.size === filesMax) throw new ArchiveError('read', `it holds more than ${filesMax} files`);
    if (entry.segments.length > 1) throw new ArchiveError('read', 'a file of it has holes');
    places.set(entry.path.replace(/^(\.?\/)+/u, ''), { offset: position - reader.buffered, size: entry.size });
  }
  return {
    [Symbol.asyncDispose]: () => file.close(),
    async read(path, maxBytes) {
      const part = places.get(path);
      return part === undefined ? null : readPart(file, path, part, maxBytes);
    },
    async *stream(path) {
      const part = places.get(path);
      if (part === undefined) throw missing(path);
      for (let done = 0; done < part.size;) {
        const want = Math.min(chunkBytes, part.size - done);
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(want), 0, want, part.offset + done);
        if (bytesRead === 0) throw new ArchiveError('read', `${path} ends too early`);
        done += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
  };
}

async function readPart(file: FileHandle, path: string, { offset, size }: Part, maxBytes: number): Promise<Buffer> {
  if (size > maxBytes) throw new ArchiveError('read', `${path} has ${size} bytes; the limit is ${maxBytes}`);
  const buffer = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(buffer, done, size - done, offset + done);
    if (bytesRead === 0) throw new ArchiveError('read', `${path} ends too early`);
    done += bytesRead;
  }
  return buffer;
}

function missing(path: string): ArchiveError {
  return new ArchiveError('open', `${path} is not there`);
}
