/** What this host can give, tried: what is missing, and what mends it. The same for people, for the scheduler's facts and for who checks a spec. */
import { readFileSync, readlinkSync } from 'node:fs';
import { cgroupControllers } from '#shared/cgroup.ts';
import type { DoctorFinding, DoctorReport } from '#shared/doctor.ts';
import { errorText } from '#shared/errors.ts';
import type { HostFacts } from '#shared/host.ts';
import type { Log } from '#shared/log.ts';
import type { Cgroups } from './cgroup/hierarchy.ts';
import { tryNamespaces, tryOverlay, trySeccomp } from './doctor/kernel-parts.ts';
import { removeLeftovers } from './doctor/probe-shim.ts';
import type { ProbeParts } from './doctor/probe-shim.ts';
import { sysctlFindings } from './doctor/sysctls.ts';
import { landlockFinding, taskIteratorFinding, tryBtf, tryTracefs } from './doctor/watching.ts';
import type { TaskSource } from './inventory/task-source.ts';

export type DoctorParts = ProbeParts & { cgroups: Pick<Cgroups, 'lacks'>; tasks: Pick<TaskSource, 'reason'> };

/** Some dozen short-lived children. Throws what keeps any child from being made. */
export async function examine(parts: DoctorParts): Promise<DoctorReport> {
  const { native, owner, cgroups, tasks } = parts;
  const privileged = owner.uid === 0;
  const [namespaces, overlay, seccomp] = await Promise.all([tryNamespaces(parts), tryOverlay(parts), trySeccomp(parts)]);
  const landlockAbi = native.landlockAbi();
  const [btf, tracefs] = [tryBtf(), tryTracefs()];
  return {
    features: {
      ...namespaces.features,
      ...overlay.features,
      ...seccomp.features,
      cgroupControllers: cgroupControllers.filter((name) => !cgroups.lacks.has(name)),
      landlockAbi: Math.max(0, landlockAbi),
      btf: btf.btf,
      taskIterator: tasks.reason === null,
      tracefs: tracefs.tracefs,
    },
    findings: [
      ...rights(owner.uid),
      ...namespaces.findings,
      ...sysctlFindings(readText, privileged),
      ...cgroupControllers.map((name) => cgroupFinding(name, cgroups.lacks.get(name) ?? null, privileged)),
      ...overlay.findings,
      ...seccomp.findings,
      landlockFinding(landlockAbi),
      btf.finding,
      taskIteratorFinding(tasks.reason),
      tracefs.finding,
    ],
  };
}

/** When the agent starts. It runs on without what cannot be tried, and says so. */
export async function firstLook(parts: DoctorParts, log: Log): Promise<Pick<HostFacts, 'features' | 'missing'>> {
  try {
    await removeLeftovers(parts);
    const report = await examine(parts);
    return { features: report.features, missing: missingSentences(report) };
  } catch (error) {
    log.error({ reason: errorText(error) }, 'the doctor could not look at this host');
    return { features: null, missing: [`what this host can give could not be tried: ${errorText(error)}`.slice(0, 512)] };
  }
}

/** Of what cannot be had, in sentences with what would mend it: `facts.missing`. Pure. */
export function missingSentences({ findings }: DoctorReport): string[] {
  const sentences = new Map<string, string>();
  for (const { id, state, detail, remedy } of findings) {
    if (state !== 'missing') continue;
    // Controllers that are missing for one reason are one sentence.
    const about = id.startsWith(cgroupPrefix) ? id.slice(cgroupPrefix.length) : '';
    const rest = (about === '' ? detail : detail.slice(limitsBy(about).length)) + (remedy === null ? '' : `; ${remedy}`);
    const before = sentences.get(rest);
    sentences.set(rest, before === undefined ? about : `${before}, ${about}`);
  }
  return [...sentences].map(([rest, about]) => `${about === '' ? '' : limitsBy(about)}${rest}`.slice(0, 512)).slice(0, 64);
}

const cgroupPrefix = 'cgroup.';
const limitsBy = (names: string): string => `no limits by ${names}: `;

function rights(uid: number): DoctorFinding[] {
  if (uid !== 0) {
    return [
      {
        id: 'rights.root',
        state: 'missing',
        detail: `the agent runs as uid ${uid}: a sandbox gets one mapped id and no range, so programs that switch users fail in it`,
        remedy: 'run the agent as root to give each 65,536 ids',
      },
      {
        id: 'rights.see',
        state: 'missing',
        detail: 'namespaces of other users’ processes are hidden',
        remedy: 'run the agent as root, or give it CAP_SYS_PTRACE, to see them',
      },
    ];
  }
  const root: DoctorFinding = {
    id: 'rights.root',
    state: 'ok',
    detail: 'the agent runs as root: each sandbox gets 65,536 ids',
    remedy: null,
  };
  try {
    readlinkSync('/proc/1/ns/mnt');
    return [root, { id: 'rights.see', state: 'ok', detail: 'pid 1’s namespaces are readable', remedy: null }];
  } catch {
    const detail =
      'pid 1’s namespaces are not readable: CAP_SYS_PTRACE, or capabilities that pid 1 has (often CAP_SYS_RESOURCE), are missing';
    return [root, { id: 'rights.see', state: 'missing', detail, remedy: 'give the agent the full capability set' }];
  }
}

function cgroupFinding(name: string, lack: string | null, privileged: boolean): DoctorFinding {
  const id = `${cgroupPrefix}${name}`;
  if (lack === null) return { id, state: 'ok', detail: `sandboxes can be limited by ${name}`, remedy: null };
  const remedy = privileged
    ? 'boot with systemd.unified_cgroup_hierarchy=1, so that cgroup v2 has the controllers'
    : 'run the agent as root';
  return { id, state: 'missing', detail: `${limitsBy(name)}${lack}`.slice(0, 512), remedy };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
