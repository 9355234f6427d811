/** Layers, each unpacked once however many ask for it at a time, in place as a whole or not at all. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stateUnusable, syncEntry } from '../durable-file.ts';
import { removeTree } from '../sandbox/remove-tree.ts';
import { createTurns } from '../sandbox/turns.ts';
import { decompressed } from './compression.ts';
import type { ArchiveLimits } from './layer-records.ts';
import { hexOf, layerTree, readLayer } from './layout.ts';
import type { ImagePaths, LayerRecord } from './layout.ts';
import { ArchiveError, refusal } from './refusal.ts';
import { unpackTar } from './unpack.ts';
import type { UnpackParts } from './unpack.ts';

/** They share a disk and this process's one thread. */
const unpackedAtOnce = 2;
/** More than any honest archive: gzip's own limit is 1,032, reached by zeros. Below the floor nobody is harmed. */
const ratioMax = 250;
const ratioFloorBytes = 64 * 1024 * 1024;

export type LayerRequest = {
  /** null: it is known by its content, once that is read */
  diffId: string | null;
  blob: { digest: string; size: number } | null;
  /** the archive as it lies there, compressed or not */
  open: () => AsyncIterable<Uint8Array>;
  /** one of an image, with whiteouts */
  layer: boolean;
  /** what errors call it */
  name: string;
};

export type LayerStore = {
  /** Unpacks what is not there. IMAGE_REFUSED, STATE_DIRECTORY_UNUSABLE; then nothing of it is left. */
  take(request: LayerRequest): Promise<LayerRecord>;
};

export function createLayerStore(parts: UnpackParts & { paths: ImagePaths; limits: ArchiveLimits }): LayerStore {
  const { paths, limits } = parts;
  const turns = createTurns(unpackedAtOnce);
  const underway = new Map<string, Promise<LayerRecord>>();

  const take = async (request: LayerRequest): Promise<LayerRecord> => {
    const there = request.diffId === null ? null : await readLayer(paths, request.diffId);
    if (there !== null) {
      // When it was used last, for who makes room.
      const now = new Date();
      await utimes(join(paths.layers, hexOf(there.diffId), 'layer.json'), now, now).catch(() => undefined);
      return there;
    }
    return turns.take(() => unpack(request));
  };

  const unpack = async ({ diffId, blob, open, layer, name }: LayerRequest): Promise<LayerRecord> => {
    const work = join(paths.temporary, randomUUID());
    try {
      const tree = join(work, 'fs');
      await mkdir(tree, { recursive: true, mode: 0o755 });
      const [packed, plain] = [createHash('sha256'), createHash('sha256')];
      const counts = { packed: 0, plain: 0 };
      const source = checkedRatio(decompressed(counted(open(), packed, counts, 'packed')), plain, counts);
      const facts = await unpackTar(parts, { source, directory: tree, limits, layer, name });
      const digest = `sha256:${plain.digest('hex')}`;
      if (blob !== null && (counts.packed !== blob.size || `sha256:${packed.digest('hex')}` !== blob.digest)) {
        throw refusal(name, 'verify', `its bytes are not those of ${blob.digest}`);
      }
      if (diffId !== null && digest !== diffId) throw refusal(name, 'verify', `its content is not that of ${diffId}`);
      const record: LayerRecord = { diffId: digest, ...facts, unpackedAt: new Date().toISOString() };
      await writeFile(join(work, 'layer.json'), JSON.stringify(record), { mode: 0o600, flush: true });
      await syncEntry(work);
      await moveIn(work, join(paths.layers, hexOf(digest)));
      await syncEntry(paths.layers);
      return record;
    } catch (error) {
      throw (error as NodeJS.ErrnoException).syscall === undefined ? error : stateUnusable('unpack into', work, error);
    } finally {
      await removeTree(work);
    }
  };

  return {
    take(request) {
      const key = request.diffId ?? `of ${request.name}`;
      const running = underway.get(key);
      if (running !== undefined) return running;
      const started = take(request).finally(() => underway.delete(key));
      underway.set(key, started);
      return started;
    },
  };
}

/** Whoever was faster has made the same. */
async function moveIn(work: string, place: string): Promise<void> {
  try {
    await rename(work, place);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

type Counts = { packed: number; plain: number };
type Hash = ReturnType<typeof createHash>;

async function* counted(source: AsyncIterable<Uint8Array>, hash: Hash, counts: Counts, key: keyof Counts): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    counts[key] += chunk.length;
    yield chunk;
  }
}

async function* checkedRatio(source: AsyncIterable<Uint8Array>, hash: Hash, counts: Counts): AsyncGenerator<Uint8Array> {
  for await (const chunk of counted(source, hash, counts, 'plain')) {
    if (counts.plain > ratioFloorBytes && counts.plain > ratioMax * counts.packed) {
      throw new ArchiveError('decompress', `it grows to more than ${ratioMax} times its size`);
    }
    yield chunk;
  }
}

/** Directories of a root, the uppermost first, down to the first that hides all others. */
export function lowersOf(paths: ImagePaths, layers: readonly LayerRecord[]): string[] {
  const seen: LayerRecord[] = [];
  for (const layer of layers.toReversed()) {
    seen.push(layer);
    if (layer.opaque) break;
  }
  return seen.map(({ diffId }) => layerTree(paths, diffId));
}
