/** A directory and its parents. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes `path` and the parents that are missing, mode 0700. Throws mkdir(2)'s error of the component that could not be made. One by one:
 * below /proc the kernel answers ENOENT for a child of a directory that is there, and Node's recursive mkdir (20 and 24) then never returns.
 */
export function makeDirectory(path: string): void {
  try {
    makeOne(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    makeDirectory(dirname(path));
    makeOne(path);
  }
}

function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const there = (error as NodeJS.ErrnoException).code !== 'ENOENT' && statSync(path, { throwIfNoEntry: false })?.isDirectory();
    if (!there) throw error;
  }
}
