/** From what a user asked for to the operations that make it: pure, so that `--dry-run` shows exactly what would be done. */
import { lifetimeLimits } from '#shared/plan.ts';
import type { Plan, PlanOperation } from '#shared/plan.ts';
import type { SandboxUser } from '#shared/process.ts';
import type { IdRange, SandboxSpec } from '#shared/sandbox.ts';
import { signalNumber } from '#shared/signal.ts';
import { devOperations } from './dev.ts';
import { identityOf, outsideOf } from './identity.ts';
import type { Identity, Owner } from './identity.ts';
import { enteredTypes, freshTypes, isOwned, nothingJoined } from './join-facts.ts';
import type { JoinFacts } from './join-facts.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { numbersOf, processInside, processOnHost } from './process-plan.ts';
import type { HostRootFacts } from './root-facts.ts';
import { rootOperations } from './rootfs.ts';
import type { SandboxSources } from './sources.ts';
import { volumeOperations } from './volumes.ts';

/**
 * runc's default list (opencontainers/runc libcontainer/specconv/example.go), and /proc/interrupts, whose timing tells of
 * keystrokes and of other sandboxes.
 */
const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  // docker's: what power the host draws tells of other sandboxes' secrets.
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What the kernel begins with (include/linux/uts.h). */
const noDomainName = '(none)';
/** The tty group of every distribution. */
const ttyGid = 5;

export type SandboxPlanInput = SandboxSources & {
  /** the sandbox's name: the hostname where the spec gives none */
  name: string;
  /** its ids on the host; null: a plain user's sandbox, with that user's own ids mapped to root inside */
  idRange: IdRange | null;
  /** the agent's own ids, for the plain user's map */
  owner: Owner;
  host: HostRootFacts;
  kernel: KernelFacts;
  /** the namespaces that it joins; left out: none */
  joined?: JoinFacts;
};

/** The plan of a new sandbox. */
export function compileSandboxPlan(input: SandboxPlanInput): Plan {
  const { spec, layers, volumes, name, idRange, owner, host, kernel, joined = nothingJoined } = input;
  const hostname = spec.hostname ?? name;
  const plainUser = idRange === null;
  const side = plainUser ? 'inner' : 'host';
  let slot = 0;
  const slots = { next: () => slot++ };
  const identity = identityOf(spec, idRange, owner, joined.ids);
  const { uid, gid } = identity.idMaps;
  const fresh = new Set(freshTypes(spec));
  const root = rootOperations({ spec, hostname, idBase: plainUser ? null : outsideOf(uid, 0), host, layers }, slots);
  const mounted = volumeOperations(volumes, plainUser, slots);
  const dev = devOperations(side, outsideOf(gid, ttyGid) === null ? null : ttyGid, slots);
  const sources = [...root.sources, ...mounted.sources, ...dev.sources];
  const readonlyRoot = spec.root.type === 'host' || !spec.root.writable;

  const { timeOffsets } = spec;
  const clocks: PlanOperation[] = timeOffsets === undefined ? [] : [{ op: 'time_offsets', side: 'inner', ...timeOffsets }];
  // mq_overview(7): the file system of message queues is for who owns the namespace.
  const withoutQueues = isOwned(spec, joined, 'ipc') ? [] : ['/dev/mqueue'];

  const ownRoot: PlanOperation[] = [
    ...onSide(sources, 'host'),
    ...processOnHost(spec, kernel),
    { op: 'propagation', side: 'inner' },
    ...onlyIf(fresh.has('cgroup'), { op: 'unshare', side: 'inner', namespace: 'cgroup' }),
    ...onSide(sources, 'inner'),
    ...root.tree,
    // Before the kernel's own views, which nothing is to cover.
    ...mounted.tree,
    // Before the old root goes: the kernel gives a fresh procfs only to who sees a whole one.
    { op: 'proc', side: 'inner', target: '/proc' },
    ...clocks,
    // It shows the network namespace, and is for who owns that.
    ...onlyIf(isOwned(spec, joined, 'net'), { op: 'sysfs', side: 'inner', target: '/sys', optional: true }),
    ...dev.tree.filter((operation) => !withoutQueues.includes(pathOf(operation))),
    ...mounted.devTree,
    // A user namespace inside would give its maker every capability over a wide part of the kernel. The limit of one that was joined is its maker's.
    ...onlyIf(fresh.has('user'), { op: 'sysctl', side: 'inner', name: 'user/max_user_namespaces', value: '0' }),
    ...maskedPaths.map((target): PlanOperation => ({ op: 'mask', side: 'inner', target, slot: dev.nullSlot })),
    ...readonlyPaths.map((target): PlanOperation => ({ op: 'readonly', side: 'inner', target })),
    { op: 'pivot_root', side: 'inner' },
    ...onlyIf(readonlyRoot, { op: 'remount_readonly', side: 'inner', target: '/' }),
  ];
  const noRoot: PlanOperation[] = [
    ...processOnHost(spec, kernel),
    ...onlyIf(fresh.has('cgroup'), { op: 'unshare', side: 'inner', namespace: 'cgroup' }),
    ...clocks,
  ];

  return {
    version: 1,
    kind: 'run',
    namespaces: [...fresh],
    joins: joined.joins,
    ...identity,
    log: { maxBytes: spec.logMaxBytes },
    operations: [
      ...lifetimes(spec),
      ...(fresh.has('mnt') ? ownRoot : noRoot),
      ...onlyIf(fresh.has('uts'), { op: 'hostname', side: 'inner', name: hostname }),
      // A new uts namespace begins with the host's names: uts_namespaces(7).
      ...onlyIf(fresh.has('uts'), { op: 'domainname', side: 'inner', name: spec.domainname ?? noDomainName }),
      ...onlyIf(fresh.has('net'), { op: 'loopback_up', side: 'inner' }),
      ...processInside(spec, spec.user),
      // The agent of a plain user may look at PID 1 (its namespaces) only so; then PID 1 holds nothing that is worth anything.
      { op: 'dumpable', side: 'inner', value: plainUser },
    ],
    exec: {
      argv: spec.command,
      env: environment(spec.env, fresh.has('uts') ? hostname : null),
      cwd: spec.cwd,
      ...numbersOf(spec.user),
    },
  };
}

