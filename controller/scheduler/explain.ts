/** A decision as a sentence. Pure. */
import type { Decision } from '#shared/resources.ts';

/** `3 hosts seen: 1 refused by constraint (false), 2 full (sandboxes: 1000 of 1000)`. */
export function explain(decision: Decision): string {
  if (decision.hostsSeen === 0) return 'no hosts are enrolled';
  const seen = `${decision.hostsSeen} ${decision.hostsSeen === 1 ? 'host' : 'hosts'} seen`;
  const refusals = decision.refusals.map(({ filter, reason, hosts }) => `${hosts} ${refusedBy(filter)} (${reason})`);
  const best = decision.scores[0];
  const chosen = best === undefined ? [] : [`${decision.hostsFeasible} feasible, ${best.hostName} is best with ${best.score}`];
  return `${seen}: ${[...refusals, ...chosen].join(', ')}`;
}

function refusedBy(filter: string): string {
  if (filter === 'capacity') return 'full';
  if (filter === 'ready') return 'not ready';
  return `refused by ${filter}`;
}
