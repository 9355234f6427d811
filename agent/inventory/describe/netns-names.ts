/** Names that ip-netns(8) gives: files in /run/netns on which a network namespace is mounted. */
import { readdirSync, statSync } from 'node:fs';
import type { NamespaceName } from '#shared/namespace-details.ts';
import { rawText } from '#shared/raw-text.ts';

/** More than that is no set of names that people know. */
const filesMax = 10_000;

/** By inode of the namespace. A file on which nothing is mounted has an inode of another file system: `dev` tells. */
export function readNetnsNames(directory: string, nsfsDev: number): Map<number, NamespaceName[]> {
  const names = new Map<number, NamespaceName[]>();
  for (const file of listFiles(directory)) {
    const inode = inodeOf(directory, file, nsfsDev);
    if (inode === null) continue;
    names.set(inode, [...(names.get(inode) ?? []), { source: 'ip-netns', name: rawText(file) }]);
  }
  return names;
}

function listFiles(directory: string): Buffer[] {
  try {
    return readdirSync(directory, { encoding: 'buffer' }).slice(0, filesMax);
  } catch {
    // No directory: nobody has made one yet.
    return [];
  }
}

function inodeOf(directory: string, file: Buffer, nsfsDev: number): number | null {
  try {
    const { dev, ino } = statSync(Buffer.concat([Buffer.from(`${directory}/`), file]));
    return dev === nsfsDev ? ino : null;
  } catch {
    return null;
  }
}
