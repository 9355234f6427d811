/** The scheduler's second stage: how good a feasible host is. Pure. */
import { neededDimensions } from './feasible.ts';
import type { HostView } from './feasible.ts';

/** Higher is better. `parts` names what the score is made of, for `--dry-run` and the stored decision. */
export type Score = { score: number; parts: Record<string, number> };

/**
 * Spread: the share that is free in the scarcest dimension. A sandbox's cost is the same on every host (one of each dimension), so
 * this keeps every host as far from full as it can be; binpacking comes with the wish to switch hosts off.
 */
export function scoreSpread(host: HostView): Score {
  const parts: Record<string, number> = {};
  for (const dimension of neededDimensions(host)) {
    parts[`free.${dimension}`] = rounded(1 - host.used[dimension] / host.capacity[dimension]);
  }
  return { score: Math.min(...Object.values(parts)), parts };
}

/** Six digits are more than a capacity needs, and the same number prints the same everywhere. */
function rounded(share: number): number {
  return Math.round(share * 1e6) / 1e6;
}
