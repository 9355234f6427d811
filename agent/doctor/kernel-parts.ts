/** What the kernel gives a sandbox, each tried by the shim: namespaces, overlayfs, idmapped mounts, filters. */
import { errnoName } from '#native/native-error.ts';
import type { DoctorFinding, HostFeatures } from '#shared/doctor.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Plan, PlanOperation } from '#shared/plan.ts';
import type { ShimFailure } from '../sandbox/shim-link.ts';
import { seccompOperations } from '../sandbox/seccomp/filter.ts';
import { probe } from './probe-shim.ts';
import type { ProbeParts } from './probe-shim.ts';

type Tried<K extends keyof HostFeatures> = { features: Pick<HostFeatures, K>; findings: DoctorFinding[] };

const configOf: Record<NamespaceType, string> = {
  mnt: 'always built in',
  cgroup: 'CONFIG_CGROUPS',
  uts: 'CONFIG_UTS_NS',
  ipc: 'CONFIG_IPC_NS',
  user: 'CONFIG_USER_NS',
  pid: 'CONFIG_PID_NS',
  net: 'CONFIG_NET_NS',
  time: 'CONFIG_TIME_NS',
};

/** Each type by itself in a user namespace, as a sandbox has it. */
export async function tryNamespaces(parts: ProbeParts): Promise<Tried<'namespaces'>> {
  const tried = await Promise.all(
    namespaceTypes.map(async (type) => {
      const operations: PlanOperation[] = type === 'cgroup' ? [{ op: 'unshare', side: 'inner', namespace: 'cgroup' }] : [];
      const { failure } = await probe(parts, { namespaces: type === 'user' ? ['user'] : ['user', type], operations });
      return { type, failure };
    }),
  );
  return {
    features: { namespaces: Object.fromEntries(tried.map(({ type, failure }) => [type, failure === null])) },
    findings: tried.map(({ type, failure }) => namespaceFinding(type, failure, parts.owner.uid === 0)),
  };
}

/** Pure. */
export function namespaceFinding(type: NamespaceType, failure: ShimFailure | null, privileged: boolean): DoctorFinding {
  const id = `namespace.${type}`;
  if (failure === null) return { id, state: 'ok', detail: `a ${type} namespace can be made`, remedy: null };
  const errname = errnoName(failure.errnum);
  const detail = `no ${type} namespace can be made: ${failure.step} ${errname}`;
  return { id, state: 'missing', detail, remedy: remedyOf(type, failure.step, errname, privileged) };
}

function remedyOf(type: NamespaceType, step: string, errname: string, privileged: boolean): string {
  if (step === 'uid_map' || step === 'gid_map') {
    return privileged
      ? 'name ids that this host maps to its agent: idPool of its policy, see /proc/self/uid_map'
      : 'sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or run the agent as root';
  }
  if (errname === 'ENOSPC' || errname === 'EUSERS') return `sysctl -w user.max_${type}_namespaces=65536 user.max_user_namespaces=65536`;
  if (errname === 'EINVAL' || errname === 'ENOSYS') return `run a kernel with ${configOf[type]}`;
  if (privileged)
    return 'give the agent CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID, and see whether a container or a security module forbids it';
  return 'sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or run the agent as root';
}

/** An overlay over /usr, with its owners mapped where the agent is root. */
export async function tryOverlay(parts: ProbeParts): Promise<Tried<'overlay' | 'idmappedMounts'>> {
  const privileged = parts.owner.uid === 0;
  const side = privileged ? 'host' : 'inner';
  const names = { upper: 'upper', work: 'work' } as const;
  const ids = privileged ? { uid: 0, gid: 0 } : { uid: null, gid: null };
  const operations: Plan['operations'] = [
    ...(privileged ? [] : [{ op: 'propagation', side: 'inner' } as const]),
    ...Object.values(names).map((name): PlanOperation => ({ op: 'state_mkdir', side, name, mode: 0o700, ...ids })),
    { op: 'lower', side, path: '/usr' },
    { op: 'overlay', side, slot: 0, ...names, memory: null, mapOwners: privileged, userxattr: !privileged },
  ];
  const { failure, notes } = await probe(parts, { namespaces: ['user', 'mnt'], operations });
  const overlay = failure === null;
  const idmappedMounts = overlay && privileged && notes.length === 0;
  return {
    features: { overlay, idmappedMounts },
    findings: [
      failure === null
        ? { id: 'overlay', state: 'ok', detail: 'overlayfs takes the state directory for its layers', remedy: null }
        : {
            id: 'overlay',
            state: 'missing',
            detail: `no overlayfs: ${failure.step} ${failure.detail} ${errnoName(failure.errnum)}; a root directory cannot be used`,
            remedy: privileged
              ? 'modprobe overlay, and keep the state directory (NSFLEET_AGENT_STATE) on ext4, xfs or tmpfs'
              : 'run Linux 5.11 or newer, or the agent as root',
          },
      idmappedMounts
        ? { id: 'idmapped-mounts', state: 'ok', detail: 'files of the host’s root show as the sandbox’s root’s', remedy: null }
        : {
            id: 'idmapped-mounts',
            state: privileged ? 'missing' : 'limited',
            detail: privileged
              ? `owners are not mapped: files of the host’s root show as nobody’s in a root directory`
              : 'owners are not mapped for an agent that is no root; it has one id',
            remedy: privileged ? 'run Linux 5.19 or newer, with roots on ext4, xfs, btrfs or tmpfs' : 'run the agent as root',
          },
    ],
  };
}

/** The strict profile, installed as for a sandbox. */
export async function trySeccomp(parts: ProbeParts): Promise<Tried<'seccomp'>> {
  const operations: PlanOperation[] = [{ op: 'no_new_privs', side: 'inner' }, ...seccompOperations({ profile: 'strict' }, [])];
  const { failure } = await probe(parts, { namespaces: ['user'], operations });
  if (failure === null) {
    return {
      features: { seccomp: true },
      findings: [{ id: 'seccomp', state: 'ok', detail: 'filters of system calls can be installed', remedy: null }],
    };
  }
  const detail = `no filter of system calls can be installed: ${failure.step} ${errnoName(failure.errnum)}`;
  const remedy = 'run a kernel with CONFIG_SECCOMP_FILTER';
  return { features: { seccomp: false }, findings: [{ id: 'seccomp', state: 'missing', detail, remedy }] };
}
