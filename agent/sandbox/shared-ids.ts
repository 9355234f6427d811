/** Sandboxes that joined the user namespace of another have its ids, and end with it: its range is given to the next one when it is removed. */
import type { Native } from '#native/binding.ts';
import { NsfleetError } from '#shared/errors.ts';
import { choiceOf } from '#shared/sandbox-namespaces.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { JoinParts } from './join-targets.ts';
import type { Placement } from './placement.ts';
import { isAlive } from './processes.ts';

/** Those that live in the user namespace that was made for `placement`, by whatever way they came to it. */
export function idSharersOf(placement: Placement, others: Iterable<Placement>): Placement[] {
  const { record } = placement;
  if (choiceOf(record.desired.spec.namespaces, 'user').from !== 'new') return [];
  const own = record.namespaces.find(({ type }) => type === 'user');
  if (own === undefined) return [];
  return [...others].filter(
    (other) =>
      other !== placement &&
      !isEnded(other.record.state) &&
      other.record.namespaces.some(({ type, key }) => type === 'user' && key === own.key),
  );
}

/**
 * Asked when a sandbox runs, in the turn in which that is written down: from then on `idSharersOf` finds it. Throws NAMESPACE_NOT_FOUND where the
 * sandbox whose ids it has was ended while it was made.
 */
export function checkLender(native: Native, initOf: JoinParts['initOf'], spec: SandboxSpec, name: string): void {
  const user = choiceOf(spec.namespaces, 'user');
  if (user.from !== 'sandbox' || isAlive(native, initOf(user.name))) return;
  throw new NsfleetError('NAMESPACE_NOT_FOUND', {
    attempted: 'join the user namespace of a sandbox for',
    target: name,
    reason: `sandbox ${user.name} ended meanwhile`,
  });
}
