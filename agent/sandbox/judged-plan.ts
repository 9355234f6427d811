/** From a wish to the plan that this host would carry out: its policy first, then what the spec names on it, then the compiler. */
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import type { Plan } from '#shared/plan.ts';
import type { Lack } from '#shared/lack.ts';
import type { DesiredPlacement, SandboxSpec } from '#shared/sandbox.ts';
import type { Cgroups } from '../cgroup/hierarchy.ts';
import type { ImageStore } from '../image/store.ts';
import type { Policy } from '../policy/model.ts';
import type { Owner } from './identity.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { nothingJoined } from './join-facts.ts';
import { openJoins } from './join-targets.ts';
import type { JoinParts } from './join-targets.ts';
import { fitOrRefuse } from './lacks.ts';
import { compileSandboxPlan } from './plan.ts';
import type { HostRootFacts } from './root-facts.ts';
import { foreseeSources, prepareSources } from './sources.ts';

export type PlanParts = {
  native: Native;
  host: HostRootFacts;
  kernel: KernelFacts;
  policy: Policy;
  /** the agent's own ids: what a plain user's sandbox maps */
  owner: Owner;
  cgroups: Pick<Cgroups, 'lacks'>;
  joins: Pick<JoinParts, 'initOf' | 'model'>;
  images: ImageStore;
};

/**
 * `targets`: open namespaces, in the order of `plan.joins`; disposing closes them. `spec` is what this host can do of what was asked for, `lacks` the
 * rest.
 */
export type JudgedPlan = Disposable & { plan: Plan; targets: readonly Fd[]; spec: SandboxSpec; lacks: Lack[] };

/**
 * `directory`: the placement's, which is to be made; null: nothing is, for `--dry-run`. POLICY_REFUSED, SPEC_UNAVAILABLE, ROOT_REFUSED, VOLUME_REFUSED,
 * IMAGE_REFUSED, NAMESPACE_NOT_FOUND, JOIN_REFUSED.
 */
export async function judgedPlan(
  parts: PlanParts,
  { spec, name, idRange }: Pick<DesiredPlacement, 'spec' | 'name' | 'idRange'>,
  directory: string | null,
): Promise<JudgedPlan> {
  const { native, host, kernel, owner, cgroups, joins } = parts;
  const sources = await (directory === null ? foreseeSources(parts, spec, name) : prepareSources(parts, spec, name, directory));
  const { spec: allowed, lacks } = fitOrRefuse(
    sources.spec,
    { ...kernel, noControllers: cgroups.lacks, landlockAbi: native.landlockAbi() },
    name,
  );
  const input = { ...sources, spec: allowed, name, idRange, owner, host, kernel };
  if (Object.values(allowed.namespaces).every((choice) => choice.from === 'new')) {
    const plan = compileSandboxPlan({ ...input, joined: nothingJoined });
    return { plan, targets: [], spec: allowed, lacks, [Symbol.dispose]: () => undefined };
  }
  const opened = await openJoins({ native, owner, ...joins }, allowed, name);
  return {
    plan: compileSandboxPlan({ ...input, joined: opened.facts }),
    targets: opened.targets,
    spec: allowed,
    lacks,
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}
