/** From what a user asked for to the operations that make it: pure, so that `--dry-run` shows exactly what would be done. */
import { namespaceTypes } from '#shared/namespace.ts';
import type { Plan, PlanIdMap, PlanOperation } from '#shared/plan.ts';
import type { SandboxUser } from '#shared/process.ts';
import type { IdRange, SandboxSpec } from '#shared/sandbox.ts';
import { devOperations } from './dev.ts';
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
/** The tty group of every distribution. */
const ttyGid = 5;

export type SandboxPlanInput = SandboxSources & {
  /** the sandbox's name: the hostname where the spec gives none */
  name: string;
  /** its ids on the host; null: a plain user's sandbox, with that user's own ids mapped to root inside */
  idRange: IdRange | null;
  /** the agent's own ids, for the plain user's map */
  owner: { uid: number; gid: number };
  host: HostRootFacts;
  kernel: KernelFacts;
};

/** The plan of a new sandbox. */
export function compileSandboxPlan({ spec, layers, volumes, name, idRange, owner, host, kernel }: SandboxPlanInput): Plan {
  const hostname = spec.hostname ?? name;
  const plainUser = idRange === null;
  const side = plainUser ? 'inner' : 'host';
  let slot = 0;
  const slots = { next: () => slot++ };
  const root = rootOperations({ spec, hostname, idBase: idRange?.start ?? null, host, layers }, slots);
  const mounted = volumeOperations(volumes, plainUser, slots);
  const dev = devOperations(side, plainUser ? null : ttyGid, slots);
  const sources = [...root.sources, ...mounted.sources, ...dev.sources];
  const readonlyRoot = spec.root.type === 'host' || !spec.root.writable;

  return {
    version: 1,
    kind: 'run',
    namespaces: [...namespaceTypes],
    ...identity(idRange, owner),
    log: { maxBytes: spec.logMaxBytes },
    operations: [
      ...onSide(sources, 'host'),
      ...processOnHost(spec, kernel),
      { op: 'propagation', side: 'inner' },
      { op: 'unshare', side: 'inner', namespace: 'cgroup' },
      ...onSide(sources, 'inner'),
      ...root.tree,
      // Before the kernel's own views, which nothing is to cover.
      ...mounted.tree,
      // Before the old root goes: the kernel gives a fresh procfs only to who sees a whole one.
      { op: 'proc', side: 'inner', target: '/proc' },
      { op: 'sysfs', side: 'inner', target: '/sys', optional: true },
      ...dev.tree,
      ...mounted.devTree,
      // A user namespace inside would give its maker every capability over a wide part of the kernel.
      { op: 'sysctl', side: 'inner', name: 'user/max_user_namespaces', value: '0' },
      ...maskedPaths.map((target): PlanOperation => ({ op: 'mask', side: 'inner', target, slot: dev.nullSlot })),
      ...readonlyPaths.map((target): PlanOperation => ({ op: 'readonly', side: 'inner', target })),
      { op: 'pivot_root', side: 'inner' },
      ...(readonlyRoot ? [{ op: 'remount_readonly', side: 'inner', target: '/' } as const] : []),
      { op: 'hostname', side: 'inner', name: hostname },
      { op: 'loopback_up', side: 'inner' },
      ...processInside(spec, spec.user),
      // The agent of a plain user may look at PID 1 (its namespaces) only so; then PID 1 holds nothing that is worth anything.
      { op: 'dumpable', side: 'inner', value: plainUser },
    ],
    exec: {
      argv: spec.command,
      env: environment(spec.env, hostname),
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
  owner: { uid: number; gid: number };
  kernel: KernelFacts;
};

/** The plan of one more process in a running sandbox: the same limits and refusals as its first process, by the same functions. */
export function compileEnterPlan({ command, env, cwd, user, spec, hostname, idRange, owner, kernel }: EnterPlanInput): Plan {
  return {
    version: 1,
    kind: 'enter',
    namespaces: [...namespaceTypes],
    ...identity(idRange, owner),
    log: { maxBytes: 1 },
    operations: [...processOnHost(spec, kernel), ...processInside(spec, user)],
    exec: { argv: command, env: environment(env, hostname), cwd, ...numbersOf(user) },
  };
}

function identity(idRange: IdRange | null, owner: { uid: number; gid: number }): Pick<Plan, 'idMaps' | 'setgroupsDeny'> {
  if (idRange === null) return { idMaps: { uid: [oneId(owner.uid)], gid: [oneId(owner.gid)] }, setgroupsDeny: true };
  const map = { inside: 0, outside: idRange.start, count: idRange.count };
  return { idMaps: { uid: [map], gid: [map] }, setgroupsDeny: false };
}

function oneId(outside: number): PlanIdMap {
  return { inside: 0, outside, count: 1 };
}

/** HOME, USER and SHELL come from the root's own passwd. */
function environment(env: Record<string, string>, hostname: string): Record<string, string> {
  return { PATH: defaultPath, HOSTNAME: hostname, ...env };
}

function onSide(operations: PlanOperation[], side: 'host' | 'inner'): PlanOperation[] {
  return operations.filter((operation) => operation.side === side);
}
