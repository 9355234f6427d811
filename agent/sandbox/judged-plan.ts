/** From a wish to the plan that this host would carry out: its policy first, then what the spec names on it, then the compiler. */
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import type { Plan } from '#shared/plan.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { Policy } from '../policy/model.ts';
import type { Owner } from './identity.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { nothingJoined } from './join-facts.ts';
import { openJoins } from './join-targets.ts';
import type { JoinParts } from './join-targets.ts';
import { compileSandboxPlan } from './plan.ts';
import type { HostRootFacts } from './root-facts.ts';
import { allowedSources } from './sources.ts';

export type PlanParts = {
  native: Native;
  host: HostRootFacts;
  kernel: KernelFacts;
  policy: Policy;
  /** the agent's own ids: what a plain user's sandbox maps */
  owner: Owner;
  joins: Pick<JoinParts, 'initOf' | 'model'>;
};

/** `targets`: open namespaces, in the order of `plan.joins`; disposing closes them. */
export type JudgedPlan = Disposable & { plan: Plan; targets: readonly Fd[] };

/** POLICY_REFUSED, ROOT_REFUSED, NAMESPACE_NOT_FOUND, JOIN_REFUSED. */
export async function judgedPlan(
  { native, host, kernel, policy, owner, joins }: PlanParts,
  { spec, name, idRange }: Pick<DesiredPlacement, 'spec' | 'name' | 'idRange'>,
): Promise<JudgedPlan> {
  const sources = allowedSources(spec, policy, name);
  const allowed = sources.spec;
  const input = { ...sources, name, idRange, owner, host, kernel };
  if (Object.values(allowed.namespaces).every((choice) => choice.from === 'new')) {
    return { plan: compileSandboxPlan({ ...input, joined: nothingJoined }), targets: [], [Symbol.dispose]: () => undefined };
  }
  const opened = await openJoins({ native, owner, ...joins }, allowed, name);
  return {
    plan: compileSandboxPlan({ ...input, joined: opened.facts }),
    targets: opened.targets,
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}
