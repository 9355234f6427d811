/** What this host is and can, found out once when the agent starts. */
import { readFileSync, readlinkSync, statfsSync } from 'node:fs';
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
const cgroup2Magic = 0x63677270;

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
    missing: missing(privileged),
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

function missing(privileged: boolean): string[] {
  const sentences: string[] = [];
  const user = process.geteuid?.() ?? -1;
  if (!privileged) {
    sentences.push(
      `the agent runs as uid ${user}: a sandbox gets one mapped id and no range, so programs that switch users fail in it; run the agent as root to give each 65,536 ids`,
      'namespaces of other users’ processes are hidden; run the agent as root, or give it CAP_SYS_PTRACE, to see them',
    );
  }
  if (!succeeds(() => readlinkSync('/proc/1/ns/mnt')) && privileged) {
    sentences.push(
      'pid 1’s namespaces are not readable: CAP_SYS_PTRACE, or the capabilities that pid 1 has (often CAP_SYS_RESOURCE), are missing; give the agent the full capability set',
    );
  }
  if (!privileged && sysctl('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    sentences.push(
      'plain users may not make user namespaces: set kernel.unprivileged_userns_clone=1 with sysctl, or run the agent as root',
    );
  }
  if (!privileged && sysctl('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    sentences.push('AppArmor keeps plain users from using user namespaces: set kernel.apparmor_restrict_unprivileged_userns=0 with sysctl');
  }
  if (sysctl('/proc/sys/user/max_user_namespaces') === '0') {
    sentences.push('no user namespaces can be made: set user.max_user_namespaces above 0 with sysctl');
  }
  if (!hasCgroup2()) {
    sentences.push('cgroup v2 is not at /sys/fs/cgroup: limits will not be available; boot with systemd.unified_cgroup_hierarchy=1');
  }
  return sentences;
}

function hasCgroup2(): boolean {
  return succeeds(() => {
    if (statfsSync('/sys/fs/cgroup').type !== cgroup2Magic) throw new Error('another file system');
  });
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

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
