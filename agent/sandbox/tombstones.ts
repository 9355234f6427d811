/**
 * Placements that were removed, with the generation that removed them: a `do` that was delayed on its way must not make a second life
 * of one. Placement ids are used once, so old ones may be forgotten: the controller has sent nothing about them for long.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere, stateUnusable, writeDurably } from '../durable-file.ts';

/** 20,000 × 60 bytes. At 10 removals a second, the last half hour. */
const keptMax = 20_000;

export type Tombstones = {
  has(placementId: string): boolean;
  /** On disk when it returns, for a killed agent; a power loss may forget the last ones, and every sandbox with them. */
  add(placementId: string): void;
};

/** Reads `<state>/removed`, and shortens it where it grew. */
export async function openTombstones(stateDirectory: string): Promise<Tombstones> {
  const path = join(stateDirectory, 'removed');
  const lines = ((await readIfThere(path))?.toString('latin1') ?? '').split('\n').filter((line) => line !== '');
  const kept = new Set(lines.slice(-keptMax));
  if (lines.length > kept.size) await writeDurably(path, [...kept, ''].join('\n'));
  return {
    has: (placementId) => kept.has(placementId),
    add(placementId) {
      if (kept.has(placementId)) return;
      kept.add(placementId);
      const oldest = kept.values().next();
      if (kept.size > keptMax && oldest.done !== true) kept.delete(oldest.value);
      try {
        appendFileSync(path, `${placementId}\n`, { mode: 0o600 });
      } catch (cause) {
        throw stateUnusable('write', path, cause);
      }
    },
  };
}
