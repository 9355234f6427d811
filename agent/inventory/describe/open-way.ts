/** Opens a namespace by a way that somebody else may turn elsewhere meanwhile. */
import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs';
import { parseMountinfo } from '../mount-table.ts';
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
    const name = `${type}:[${inode}]`;
    // Every other file's begins with a slash or another word (fs/d_path.c, fs/nsfs.c), so nobody can fake it. A mounted one shows its path instead.
    if (found !== name && !isMountOf(held, name)) throw new Error(`there is something else by now: ${JSON.stringify(found.slice(0, 100))}`);
    return openSync(own, constants.O_RDONLY);
  } finally {
    closeSync(held);
  }
}

/** Is what is open the root of a mount of that namespace? Asked of procfs alone: a stat(2) of what stands there may never be answered. */
function isMountOf(held: number, name: string): boolean {
  const mountId = Number(/^mnt_id:\t([0-9]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${held}`, 'latin1'))?.[1]);
  const mount = parseMountinfo(readFileSync('/proc/self/mountinfo')).find((row) => row.mountId === mountId);
  return mount?.fsType === 'nsfs' && mount.root === name;
}
