/** Opens a namespace by a way that somebody else may turn elsewhere meanwhile. */
import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import type { Way } from './way.ts';

/** open(2); the same number on every architecture that Node runs on. */
const O_PATH = 0o10000000;

/**
 * A descriptor, the caller's. What stands there is opened only when it is seen to be that namespace: a process may put anything behind its descriptor,
 * and to open a device as the host's root may set it off (a watchdog reboots the host), a file of a FUSE server may never answer.
 */
export function openWay({ path, namespace: { type, inode } }: Pick<Way, 'path' | 'namespace'>): number {
  const held = openSync(path, O_PATH);
  try {
    const own = `/proc/self/fd/${held}`;
    const found = readlinkSync(own);
    // Every other file's begins with a slash or another word (fs/d_path.c, fs/nsfs.c), so nobody can fake it.
    if (found !== `${type}:[${inode}]`) throw new Error(`there is something else by now: ${JSON.stringify(found.slice(0, 100))}`);
    return openSync(own, constants.O_RDONLY);
  } finally {
    closeSync(held);
  }
}
