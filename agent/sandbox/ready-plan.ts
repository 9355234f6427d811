/**
 * The first plan of a ready shim: what the plans of any two sandboxes with the host's root have in common, as far as it can be done before
 * their ids are known. Which plans can follow it; the shim checks the same (native/shim/ready.c). Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Plan, PlanOperation, PlanOperationName } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { resolveProcess } from '../image/process.ts';
import { compileSandboxPlan } from './plan.ts';
import type { HostRootFacts } from './root-facts.ts';

/**
 * Nothing that keeps a file system of the host busy (`tree`, but for devices), that needs mapped ids (`devpts`), the cgroup of that moment, or
 * that must come last.
 */
const early: ReadonlySet<PlanOperationName> = new Set<PlanOperationName>([
  ...([
    'propagation',
    'root',
    'mkdir',
    'symlink',
    'file',
    'tmpfs',
    'proc',
    'sysfs',
    'mqueue',
    'sysctl',
    'mask',
    'readonly',
    'pivot_root',
  ] as const),
  'loopback_up',
]);
/** What cannot be undone, where the rest of the plan turns out to be another one. */
const lasting: ReadonlySet<PlanOperationName> = new Set<PlanOperationName>(['propagation', 'sysctl', 'loopback_up']);
/** Operations that need the host's mounts or the state directory inside: a plain user's. */
const fromInside: ReadonlySet<PlanOperationName> = new Set<PlanOperationName>(['tree', 'lower', 'overlay', 'state_mkdir']);

export function firstPlan(host: HostRootFacts, kernel: KernelFacts): Plan {
  const [plan, other] = ['a', 'b'].map((name, index) =>
    compileSandboxPlan({
      spec: resolveProcess(SandboxSpec.parse({ command: [name], user: { uid: index, gid: index } }), null),
      layers: [],
      volumes: [],
      name,
      idRange: { start: 1 + index, count: 1 },
      owner: { uid: 0, gid: 0 },
      host,
      kernel,
    }),
  ) as [Plan, Plan];
  const devices = new Set(plan.operations.flatMap((one) => (one.op === 'tree' && one.device !== null ? [one.slot] : [])));
  const isEarly = (one: PlanOperation): boolean => (one.op === 'tree' || one.op === 'attach' ? devices.has(one.slot) : early.has(one.op));
  const common = plan.operations.filter((one) => isEarly(one) && other.operations.some((two) => isDeepStrictEqual(one, two)));
  return { ...plan, operations: common };
}

/** Whether a shim that was started with `first` makes the same of `plan` as a new one would. */
export function canFollow(plan: Plan, first: Plan): boolean {
  // Mostly it is the very same object.
  const has = (one: PlanOperation): boolean => plan.operations.includes(one) || plan.operations.some((two) => isDeepStrictEqual(one, two));
  return (
    plan.kind === 'run' &&
    first.namespaces.length === plan.namespaces.length &&
    first.namespaces.every((type) => plan.namespaces.includes(type)) &&
    plan.joins.length === 0 &&
    !plan.operations.some(({ op }) => op === 'time_offsets') &&
    first.operations.every((one) => !lasting.has(one.op) || has(one)) &&
    // It has none left to keep.
    plan.operations.some((one) => one.op === 'drop_capabilities' && one.keep.length === 0) &&
    !plan.operations.some(({ op, side }) => side === 'inner' && fromInside.has(op))
  );
}
