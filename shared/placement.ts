/** What both sides compute of a host's placements to see, in one short text, whether they agree. */
import { createHash } from 'node:crypto';
import type { SandboxState } from './sandbox.ts';

export type PlacementSummary = { placementId: string; generation: number; state: SandboxState };

/**
 * 32 hex digits over the sorted placements (sha256, cut). Removed placements do not count: the agent forgets them.
 * Equal digests mean that nothing was lost on the way, in either direction.
 */
export function placementDigest(placements: Iterable<PlacementSummary>): string {
  const lines = [...placements]
    .filter((placement) => placement.state !== 'removed')
    .map((placement) => `${placement.placementId} ${placement.generation} ${placement.state}`)
    .toSorted();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 32);
}
