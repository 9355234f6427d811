/**
 * The image store on disk, `<state>/images`: whole after a power loss, since everything is made beside and renamed into place.
 *
 *     layers/<hex>/fs, layer.json   a layer's tree and what is known of it, by the sha256 of its archive, not compressed
 *     images/<hex>.json             an image that was used: its name and its layers
 *     files/<hex>.json              which layer a tarball is, by what stat(2) says of it
 *     tmp/                          what is being made or removed
 *
 * Who uses a layer is written in the placements themselves (`<placement>/image.json`): a use ends with its directory, however that goes.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeDirectory } from '../make-directory.ts';
import { Digest } from './oci-models.ts';

export const LayerRecord = z.object({
  diffId: Digest,
  entries: z.int(),
  bytes: z.int(),
  skipped: z.int(),
  /** nothing of lower layers shows */
  opaque: z.boolean(),
  unpackedAt: z.iso.datetime(),
});
export type LayerRecord = z.infer<typeof LayerRecord>;

export const ImageRecord = z.object({
  digest: Digest,
  reference: z.string().nullable(),
  source: z.string(),
  /** the lowest first */
  layers: z.array(Digest),
  usedAt: z.iso.datetime(),
});
export type ImageRecord = z.infer<typeof ImageRecord>;

/** In a placement's directory: the layers that it uses, and what its image says of processes. */
export const ImageUse = z.object({
  digest: Digest,
  layers: z.array(Digest),
  env: z.record(z.string(), z.string()),
  cwd: z.string().nullable(),
  user: z.string().nullable(),
});
export type ImageUse = z.infer<typeof ImageUse>;
export const useFile = 'image.json';

export type ImagePaths = { layers: string; images: string; files: string; temporary: string; placements: string };

export function imagePaths(stateDirectory: string): ImagePaths {
  const of = (name: string): string => join(stateDirectory, 'images', name);
  return {
    layers: of('layers'),
    images: of('images'),
    files: of('files'),
    temporary: of('tmp'),
    placements: join(stateDirectory, 'placements'),
  };
}

/** STATE_DIRECTORY errors are the caller's to name. */
export function makeImageDirectories({ layers, images, files, temporary }: ImagePaths): void {
  for (const directory of [layers, images, files, temporary]) makeDirectory(directory);
}

export function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

export function layerTree(paths: ImagePaths, diffId: string): string {
  return join(paths.layers, hexOf(diffId), 'fs');
}

/** Null where it is not there, or damaged: then it is made again. */
export async function readRecord<T extends z.ZodType>(model: T, path: string): Promise<z.output<T> | null> {
  try {
    return model.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

export function readLayer(paths: ImagePaths, diffId: string): Promise<LayerRecord | null> {
  return readRecord(LayerRecord, join(paths.layers, hexOf(diffId), 'layer.json'));
}

/** Every record of a directory of `<hex>.json`. */
export async function readImages(paths: ImagePaths): Promise<ImageRecord[]> {
  const names = (await namesIn(paths.images)).filter((name) => name.endsWith('.json'));
  const records = await Promise.all(names.map((name) => readRecord(ImageRecord, join(paths.images, name))));
  return records.filter((record) => record !== null);
}

/** Every layer, in no order. */
export async function readLayers(paths: ImagePaths): Promise<LayerRecord[]> {
  const records = await Promise.all((await namesIn(paths.layers)).map((name) => readLayer(paths, `sha256:${name}`)));
  return records.filter((record) => record !== null);
}

/** What the placements of this host use, running or not. */
export async function readUses(paths: ImagePaths): Promise<ImageUse[]> {
  const uses = await Promise.all(
    (await namesIn(paths.placements)).map((name) => readRecord(ImageUse, join(paths.placements, name, useFile))),
  );
  return uses.filter((use) => use !== null);
}

export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A file's identity: its content cannot change without its ctime. */
export function identityHex(stats: { dev: bigint; ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return createHash('sha256').update([dev, ino, size, mtimeNs, ctimeNs].join(':')).digest('hex');
}
