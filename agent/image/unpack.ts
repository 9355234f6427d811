/** An archive's tree in a directory, made by a shim that can reach nothing else (native/shim/unpack.h). */
import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { errnoName } from '#native/native-error.ts';
import { NsfleetError } from '#shared/errors.ts';
import { stateUnusable } from '../durable-file.ts';
import { endShim } from '../sandbox/runner.ts';
import { openShimLink } from '../sandbox/shim-link.ts';
import { ByteReader } from './byte-reader.ts';
import { layerRecords } from './layer-records.ts';
import type { ArchiveLimits, LayerFacts } from './layer-records.ts';
import { ArchiveError, refusal } from './refusal.ts';
import { tarEntries } from './tar.ts';
import { encodeRecord } from './tree-records.ts';
import type { TreeRecord } from './tree-records.ts';

export type UnpackParts = { native: Native; program: Fd };

export type UnpackRequest = {
  /** the archive, not compressed; read to its end */
  source: AsyncIterable<Uint8Array>;
  /** empty, and nobody else's */
  directory: string;
  limits: ArchiveLimits;
  /** whether it is one of an image's layers, which may have whiteouts */
  layer: boolean;
  /** what errors call it */
  name: string;
};

/** Records go out in pieces of this size. */
const pieceBytes = 256 * 1024;
/** The kernel's own words of the host's disk, not of the archive. */
const hostErrors = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** Resolves when all of it is on disk. IMAGE_REFUSED with the step and the entry; STATE_DIRECTORY_UNUSABLE. What was made until then stays. */
export async function unpackTar({ native, program }: UnpackParts, request: UnpackRequest): Promise<LayerFacts> {
  const { directory, name } = request;
  using fds = new DisposableStack();
  const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
  const target = fds.use(native.openDir(directory));
  const [ours, theirs] = native.socketpair();
  fds.use(ours);
  fds.use(theirs);
  const data = native.pipe();
  fds.use(data.read);
  fds.use(data.write);
  const told = Promise.withResolvers<void>();
  told.promise.catch(() => undefined);
  const child = native.spawn({
    program,
    args: ['nsfleet-shim', 'unpack'],
    fds: [data.read, nothing, nothing, nothing, theirs, target],
    newSession: true,
  });
  const link = openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), {
    onWord(word) {
      if (word.type === 'exit') told.resolve();
      if (word.type === 'failed') told.reject(failed(word.failure, directory, name));
    },
    onClose: () => told.reject(refusal(name, 'unpack', 'its shim died')),
  });
  data.read.close();
  const writer = new RecordWriter(new Socket({ fd: data.write.take(), readable: false, writable: true }));
  try {
    return await write(writer, request, told.promise);
  } finally {
    writer.close();
    link.close();
    await endShim(child);
  }
}

async function write(writer: RecordWriter, { source, limits, layer, name }: UnpackRequest, told: Promise<void>): Promise<LayerFacts> {
  const facts: LayerFacts = { entries: 0, bytes: 0, skipped: 0, opaque: false };
  const reader = new ByteReader(source);
  try {
    for await (const record of layerRecords(tarEntries(reader), limits, layer, facts)) await writer.write(record);
    await writer.flush();
    // Its digest is one of all bytes.
    await reader.drain();
    await told;
    return facts;
  } catch (error) {
    await reader.close().catch(() => undefined);
    // The shim stopped reading: it tells why.
    if (error instanceof BrokenPipe) await told;
    if (error instanceof ArchiveError) throw refusal(name, error.step, error.message, error);
    if (error instanceof NsfleetError) throw error;
    throw refusal(name, 'read', (error as Error).message, error);
  }
}

function failed({ errnum, step, detail }: { errnum: number; step: string; detail: string }, directory: string, name: string): NsfleetError {
  const errname = errnoName(errnum);
  const cause = Object.assign(new Error(`${step} ${detail}`), { code: errname });
  return hostErrors.has(errname)
    ? stateUnusable('unpack into', directory, cause)
    : refusal(name, step, `${detail}: ${errname} (${errnum})`, cause);
}

class BrokenPipe extends Error {}

class RecordWriter {
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #bytes = 0;
  #broken = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => (this.#broken = true));
  }

  async write(record: TreeRecord): Promise<void> {
    const bytes = encodeRecord(record);
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= pieceBytes) await this.flush();
  }

  /** Resolves when the pipe has taken all of it. */
  async flush(): Promise<void> {
    if (this.#broken) throw new BrokenPipe();
    const piece = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    await new Promise<void>((resolve, reject) => {
      const close = (): void => reject(new BrokenPipe());
      this.#socket.once('close', close);
      this.#socket.write(piece, (error) => {
        this.#socket.off('close', close);
        if (error) reject(new BrokenPipe());
        else resolve();
      });
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
