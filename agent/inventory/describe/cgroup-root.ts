/**
 * The root of a cgroup namespace as the agent sees it. The kernel tells it nowhere; but a member's path, read from outside and from inside,
 * differ by just that root. Pure.
 */
import { rawText } from '#shared/raw-text.ts';

/** Both are texts of /proc/<pid>/cgroup of the same member. Null where the member has left the root's tree (its path inside goes up). */
export function cgroupRootOf(outside: Uint8Array, inside: Uint8Array): string | null {
  const hierarchy = hierarchyOf(outside);
  const from = pathIn(hierarchy, outside);
  const within = pathIn(hierarchy, inside);
  if (from === null || within === null || within === '/..' || within.startsWith('/../')) return null;
  if (within === '/') return shown(from);
  if (!from.endsWith(within)) return null;
  const root = from.slice(0, -within.length);
  return shown(root === '' ? '/' : root);
}

/** The path in the text of /proc/<pid>/cgroup that systemd goes by. */
export function cgroupPathOf(bytes: Uint8Array): string | null {
  const path = pathIn(hierarchyOf(bytes), bytes);
  return path === null ? null : shown(path);
}

/** The unified one, if anything is in a cgroup of it; else systemd's own. */
function hierarchyOf(bytes: Uint8Array): RegExp {
  // Not /^…$/m: to JavaScript a line also ends with \r, which may be in a cgroup's name.
  const unified = /(?:^|\n)0::([^\n]*)/;
  return pathIn(unified, bytes) === '/' ? /(?:^|\n)(?:0:|[0-9]+:name=systemd):([^\n]*)/ : unified;
}

function pathIn(hierarchy: RegExp, bytes: Uint8Array): string | null {
  return hierarchy.exec(Buffer.from(bytes).toString('latin1'))?.[1] ?? null;
}

function shown(path: string): string {
  return rawText(Buffer.from(path, 'latin1'));
}
