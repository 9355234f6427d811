/** The operations that mount a sandbox's volumes. Pure. */
import { dirname } from 'node:path/posix';
import { isWithin, pathsDownTo } from '#shared/paths.ts';
import type { PlanOperation } from '#shared/plan.ts';
import type { Volume } from '#shared/volume.ts';
import { mkdir, tmpfs } from './mounts.ts';
import type { Slots } from './mounts.ts';

/** What the host's policy has judged: the source's real path, and what it is. */
export type JudgedVolume = Exclude<Volume, { type: 'bind' }> | (Extract<Volume, { type: 'bind' }> & { directory: boolean });

export type VolumeOperations = {
  sources: PlanOperation[];
  tree: PlanOperation[];
  /** those below /dev, which is made after the others */
  devTree: PlanOperation[];
};

/** What a failure of one of them may name: its source, its target, and what was to be made on the way to that. */
export function volumePaths(volumes: readonly Volume[]): Set<string> {
  return new Set(volumes.flatMap((volume) => [...pathsDownTo(volume.target), ...(volume.type === 'bind' ? [volume.source] : [])]));
}

/** `plainUser`: its ids are not mapped, and its mounts are copied from inside. */
export function volumeOperations(volumes: readonly JudgedVolume[], plainUser: boolean, slots: Slots): VolumeOperations {
  const made = volumes.toSorted((a, b) => depthOf(a) - depthOf(b)).map((volume) => ({ volume, ...operationsOf(volume, plainUser, slots) }));
  const treeOf = (below: boolean) => made.filter(({ volume }) => isWithin(volume.target, '/dev') === below).flatMap(({ tree }) => tree);
  return { sources: made.flatMap(({ source }) => source), tree: treeOf(false), devTree: treeOf(true) };
}

function depthOf({ target }: JudgedVolume): number {
  return target.split('/').length;
}

function operationsOf(volume: JudgedVolume, plainUser: boolean, slots: Slots): { source: PlanOperation[]; tree: PlanOperation[] } {
  const { target, readonly, noexec } = volume;
  const parents = pathsDownTo(dirname(target))
    .filter((path) => path !== '/')
    .map((path) => mkdir(path, 0o755, true));
  if (volume.type === 'tmpfs') {
    const { mode, sizeBytes } = volume;
    return {
      source: [],
      tree: [...parents, mkdir(target, 0o755, true), tmpfs(target, mode, sizeBytes, { readonly, noexec, followSymlinks: true })],
    };
  }
  const slot = slots.next();
  const { source: path, directory, propagation } = volume;
  const attributes = { readonly, nosuid: true, nodev: true, noexec };
  return {
    source: [
      {
        op: 'tree',
        side: plainUser ? 'inner' : 'host',
        slot,
        path,
        ...attributes,
        recursive: directory,
        followSymlinks: false,
        optional: false,
        device: null,
        plain: true,
        mapOwners: !plainUser,
        slave: propagation === 'rslave',
      },
    ],
    tree: [
      ...parents,
      { op: 'attach', side: 'inner', slot, target, create: directory ? 'directory' : 'file', followSymlinks: true, optional: false },
    ],
  };
}
