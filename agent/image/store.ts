/** Roots that come as archives: from a spec to directories that an overlay can be made of, and what the image says of processes. */
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { NsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { ArchiveRoot } from '#shared/root.ts';
import { stateUnusable, writeDurably } from '../durable-file.ts';
import { removeTree } from '../sandbox/remove-tree.ts';
import { archiveBlobs, directoryBlobs } from './blobs.ts';
import type { Blobs } from './blobs.ts';
import { collect, recover } from './collect.ts';
import type { ArchiveLimits } from './layer-records.ts';
import { createLayerStore, lowersOf } from './layer-store.ts';
import type { LayerRequest } from './layer-store.ts';
import { Digest } from './oci-models.ts';
import type { Platform } from './oci-models.ts';
import { ImageUse, hexOf, identityHex, imagePaths, layerTree, makeImageDirectories, readLayer, readRecord, useFile } from './layout.ts';
import type { ImageRecord, LayerRecord } from './layout.ts';
import { readImage } from './oci.ts';
import type { Image } from './oci.ts';
import { processOf } from './process.ts';
import { ArchiveError, refusal } from './refusal.ts';
import type { UnpackParts } from './unpack.ts';

export type PreparedRoot = {
  /** directories for overlayfs, the uppermost first */
  layers: string[];
  /** null: an archive that is no image */
  image: Image | null;
};

export type ImageStore = {
  /**
   * Unpacks what is not there yet, and writes down in the placement's directory what it uses. `root.path` is a real one that policy allows.
   * IMAGE_REFUSED, ROOT_REFUSED, STATE_DIRECTORY_UNUSABLE.
   */
  prepare(root: ArchiveRoot, placementDirectory: string): Promise<PreparedRoot>;
  /** What `prepare` would find, without unpacking: for `--dry-run`. A tarball that was never unpacked has no place yet. */
  foresee(root: ArchiveRoot): Promise<PreparedRoot>;
  /** What `prepare` wrote down for a placement; null: nothing. */
  useOf(placementId: string): Promise<ImageUse | null>;
};

export type ImageStoreParts = UnpackParts & {
  stateDirectory: string;
  limits: ArchiveLimits;
  /** unused layers are removed where all have more than so many bytes */
  keepBytes: number;
  log: Log;
};

/** A collector of another process may take a layer away between two looks; not twice. */
const triesMax = 3;

export function hostPlatform(): Platform {
  const architecture = ({ x64: 'amd64', arm64: 'arm64' } as Readonly<Record<string, string>>)[process.arch] ?? process.arch;
  return { os: 'linux', architecture };
}

/** Makes its directories, and removes what an earlier life left half done. */
export async function openImageStore(parts: ImageStoreParts): Promise<ImageStore> {
  const { stateDirectory, keepBytes, log } = parts;
  const paths = imagePaths(stateDirectory);
  try {
    makeImageDirectories(paths);
    await recover(paths);
  } catch (error) {
    throw error instanceof NsfleetError ? error : stateUnusable('make', paths.layers, error);
  }
  const store = createLayerStore({ ...parts, paths });
  let collecting: Promise<unknown> = Promise.resolve();
  let recording: Promise<void> = Promise.resolve();

  /** One after another: two of one image would share a temporary file. */
  const record = (path: string, content: unknown): Promise<void> => {
    recording = recording.catch(() => undefined).then(() => writeDurably(path, JSON.stringify(content)));
    return recording;
  };

  /** One after another, and never in the way of who waits for a sandbox. */
  const makeRoom = (): void => {
    collecting = collecting
      .then(() => collect(paths, { keepBytes }))
      .then(
        (removed) => {
          if (removed.length > 0) log.info({ layers: removed.length }, 'removed layers that nobody used');
        },
        (error: unknown) => log.warn({ err: error }, 'unused layers could not be removed'),
      );
  };

  /** Takes all, writes the use down, and looks once more: only then can nobody take them away. */
  const use = async (
    requests: readonly LayerRequest[],
    directory: string,
    about: Omit<ImageUse, 'layers' | 'digest'> & { digest: string | null },
  ) => {
    for (let tries = 0; tries < triesMax; tries++) {
      const records: LayerRecord[] = [];
      // One by one: an image that is refused stops at its first bad layer.
      for (const request of requests) records.push(await store.take(request));
      const layers = records.map(({ diffId }) => diffId);
      const digest = about.digest ?? layers[0] ?? '';
      await writeDurably(join(directory, useFile), JSON.stringify({ ...about, digest, layers } satisfies ImageUse));
      const still = await Promise.all(layers.map((diffId) => readLayer(paths, diffId)));
      if (still.every((record) => record !== null)) {
        makeRoom();
        return records;
      }
    }
    throw stateUnusable('keep layers in', paths.layers, new Error('they are taken away again and again'));
  };

  const prepareTarball = async (path: string, directory: string): Promise<PreparedRoot> => {
    await using file = await openArchive(path);
    const known = join(paths.files, `${identityHex(await file.stat({ bigint: true }))}.json`);
    const diffId = await readRecord(Digest, known);
    const request: LayerRequest = { diffId, blob: null, open: () => chunksOf(file), layer: false, name: path };
    const records = await use([request], directory, { digest: null, env: {}, cwd: null, user: null });
    if (diffId === null && records[0] !== undefined) await record(known, records[0].diffId);
    return { layers: lowersOf(paths, records), image: null };
  };

  const prepareImage = async (root: OciRoot, directory: string): Promise<PreparedRoot> => {
    await using blobs = await openBlobs(root.path);
    const image = await named(root.path, () => readImage(blobs, choiceOf(root)));
    if (image.layers.length === 0) throw refusal(root.path, 'read', 'an image without layers');
    const requests = image.layers.map(({ diffId, blob, path }, index): LayerRequest => ({
      diffId,
      blob,
      open: () => blobs.stream(path),
      layer: true,
      name: `${root.path}, layer ${index + 1} of ${image.layers.length}`,
    }));
    const records = await use(requests, directory, {
      digest: image.digest,
      ...processOf(image),
    });
    const layers = records.map(({ diffId }) => diffId);
    const about: ImageRecord = {
      digest: image.digest,
      reference: image.reference,
      source: root.path,
      layers,
      usedAt: new Date().toISOString(),
    };
    await record(join(paths.images, `${hexOf(image.digest)}.json`), about);
    return { layers: lowersOf(paths, records), image };
  };

  return {
    useOf: (placementId) => readRecord(ImageUse, join(paths.placements, placementId, useFile)),
    async prepare(root, placementDirectory) {
      try {
        return await (root.type === 'oci' ? prepareImage(root, placementDirectory) : prepareTarball(root.path, placementDirectory));
      } catch (error) {
        await removeTree(join(placementDirectory, useFile));
        throw error;
      }
    },
    async foresee(root) {
      if (root.type === 'oci') {
        await using blobs = await openBlobs(root.path);
        const image = await named(root.path, () => readImage(blobs, choiceOf(root)));
        return { layers: image.layers.map(({ diffId }) => layerTree(paths, diffId)).toReversed(), image };
      }
      await using file = await openArchive(root.path);
      const diffId = await readRecord(Digest, join(paths.files, `${identityHex(await file.stat({ bigint: true }))}.json`));
      return { layers: [diffId === null ? join(paths.layers, 'not-unpacked-yet', 'fs') : layerTree(paths, diffId)], image: null };
    },
  };
}

type OciRoot = Extract<ArchiveRoot, { type: 'oci' }>;

function choiceOf({ reference, platform }: OciRoot) {
  const host = hostPlatform();
  if (platform === undefined) return { reference: reference ?? null, platform: host };
  const [os, architecture, variant] = platform.split('/');
  return { reference: reference ?? null, platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
}

async function openBlobs(path: string): Promise<Blobs> {
  if ((await stat(path)).isDirectory()) return directoryBlobs(path);
  const file = await openArchive(path);
  try {
    return await named(path, () => archiveBlobs(file));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The real path was judged: a symlink in its place, or what is no file any more, is refused. */
async function openArchive(path: string): Promise<FileHandle> {
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('ROOT_REFUSED', { attempted: 'use as a root', target: path, reason, cause });
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw refuse((error as NodeJS.ErrnoException).code ?? String(error), error);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw refuse('it is no regular file');
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

const chunkBytes = 256 * 1024;

/** Errors of a content, with the name of what holds it. */
async function named<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof ArchiveError ? refusal(name, error.step, error.message, error) : error;
  }
}
