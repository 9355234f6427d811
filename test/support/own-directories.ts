/** The directories that this test file made: what lies below them, or is held open below them, is this file's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { directories } from '#shared/config.ts';

/** Where every test file's own directory lies. */
export function testBase(): string {
  return join(directories(process.env).cache, 'test');
}

/** What the names of the directories of a test file's process begin with: who ends that process can find them. */
export function directoryPrefix(pid: number): string {
  return `t${pid.toString(36)}-`;
}

const made = new Set<string>();

export function ownDirectory(path: string): void {
  made.add(path);
}

/** Those that are not removed yet. */
export function ownDirectories(): string[] {
  return [...made].filter((path) => existsSync(path));
}

/** Directories of the host that several files mount in, one at a time: netns-turn.ts. */
export const sharedMountDirectories = ['/run/netns', '/run/nsfleet'] as const;
