/** What this host is and can, found out once when the agent starts. */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, loadavg, release, totalmem } from 'node:os';
import type { Native } from '#native/binding.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { idRangeSize } from '#shared/host.ts';
import type { HostFacts, HostHello } from '#shared/host.ts';
import type { AgentSettings } from './config.ts';
import type { TaskSource } from './inventory/task-source.ts';
import { agentVersion } from './version.ts';

/** The wire's limit of a reason. */
const reasonMaxChars = 512;

/** /proc/sys/kernel/random/boot_id. PROC_UNAVAILABLE where there is no procfs. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch (cause) {
    throw new NsfleetError('PROC_UNAVAILABLE', {
      attempted: 'read',
      target: '/proc/sys/kernel/random/boot_id',
      reason: errorText(cause),
      cause,
    });
  }
}

/** Before the doctor has been: what it finds is not in here yet. */
export function readFacts(native: Pick<Native, 'relate'>, tasks: Pick<TaskSource, 'name' | 'reason'>): HostFacts {
  const privileged = process.getuid?.() === 0;
  return {
    kernelRelease: release(),
    architecture: arch(),
    operatingSystem: operatingSystem(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    agentVersion,
    privileged,
    namespaceIds: native.relate({ path: '/proc/self/ns/user' }).id !== null,
    scanSource: tasks.name,
    scanSourceReason: tasks.reason?.slice(0, reasonMaxChars) ?? null,
    changeSource: 'poll',
    changeSourceReason: 'not tried yet',
    features: null,
    missing: [],
  };
}

/** What the agent says of itself when it connects. */
export function helloOf(settings: AgentSettings, bootId: string, epoch: number, facts: HostFacts): HostHello {
  const { idPool, sandboxes } = settings.policy;
  const count = facts.privileged ? idPool.count : 0;
  return {
    hostId: settings.hostId,
    bootId,
    epoch,
    labels: settings.labels,
    capacity: { sandboxes, idRanges: count },
    idPool: { start: idPool.start, count, size: idRangeSize },
    facts,
  };
}

/** Runnable tasks over the last minute. */
export function load1(): number {
  return loadavg()[0] ?? 0;
}

function operatingSystem(): string {
  const text = sysctl('/etc/os-release') ?? '';
  return /^PRETTY_NAME="?([^"\n]{1,256})/mu.exec(text)?.[1] ?? 'Linux';
}

function sysctl(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
