/** The operations that bind every process of a sandbox, the first and those that enter. Pure. */
import type { Plan, PlanOperation } from '#shared/plan.ts';
import { exceeds, rlimitNames } from '#shared/process.ts';
import type { Account, RlimitName, SandboxUser } from '#shared/process.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { landlockOperations } from './landlock.ts';
import { seccompOperations } from './seccomp/filter.ts';

type Rules = Pick<SandboxSpec, 'rlimits' | 'umask' | 'nice' | 'oomScoreAdj' | 'capabilities' | 'seccomp' | 'landlock' | 'namespaces'>;

/** What needs the host's rights, or would bind the shim too: done from outside, to the process that all others come from. */
export function processOnHost({ rlimits, nice, oomScoreAdj }: Rules, kernel: KernelFacts): PlanOperation[] {
  const raised = rlimitNames.flatMap((resource): PlanOperation[] => {
    const hard = rlimits[resource]?.hard;
    return hard === undefined || !exceeds(hard, kernel.hardLimits[resource]) ? [] : [{ op: 'raise_rlimit', side: 'host', resource, hard }];
  });
  const mayLower = kernel.capabilities.includes('CAP_SYS_NICE');
  const wanted = nice ?? (mayLower ? 0 : Math.max(0, kernel.nice));
  return [
    ...raised,
    ...(wanted === kernel.nice ? [] : [{ op: 'nice', side: 'host', value: wanted } as const]),
    // The shim sets 0 itself where it may.
    ...(oomScoreAdj === undefined || oomScoreAdj === 0 ? [] : [{ op: 'oom_score_adj', side: 'host', value: oomScoreAdj } as const]),
  ];
}

/** What holds from here to the end of the process. */
export function processInside(rules: Rules, user: SandboxUser): PlanOperation[] {
  const { rlimits, umask, capabilities, seccomp } = rules;
  return [
    { op: 'session_keyring', side: 'inner' },
    ...defaultLimits.filter(({ resource }) => rlimits[resource] === undefined),
    ...rlimitNames.flatMap((resource): PlanOperation[] => {
      const limit = rlimits[resource];
      return limit === undefined ? [] : [{ op: 'rlimit', side: 'inner', resource, ...limit, clamp: false }];
    }),
    { op: 'umask', side: 'inner', mask: Number.parseInt(umask, 8) },
    { op: 'user', side: 'inner', name: nameOf(user.uid), group: user.gid === undefined ? null : nameOf(user.gid) },
    ...user.groups.map((group): PlanOperation => ({ op: 'group', side: 'inner', gid: numberOf(group), name: nameOf(group) })),
    { op: 'no_new_privs', side: 'inner' },
    { op: 'drop_capabilities', side: 'inner', keep: [...new Set(capabilities.add)] },
    ...landlockOperations(rules),
    ...seccompOperations(seccomp, capabilities.add),
  ];
}

/** The plan's exec.uid and gid: a number is what it is, whatever a passwd calls so. */
export function numbersOf({ uid, gid }: SandboxUser): Pick<Plan['exec'], 'uid' | 'gid'> {
  return { uid: numberOf(uid), gid: gid === undefined ? null : numberOf(gid) };
}

type LimitOperation = Extract<PlanOperation, { op: 'rlimit' }> & { resource: RlimitName };

const defaultLimits: readonly LimitOperation[] = [
  // No core: the kernel may hand it to a program of the host's, outside of every namespace.
  { op: 'rlimit', side: 'inner', resource: 'core', soft: 0, hard: 0, clamp: true },
  // Node raises its own to the hard limit; programs that close every possible descriptor would take seconds.
  { op: 'rlimit', side: 'inner', resource: 'nofile', soft: 1024, hard: null, clamp: true },
];

function numberOf(account: Account): number | null {
  return typeof account === 'number' ? account : null;
}

function nameOf(account: Account): string | null {
  return typeof account === 'string' ? account : null;
}
