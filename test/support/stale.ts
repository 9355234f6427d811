/** What test runs that were killed left under the user's cache: ended and removed by the next run. */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { endLeftServer } from '#controller/up/postgres-left.ts';
import { testBase } from './own-directories.ts';
import { removeDirectory } from './remove-directory.ts';

/** No run takes that long; one that still runs must keep its directories. */
const staleMs = 6 * 3600 * 1000;

export async function removeStale(): Promise<void> {
  mkdirSync(testBase(), { recursive: true, mode: 0o700 });
  const before = Date.now() - staleMs;
  const stale = readdirSync(testBase())
    .map((name) => join(testBase(), name))
    .filter((path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) < before);
  for (const path of stale) {
    const cluster = join(path, 'postgres');
    if (existsSync(cluster)) await endLeftServer(cluster, () => undefined);
    removeDirectory(path);
  }
}
