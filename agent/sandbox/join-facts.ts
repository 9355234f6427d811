/** What of a sandbox's namespaces was there before it: as its plan needs to know it. Pure. */
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { PlanJoin } from '#shared/plan.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import { choiceOf } from '#shared/sandbox-namespaces.ts';
import type { Identity } from './identity.ts';

export type JoinFacts = {
  /** in the order in which they are joined */
  joins: PlanJoin[];
  /** those of `joins` that the user namespace of the sandbox does not own */
  foreign: ReadonlySet<NamespaceType>;
  /** of the user namespace that is joined; null: none is */
  ids: Identity | null;
};

export const nothingJoined: JoinFacts = { joins: [], foreign: new Set(), ids: null };

/** The types that are made for this sandbox. */
export function freshTypes({ namespaces }: Pick<SandboxSpec, 'namespaces'>): NamespaceType[] {
  return namespaceTypes.filter((type) => choiceOf(namespaces, type).from === 'new');
}

/** Types that a process which enters the sandbox joins: all that are not the host's, where it is already. */
export function enteredTypes({ namespaces }: Pick<SandboxSpec, 'namespaces'>): NamespaceType[] {
  return namespaceTypes.filter((type) => choiceOf(namespaces, type).from !== 'host');
}

/** True where root inside has the capabilities that the kernel asks for in that namespace (user_namespaces(7)). */
export function isOwned({ namespaces }: Pick<SandboxSpec, 'namespaces'>, facts: JoinFacts, type: NamespaceType): boolean {
  if (choiceOf(namespaces, 'user').from === 'host') return true;
  const { from } = choiceOf(namespaces, type);
  return from !== 'host' && !facts.foreign.has(type);
}

/**
 * Non-user namespaces first where the agent is root: until it joins the user namespace it has the host's capabilities over all of them. A plain
 * user has capabilities only in a user namespace that is joined, so that comes first. The mount namespace late: nothing after it needs a path.
 */
const rootOrder: readonly NamespaceType[] = ['cgroup', 'ipc', 'uts', 'net', 'time', 'pid', 'mnt', 'user'];
const plainOrder: readonly NamespaceType[] = ['user', ...rootOrder.filter((type) => type !== 'user')];

export function joinOrder(privileged: boolean): readonly NamespaceType[] {
  return privileged ? rootOrder : plainOrder;
}
