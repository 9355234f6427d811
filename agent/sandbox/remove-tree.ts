/** Removes a placement's directory with all that a sandbox wrote into its overlay, which may be made to resist. */
import { chmod, lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stateUnusable } from '../durable-file.ts';

const attempts = 8;

/**
 * Follows no symbolic link. A tree that is deeper than paths may be long (4,096 bytes) is made shallow first; directories that
 * their owner may not read are opened up (a plain user's agent is not above mode bits). STATE_DIRECTORY_UNUSABLE if it resists.
 */
export async function removeTree(directory: string): Promise<void> {
  let failure: unknown;
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      await rm(directory, { recursive: true, force: true });
      return;
    } catch (error) {
      failure = error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENAMETOOLONG') await flatten(directory);
      else if (code === 'EACCES' || code === 'EPERM') await openUp(directory);
      else if (code !== 'ENOTEMPTY' && code !== 'EBUSY') break;
    }
  }
  throw stateUnusable('remove', directory, failure);
}

/** Deepest that a chain of directories is followed before its rest is moved up: 64 names of 255 bytes exceed no path. */
const stepsBeforeMove = 8;

/** Moves what lies deep to the top, again and again, so that no path gets long. */
async function flatten(directory: string): Promise<void> {
  const queue: { path: string; depth: number }[] = [{ path: directory, depth: 0 }];
  let moved = 0;
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    for (const child of await readdir(entry.path, { withFileTypes: true })) {
      if (!child.isDirectory()) continue;
      const path = join(entry.path, child.name);
      if (entry.depth < stepsBeforeMove) {
        queue.push({ path, depth: entry.depth + 1 });
        continue;
      }
      const up = join(directory, `.deep-${moved++}`);
      await rename(path, up);
      queue.push({ path: up, depth: 1 });
    }
  }
}

async function openUp(directory: string): Promise<void> {
  const queue = [directory];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (!(await lstat(path)).isDirectory()) continue;
    await chmod(path, 0o700);
    for (const child of await readdir(path, { withFileTypes: true })) if (child.isDirectory()) queue.push(join(path, child.name));
  }
}
