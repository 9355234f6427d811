/** The scheduler's decision on what the database knows now. */
import { NsfleetError } from '#shared/errors.ts';
import type { Decision } from '#shared/resources.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { LinkState } from '../link.ts';
import { compileConstraint } from '../scheduler/constraint.ts';
import { explain } from '../scheduler/explain.ts';
import type { HostView, Wish } from '../scheduler/feasible.ts';
import { judgeInTime } from '../filter/bounded.ts';
import { place } from '../scheduler/place.ts';

/** Compiled once a request, however often it is scheduled. CONSTRAINT_INVALID. */
export function wishOf(spec: SandboxSpec): Wish {
  return { constraint: spec.constraint === undefined ? null : compileConstraint(spec.constraint) };
}

/** Heartbeats come every five seconds: whoever has listened for less cannot say that a host is silent. */
const blindMs = 6000;

/** True where nothing fits only because hosts seem silent, and this controller has not listened for long enough to know. */
export function isBlind(decision: Decision, link: LinkState): boolean {
  return decision.chosen === null && link.ok && link.connectedMs < blindMs && decision.refusals.some(({ filter }) => filter === 'ready');
}

/** The host that was chosen, or NOT_PLACED with every filter's count. */
export function chosenHost(hosts: readonly HostView[], decision: Decision, name: string): HostView {
  const chosen = hosts.find((host) => host.id === decision.chosen);
  if (chosen !== undefined) return chosen;
  throw new NsfleetError('NOT_PLACED', { attempted: 'place sandbox', target: name, reason: explain(decision) });
}

/** What a constraint may take; of a host it is some microseconds. */
const constraintMs = 500;
const hostMs = 1;

/** CONSTRAINT_INVALID where the wish's constraint takes longer than it may. */
export function placeInTime(hosts: readonly HostView[], wish: Wish): Decision {
  if (wish.constraint === null) return place(hosts, wish);
  return judgeInTime('CONSTRAINT_INVALID', () => place(hosts, wish), constraintMs + hosts.length * hostMs);
}
