/** A directory and its parents, for TypeScript and for the plain JavaScript that sets up. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes `path` and the parents that are missing, mode 0700. Throws mkdir(2)'s error of the component that could not be made. One by one:
 * below /proc the kernel answers ENOENT for a child of a directory that is there, and Node's recursive mkdir (20 and 24) then never returns.
 */
export function makeDirectory(path) {
  try {
    makeOne(path);
  } catch (error) {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error;
    makeDirectory(dirname(path));
    makeOne(path);
  }
}

function makeOne(path) {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error.code === 'ENOENT' || !isDirectory(path)) throw error;
  }
}

function isDirectory(path) {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
