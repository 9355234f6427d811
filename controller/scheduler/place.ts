/** Feasible → score → place: a pure function from what is known of the hosts to a decision with its reasons. */
import type { Decision } from '#shared/resources.ts';
import { compare, findFeasible } from './feasible.ts';
import type { HostView, Wish } from './feasible.ts';
import { scoreSpread } from './score.ts';

/** A decision keeps this many of the best hosts: enough to see why the first one won. */
const maxScores = 5;

/**
 * The best host for the wish, or a decision whose `chosen` is null and whose refusals say why. The same input gives the same
 * decision: equal scores go by name, then by id, in code unit order.
 */
export function place(hosts: readonly HostView[], wish: Wish): Decision {
  const { feasible, refusals } = findFeasible(hosts, wish);
  const ranked = feasible
    .map((host) => ({ hostId: host.id, hostName: host.name, ...scoreSpread(host) }))
    .toSorted((a, b) => b.score - a.score || compare(a.hostName, b.hostName) || compare(a.hostId, b.hostId));
  return {
    hostsSeen: hosts.length,
    hostsFeasible: feasible.length,
    refusals,
    scores: ranked.slice(0, maxScores),
    chosen: ranked[0]?.hostId ?? null,
  };
}
