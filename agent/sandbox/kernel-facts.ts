/** What this kernel, and this agent's own limits, can give a process: read once when the agent starts. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { capabilitiesOf } from '#shared/capability.ts';
import { rlimitNames } from '#shared/process.ts';
import type { RlimitName, RlimitValue } from '#shared/process.ts';

export type KernelFacts = {
  /** root of the host: it maps ranges of ids. A plain user maps one */
  privileged: boolean;
  /** that the agent has; root in a container may lack some */
  capabilities: readonly string[];
  /** the last capability that the kernel knows */
  capabilityLast: number;
  /** fs.nr_open: no limit of open files can be above it */
  openFilesMax: number;
  /** the agent's own, which its children start with */
  nice: number;
  oomScoreAdj: number;
  hardLimits: Readonly<Record<RlimitName, RlimitValue>>;
};

/** The lines of /proc/<pid>/limits, in words of their own. */
const limitLines: Readonly<Record<RlimitName, string>> = {
  cpu: 'Max cpu time',
  fsize: 'Max file size',
  data: 'Max data size',
  stack: 'Max stack size',
  core: 'Max core file size',
  rss: 'Max resident set',
  nproc: 'Max processes',
  nofile: 'Max open files',
  memlock: 'Max locked memory',
  as: 'Max address space',
  locks: 'Max file locks',
  sigpending: 'Max pending signals',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
};

export function readKernelFacts(privileged: boolean): KernelFacts {
  const limits = parseLimits(readFileSync('/proc/self/limits', 'latin1'));
  return {
    privileged,
    capabilities: capabilitiesOf(BigInt(`0x${/^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`)),
    // Before 5.9 there were fewer; one that is not there is found when it is asked for.
    capabilityLast: number('/proc/sys/kernel/cap_last_cap') ?? 37,
    openFilesMax: number('/proc/sys/fs/nr_open') ?? 1_048_576,
    nice: getPriority(),
    oomScoreAdj: number('/proc/self/oom_score_adj') ?? 0,
    hardLimits: Object.fromEntries(rlimitNames.map((name) => [name, limits[name]?.hard ?? 'unlimited'])) as KernelFacts['hardLimits'],
  };
}

/** proc_pid_limits(5). Limits that it does not tell are left out; what is too large for a number is as good as unlimited. */
export function parseLimits(text: string): Partial<Record<RlimitName, { soft: RlimitValue; hard: RlimitValue }>> {
  const found: Partial<Record<RlimitName, { soft: RlimitValue; hard: RlimitValue }>> = {};
  for (const name of rlimitNames) {
    const line = text.split('\n').find((line) => line.startsWith(`${limitLines[name]} `));
    const match = /^ +(unlimited|[0-9]+) +(unlimited|[0-9]+)/.exec(line?.slice(limitLines[name].length) ?? '');
    if (match !== null) found[name] = { soft: value(match[1] ?? ''), hard: value(match[2] ?? '') };
  }
  return found;
}

function value(text: string): RlimitValue {
  return text === 'unlimited' || !Number.isSafeInteger(Number(text)) ? 'unlimited' : Number(text);
}

function number(path: string): number | null {
  try {
    const text = readFileSync(path, 'latin1').trim();
    return /^-?[0-9]{1,15}$/.test(text) ? Number(text) : null;
  } catch {
    return null;
  }
}
