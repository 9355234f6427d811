/** Directories for one test file, under the user's cache and never in /tmp, gone when it ends. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { directories } from '#shared/config.ts';
import type { Directories } from '#shared/config.ts';
import { afterFile } from './file-scope.ts';
import { cgroupVariable, removeEmptyCgroups } from './own-cgroups.ts';
import { directoryPrefix, ownDirectory, testBase } from './own-directories.ts';
import { removeDirectory } from './remove-directory.ts';

export type TestDirectories = Directories & {
  /** holds all the others, and whatever a test wants to put there */
  root: string;
  /** XDG variables, and the one for cgroups, that lead a child process to the same directories */
  env: Record<string, string>;
};

/** Names stay short: sun_path holds 107 bytes. Removed after the file's tests, whether they passed or not. */
export function temporaryDirectories(): TestDirectories {
  mkdirSync(testBase(), { recursive: true, mode: 0o700 });
  const root = mkdtempSync(join(testBase(), directoryPrefix(process.pid)));
  ownDirectory(root);
  afterFile(() => {
    removeEmptyCgroups();
    assert.deepEqual(removeDirectory(root), [], 'this test file left mounts behind');
  });
  const names = { XDG_CONFIG_HOME: 'c', XDG_DATA_HOME: 'd', XDG_STATE_HOME: 's', XDG_RUNTIME_DIR: 'r', XDG_CACHE_HOME: 'k' };
  const env = { ...Object.fromEntries(Object.entries(names).map(([variable, name]) => [variable, join(root, name)])), ...cgroupVariable };
  Object.assign(process.env, cgroupVariable);
  const dirs = directories({ ...env, HOME: root });
  for (const dir of Object.values(dirs)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  return { ...dirs, root, env };
}
