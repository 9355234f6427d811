/** Which plans a ready shim can take. Pure; the shim checks the same (native/shim/ready.c). */
import { namespaceTypes } from '#shared/namespace.ts';
import type { Plan } from '#shared/plan.ts';

/** What it has done already, and can not undo. */
const alwaysDone = ['propagation', 'loopback_up', 'drop_capabilities'] as const;
/** Operations that need the host's mounts or the state directory inside: a plain user's. */
const fromInside: ReadonlySet<string> = new Set(['tree', 'overlay', 'state_mkdir']);

/** Whether a ready shim makes the same of the plan as a new one: what it has already must be what the plan asks for. */
export function fitsReadyShim(plan: Plan): boolean {
  return (
    plan.kind === 'run' &&
    namespaceTypes.every((type) => plan.namespaces.includes(type)) &&
    alwaysDone.every((done) => plan.operations.some(({ op }) => op === done)) &&
    !plan.operations.some(({ op, side }) => side === 'inner' && fromInside.has(op))
  );
}
