/** Settings of the kernel that stand in the way, and what is left of its limits. The rules are pure; `read` gives a file's text, or null. */
import type { DoctorFinding } from '#shared/doctor.ts';
import { namespaceTypes } from '#shared/namespace.ts';

export type ReadText = (path: string) => string | null;

/** With fewer a crowd of sandboxes stops for a number that somebody once wrote down. */
const namespacesWanted = 1000;
/** One process more each 1.3 s, and a pid that was remembered is another process's within a day. */
const pidsWanted = 65_536;
/** Of a limit: less than this is left. */
const scarce = 0.1;

export function sysctlFindings(read: ReadText, privileged: boolean): DoctorFinding[] {
  return [...maxNamespaces(read), ...forPlainUsers(read, privileged), ...pids(read), ...openFiles(read)];
}

const number = (read: ReadText, path: string): number | null => {
  const text = read(path)?.trim().split(/\s/u)[0];
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
};

function maxNamespaces(read: ReadText): DoctorFinding[] {
  return namespaceTypes.flatMap((type): DoctorFinding[] => {
    const most = number(read, `/proc/sys/user/max_${type}_namespaces`);
    if (most === null) return [];
    const name = `user.max_${type}_namespaces`;
    const id = `sysctl.max_${type}_namespaces`;
    if (most >= namespacesWanted) return [{ id, state: 'ok', detail: `${name} is ${most}`, remedy: null }];
    const detail = most === 0 ? `${name} is 0: none can be made` : `${name} is ${most}: no more of them for one user`;
    return [{ id, state: most === 0 ? 'missing' : 'limited', detail, remedy: `sysctl -w ${name}=65536` }];
  });
}

function forPlainUsers(read: ReadText, privileged: boolean): DoctorFinding[] {
  if (privileged) return [];
  const inTheWay = [
    { name: 'kernel.unprivileged_userns_clone', bad: '0', good: '1', says: 'plain users may not make user namespaces' },
    {
      name: 'kernel.apparmor_restrict_unprivileged_userns',
      bad: '1',
      good: '0',
      says: 'AppArmor keeps plain users from using user namespaces',
    },
  ];
  return inTheWay.flatMap(({ name, bad, good, says }): DoctorFinding[] => {
    const value = read(`/proc/sys/${name.replace('.', '/')}`)?.trim();
    if (value === undefined) return [];
    const id = `sysctl.${name.slice('kernel.'.length)}`;
    if (value !== bad) return [{ id, state: 'ok', detail: `${name} is ${value}`, remedy: null }];
    return [{ id, state: 'missing', detail: `${name} is ${bad}: ${says}`, remedy: `sysctl -w ${name}=${good}, or run the agent as root` }];
  });
}

function pids(read: ReadText): DoctorFinding[] {
  const most = number(read, '/proc/sys/kernel/pid_max');
  if (most === null) return [];
  const threadsMost = number(read, '/proc/sys/kernel/threads-max') ?? most;
  // 0.00 0.01 0.05 1/512 12345: of all tasks, the second number.
  const used = Number(/ [0-9]+\/([0-9]+) /.exec(read('/proc/loadavg') ?? '')?.[1] ?? 0);
  const findings: DoctorFinding[] = [];
  if (most < pidsWanted) {
    findings.push({
      id: 'sysctl.pid_max',
      state: 'limited',
      detail: `kernel.pid_max is ${most}: pids come round within seconds of forking, and are few for a crowd`,
      remedy: 'sysctl -w kernel.pid_max=4194304',
    });
  } else {
    findings.push({ id: 'sysctl.pid_max', state: 'ok', detail: `kernel.pid_max is ${most}`, remedy: null });
  }
  findings.push(
    left('limit.tasks', 'tasks', used, Math.min(most, threadsMost), 'sysctl -w kernel.pid_max=4194304 kernel.threads-max=4194304'),
  );
  return findings;
}

function openFiles(read: ReadText): DoctorFinding[] {
  // fs.file-nr: allocated, always 0, most.
  const [used, , most] = (read('/proc/sys/fs/file-nr') ?? '').trim().split(/\s+/u).map(Number);
  if (used === undefined || most === undefined || !(most > 0)) return [];
  return [left('limit.files', 'open files', used, most, `sysctl -w fs.file-max=${Math.min(most * 4, Number.MAX_SAFE_INTEGER)}`)];
}

function left(id: string, what: string, used: number, most: number, remedy: string): DoctorFinding {
  const few = most - used < most * scarce;
  return { id, state: few ? 'limited' : 'ok', detail: `${used} of ${most} ${what} are in use`, remedy: few ? remedy : null };
}
