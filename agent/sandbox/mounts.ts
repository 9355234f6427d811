/** Operations of a plan as its parts need them, and what all mounts have in common. Pure. */
import type { PlanOperation } from '#shared/plan.ts';

/** One inode a 16 KiB: enough for source trees, and it bounds the kernel memory that a file bomb takes. */
const bytesPerInode = 16 * 1024;

/** Slots as they are needed, in the plan's order. */
export type Slots = { next(): number };

/** The operations that clone or mount things of the host, and those that put the new root together from them. */
export type RootOperations = { sources: PlanOperation[]; tree: PlanOperation[] };

type Tree = Extract<PlanOperation, { op: 'tree' }>;

/** A read-only copy of something of the host. */
export function readOnlyTree(slot: number, path: string, directory: boolean, side: 'host' | 'inner'): Tree {
  return {
    op: 'tree',
    side,
    slot,
    path,
    readonly: true,
    nosuid: true,
    nodev: true,
    noexec: false,
    // A plain user may only copy a directory together with the mounts below it, which are locked to it.
    recursive: directory,
    followSymlinks: true,
    // What was there when the facts were read may be gone; only /usr is needed.
    optional: path !== '/usr',
    device: null,
    plain: false,
    mapOwners: false,
    slave: false,
  };
}

export type TmpfsOptions = { readonly?: boolean; noexec: boolean; followSymlinks?: boolean };

export function tmpfs(
  target: string,
  mode: number,
  sizeBytes: number,
  { readonly = false, noexec, followSymlinks = false }: TmpfsOptions,
): PlanOperation {
  const attributes = { readonly, nosuid: true, nodev: true, noexec };
  return { op: 'tmpfs', side: 'inner', target, mode, sizeBytes, inodes: inodesOf(sizeBytes), ...attributes, followSymlinks };
}

/** How many files a tmpfs of that size may hold. */
export function inodesOf(sizeBytes: number): number {
  return Math.max(64, Math.ceil(sizeBytes / bytesPerInode));
}

export function mkdir(path: string, mode = 0o755, followSymlinks = false): PlanOperation {
  return { op: 'mkdir', side: 'inner', path, mode, followSymlinks };
}

export function symlink(path: string, to: string): PlanOperation {
  return { op: 'symlink', side: 'inner', path, to };
}
