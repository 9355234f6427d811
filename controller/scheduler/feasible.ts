/** The scheduler's first stage: which hosts could take it, and why each other one could not. Pure: no clock, database or log. */
import type { Capacity } from '#shared/host.ts';
import type { Decision, Host } from '#shared/resources.ts';
import type { Constraint } from './constraint.ts';

/** What the scheduler sees of a host. `used` is what placements that are not ended take. */
export type HostView = Pick<Host, 'id' | 'name' | 'status' | 'labels' | 'facts' | 'capacity' | 'used'>;

/** What is to be placed. */
export type Wish = {
  constraint: Constraint | null;
  /** Sandboxes whose namespaces it joins, and where these run. */
  beside?: readonly { name: string; hostId: string }[];
  /** Ids of hosts that looked free and twice had no slot when it came to the commit. */
  exhausted?: ReadonlySet<string>;
};

/** `amount`: which part of a capacity is taken; summed over the hosts that were refused for the same reason. */
type Refusal = { reason: string; amount?: { used: number; of: number } };
type Filter = { name: string; refuse: (host: HostView, wish: Wish) => Refusal | null };

/** In this order; a host counts for the first that refuses it, so the cheap and telling ones stand first. */
const filters: readonly Filter[] = [
  {
    name: 'ready',
    refuse: (host) => {
      if (host.facts === null) return { reason: 'its agent never connected' };
      return host.status === 'ready' ? null : { reason: 'no heartbeat from its agent' };
    },
  },
  {
    name: 'joins',
    refuse: (host, wish) => {
      const elsewhere = wish.beside?.find(({ hostId }) => hostId !== host.id);
      return elsewhere === undefined ? null : { reason: `sandbox ${elsewhere.name}, which it joins, runs elsewhere` };
    },
  },
  {
    name: 'constraint',
    refuse: (host, wish) => {
      const reason = wish.constraint?.(host) ?? null;
      return reason === null ? null : { reason };
    },
  },
  {
    name: 'capacity',
    refuse: (host, wish) => firstFull(host) ?? (wish.exhausted?.has(host.id) === true ? { reason: 'no slot at the commit' } : null),
  },
];

/** Most different reasons that a decision keeps; more than these are added up as one. */
const maxRefusals = 20;

/** The dimensions that one more sandbox takes one of, on this host. An unprivileged agent maps one id and needs no range. */
export function neededDimensions(host: HostView): (keyof Capacity)[] {
  return host.facts?.privileged === false ? ['sandboxes'] : ['sandboxes', 'idRanges'];
}

function firstFull(host: HostView): Refusal | null {
  const full = neededDimensions(host).find((dimension) => host.used[dimension] >= host.capacity[dimension]);
  if (full === undefined) return null;
  return { reason: full, amount: { used: host.used[full], of: host.capacity[full] } };
}

export type Feasibility = { feasible: HostView[]; refusals: Decision['refusals'] };

/** Splits the hosts into those that pass every filter and, counted by filter and reason, the rest. */
export function findFeasible(hosts: readonly HostView[], wish: Wish): Feasibility {
  const feasible: HostView[] = [];
  const counts = new Map<string, { filter: string; hosts: number } & Refusal>();
  for (const host of hosts) {
    const refused = firstRefusal(host, wish);
    if (refused === null) {
      feasible.push(host);
      continue;
    }
    const key = `${refused.filter} ${refused.reason}`;
    const seen = counts.get(key);
    if (seen === undefined) counts.set(key, { ...refused, hosts: 1 });
    else counts.set(key, { ...seen, hosts: seen.hosts + 1, ...sum(seen, refused) });
  }
  const refusals = [...counts.values()]
    .map(({ filter, reason, amount, hosts: count }) => ({
      filter,
      reason: amount === undefined ? reason : `${reason}: ${amount.used} of ${amount.of}`,
      hosts: count,
    }))
    .toSorted((a, b) => b.hosts - a.hosts || compare(a.filter, b.filter) || compare(a.reason, b.reason));
  return { feasible, refusals: bounded(refusals) };
}

function firstRefusal(host: HostView, wish: Wish): ({ filter: string } & Refusal) | null {
  for (const filter of filters) {
    const refusal = filter.refuse(host, wish);
    if (refusal !== null) return { filter: filter.name, ...refusal };
  }
  return null;
}

function sum(a: Refusal, b: Refusal): Pick<Refusal, 'amount'> {
  if (a.amount === undefined || b.amount === undefined) return {};
  return { amount: { used: a.amount.used + b.amount.used, of: a.amount.of + b.amount.of } };
}

function bounded(refusals: Decision['refusals']): Decision['refusals'] {
  if (refusals.length <= maxRefusals) return refusals;
  const rest = refusals.slice(maxRefusals - 1);
  const hosts = rest.reduce((total, refusal) => total + refusal.hosts, 0);
  return [...refusals.slice(0, maxRefusals - 1), { filter: 'others', reason: `${rest.length} more reasons`, hosts }];
}

/** By code unit: the same on every machine, whatever its locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