export type EnterPlanInput = {
  command: string[];
  env: Record<string, string>;
  cwd: string;
  user: SandboxUser;
  /** of the sandbox that is entered */
  spec: SandboxSpec;
  hostname: string;
  idRange: IdRange | null;
  /** of the user namespace that it joined; null: it joined none */
  joined: Identity | null;
  owner: Owner;
  kernel: KernelFacts;
};

/** The plan of one more process in a running sandbox: the same limits and refusals as its first process, by the same functions. */
export function compileEnterPlan({ command, env, cwd, user, spec, hostname, idRange, joined, owner, kernel }: EnterPlanInput): Plan {
  return {
    version: 1,
    kind: 'enter',
    namespaces: enteredTypes(spec),
    joins: [],
    ...identityOf(spec, idRange, owner, joined),
    log: { maxBytes: 1 },
    operations: [...processOnHost(spec, kernel), ...processInside(spec, user)],
    exec: { argv: command, env: environment(env, freshTypes(spec).includes('uts') ? hostname : null), cwd, ...numbersOf(user) },
  };
}

/** HOME, USER and SHELL come from the root's own passwd. `hostname` null: it has the name of who made its uts namespace, which may change. */
function environment(env: Record<string, string>, hostname: string | null): Record<string, string> {
  return { PATH: defaultPath, ...(hostname === null ? {} : { HOSTNAME: hostname }), ...env };
}

function onSide(operations: PlanOperation[], side: 'host' | 'inner'): PlanOperation[] {
  return operations.filter((operation) => operation.side === side);
}

function onlyIf(condition: boolean, operation: PlanOperation): PlanOperation[] {
  return condition ? [operation] : [];
}

function pathOf(operation: PlanOperation): string {
  if ('target' in operation) return operation.target;
  return 'path' in operation ? operation.path : '';
}

/** Ended by its shim, so that it ends though agent and controller are gone. */
function lifetimes({ ttlMs, idleMs, deadline, stopSignal, stopGraceMs }: SandboxSpec): PlanOperation[] {
  const ms = { ttl: ttlMs, idle: idleMs, deadline: deadline === undefined ? undefined : Math.max(0, Date.parse(deadline)) };
  const end = { op: 'lifetime', side: 'host', signal: signalNumber(stopSignal), graceMs: stopGraceMs } as const;
  return lifetimeLimits.flatMap((limit) => (ms[limit] === undefined ? [] : [{ ...end, limit, ms: ms[limit] }]));
}
