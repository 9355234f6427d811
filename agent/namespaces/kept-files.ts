/**
 * The files on which namespaces are kept: network ones where ip-netns(8) has them, so that each of the two sees the other's; the others in a
 * directory for each name. Read from the file system, which is where they live: a restarted agent finds them all.
 */
import { readdirSync, statSync } from 'node:fs';
import type { Native } from '#native/binding.ts';
import type { KeptNamespace, KeptType } from '#shared/act.ts';
import { namespaceKey } from '#shared/namespace.ts';

export type KeptDirectories = { netns: string; others: string };

export const keptDirectories: KeptDirectories = { netns: '/run/netns', others: '/run/nsfleet/ns' };

/** More is no set that people keep. */
const filesMax = 10_000;

export function keptPath(directories: KeptDirectories, name: string, type: KeptType): string {
  return type === 'net' ? `${directories.netns}/${name}` : `${directories.others}/${name}/${type}`;
}

export type FoundFile = KeptNamespace & { name: string };

/** Every namespace file that is there. Files on which nothing is mounted are none. */
export function findKept(
  directories: KeptDirectories,
  native: Pick<Native, 'relate'>,
  generationOf: (inode: number) => number,
): FoundFile[] {
  const { dev } = native.relate({ path: '/proc/self/ns/mnt' });
  const paths = [
    ...namesIn(directories.netns).map((name) => ({ name, path: `${directories.netns}/${name}` })),
    ...namesIn(directories.others).flatMap((name) =>
      namesIn(`${directories.others}/${name}`).map((file) => ({ name, path: `${directories.others}/${name}/${file}` })),
    ),
  ];
  return paths.slice(0, filesMax).flatMap(({ name, path }) => {
    try {
      // Only a file of nsfs is opened: anything may lie there.
      if (statSync(path).dev !== dev) return [];
      const { type, inode, id } = native.relate({ path });
      return type === 'pid' ? [] : [{ name, path, type, inode, key: namespaceKey(inode, id, generationOf(inode)) }];
    } catch {
      return [];
    }
  });
}

/** No names where there is no directory. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).slice(0, filesMax);
  } catch {
    return [];
  }
}
