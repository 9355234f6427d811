/** Paths as users give them. */
import { z } from 'zod';

export const AbsolutePath = z
  .string()
  .min(1)
  .max(4095)
  .regex(/^\/[^\0]*$/, 'an absolute path without NUL');

/** A place inside a root where something is mounted: told in one way only, so that two of one place are seen as such. */
export const MountTarget = AbsolutePath.regex(/^(\/[^/\0]+)+$/, 'without / at its end or // inside').refine(
  (path) => !path.split('/').some((part) => part === '.' || part === '..'),
  'without . and ..',
);

/** `/a/b` as `/a`, `/a/b`. */
export function pathsDownTo(path: string): string[] {
  const parts = path.split('/').slice(1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

/** Whether it is the directory or lies below it; both absolute, without . and .. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}
