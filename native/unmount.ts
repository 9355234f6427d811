import type { Calls } from './calls.ts';
import type { Fd } from './handles.ts';
import type { LeftChildren } from './left-children.ts';
import { check, errorBuffer } from './native-error.ts';

/** A namespace file: where it is, and which namespace was seen there. */
export type MountedNamespace = {
  path: string;
  /** null: this process's own */
  mountNamespace: Fd | null;
  inode: number;
  /** NS_GET_ID, decimal; null: the kernel has none */
  id: string | null;
};

/** See `Native.unmount`. On a worker thread: in a mount namespace with thousands of mounts the kernel takes its time. */
export async function unmount(calls: Calls, left: LeftChildren, { path, mountNamespace, inode, id }: MountedNamespace): Promise<void> {
  const error = errorBuffer();
  check(
    await calls.unmount(mountNamespace?.number ?? -1, path, BigInt(id ?? 0), BigInt(inode), left.memory, error),
    error,
    'unmount',
    path,
  );
}
