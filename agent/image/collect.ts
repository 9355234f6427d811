/**
 * Layers and images that nobody uses, removed. The agent's own collector and `nsfleet-agent images` may run at the same time, also while a sandbox
 * is being made: a layer is moved away first, then it is asked once more whether somebody uses it, and if so it is moved back.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../sandbox/remove-tree.ts';
import { hexOf, namesIn, readImages, readLayers, readUses } from './layout.ts';
import type { ImagePaths, LayerRecord } from './layout.ts';

export type CollectOptions = {
  /** remove only until all layers together have no more than this, the longest unused first */
  keepBytes?: number;
  /** remove only what was not used for so long */
  unusedMs?: number;
};

const movedPrefix = 'gone-';

/** The layers that were removed. */
export async function collect(paths: ImagePaths, { keepBytes = 0, unusedMs = 0 }: CollectOptions): Promise<LayerRecord[]> {
  const layers = await readLayers(paths);
  let bytes = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  if (bytes <= keepBytes && keepBytes > 0) return [];
  const used = await usedLayers(paths);
  const before = Date.now() - unusedMs;
  const dated = await Promise.all(layers.map(async (layer) => ({ layer, usedMs: await lastUse(paths, layer) })));
  const removed: LayerRecord[] = [];
  for (const { layer, usedMs } of dated.toSorted((a, b) => a.usedMs - b.usedMs)) {
    if (keepBytes > 0 && bytes <= keepBytes) break;
    if (used.has(layer.diffId) || usedMs > before || !(await removeLayer(paths, layer.diffId))) continue;
    bytes -= layer.bytes;
    removed.push(layer);
  }
  await forgetImages(paths);
  return removed;
}

/** Removes one image: its record, and those of its layers that no other image and no placement has. False: there is none such. */
export async function removeImage(paths: ImagePaths, digest: string): Promise<{ removed: string[]; inUse: boolean } | null> {
  const images = await readImages(paths);
  const image = images.find((one) => one.digest === digest);
  if (image === undefined) return null;
  const uses = await readUses(paths);
  if (uses.some((use) => use.digest === digest)) return { removed: [], inUse: true };
  await rm(join(paths.images, `${hexOf(digest)}.json`), { force: true });
  const shared = new Set([...images.filter((one) => one !== image), ...uses].flatMap(({ layers }) => layers));
  const removed: string[] = [];
  for (const diffId of image.layers) if (!shared.has(diffId) && (await removeLayer(paths, diffId))) removed.push(diffId);
  return { removed, inUse: false };
}

/** When an agent starts: nobody makes anything yet. What was moved away by a collector that was killed comes back if it is used. */
export async function recover(paths: ImagePaths): Promise<void> {
  const used = await usedLayers(paths);
  for (const name of await namesIn(paths.temporary)) {
    const hex = name.startsWith(movedPrefix) ? name.slice(movedPrefix.length) : '';
    if (used.has(`sha256:${hex}`)) await rename(join(paths.temporary, name), join(paths.layers, hex)).catch(() => undefined);
    else await removeTree(join(paths.temporary, name));
  }
}

export async function usedLayers(paths: ImagePaths): Promise<Set<string>> {
  return new Set((await readUses(paths)).flatMap(({ layers }) => layers));
}

async function removeLayer(paths: ImagePaths, diffId: string): Promise<boolean> {
  const hex = hexOf(diffId);
  const [place, away] = [join(paths.layers, hex), join(paths.temporary, `${movedPrefix}${hex}`)];
  try {
    await rename(place, away);
  } catch (error) {
    // Another collector has it.
    if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
  if ((await usedLayers(paths)).has(diffId)) {
    // Where it was unpacked anew meanwhile, that one stays.
    const back = await rename(away, place).then(
      () => true,
      () => false,
    );
    if (back) return false;
  }
  await removeTree(away);
  return true;
}

/** Records of images that have lost a layer: they would be unpacked again anyway. */
async function forgetImages(paths: ImagePaths): Promise<void> {
  const there = new Set((await readLayers(paths)).map(({ diffId }) => diffId));
  for (const { digest, layers } of await readImages(paths)) {
    if (!layers.every((diffId) => there.has(diffId))) await rm(join(paths.images, `${hexOf(digest)}.json`), { force: true });
  }
  if (there.size === 0) for (const name of await namesIn(paths.files)) await rm(join(paths.files, name), { force: true });
}

async function lastUse(paths: ImagePaths, { diffId }: LayerRecord): Promise<number> {
  return (await stat(join(paths.layers, hexOf(diffId), 'layer.json')).catch(() => null))?.mtimeMs ?? 0;
}
