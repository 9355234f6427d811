/** Removes a test's directory for good: what a test left mounted below it would refuse that (EBUSY), or be emptied itself, were it the host's. */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { parseMountinfo } from '#agent/inventory/mount-table.ts';
import { rawBytes, rawText } from '#shared/raw-text.ts';

/** A mount on a mount, or one that appears meanwhile, is seen at the next round. */
const rounds = 5;

/** The mount points below it that were detached first, as raw text. Throws, and removes nothing, where one of them stays. */
export function removeDirectory(path: string): string[] {
  const found = new Set<string>();
  for (let round = 0; round < rounds; round += 1) {
    const mounted = mountsBelow(path);
    if (mounted.length === 0) {
      rmSync(path, { recursive: true, force: true, maxRetries: 3 });
      return [...found];
    }
    for (const point of mounted.toReversed()) {
      found.add(point);
      detach(rawBytes(point));
    }
  }
  throw new Error(`mounts stay below ${path}: ${mountsBelow(path).join(', ')}`);
}

/** In the order in which they were made: one on another comes after it. */
function mountsBelow(path: string): string[] {
  const directory = rawText(Buffer.from(realOf(path)));
  return parseMountinfo(readFileSync('/proc/self/mountinfo'))
    .map(({ target }) => target)
    .filter((target) => target === directory || target.startsWith(`${directory}/`));
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Any bytes: argv of Node's children is UTF-8, so they go there as octal digits. The dot keeps a newline at their end. */
function detach(point: Uint8Array): void {
  const octal = [...point].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join('');
  spawnSync('sh', ['-c', 'point=$(printf "%b." "$1") && exec umount -l -c -- "${point%.}"', 'sh', octal], { stdio: 'ignore' });
}
