/** The directories that this test file made: what lies below them, or is held open below them, is this file's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { directories } from '#shared/config.ts';

/** Where every test file's own directory lies. */
export function testBase(): string {
  return join(directories(process.env).cache, 'test');
}

const made = new Set<string>();

export function ownDirectory(path: string): void {
  made.add(path);
}

/** Those that are not removed yet. */
export function ownDirectories(): string[] {
  return [...made].filter((path) => existsSync(path));
}
