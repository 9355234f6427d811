/** What the inventory's faster ways need of the host: BTF, a task iterator, tracefs, Landlock for sandboxes beside them. */
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DoctorFinding, HostFeatures } from '#shared/doctor.ts';
import { errorText } from '#shared/errors.ts';
import { tracefsPlaces } from '../changes/tracefs.ts';

export function tryBtf(): Pick<HostFeatures, 'btf'> & { finding: DoctorFinding } {
  const btf = existsSync('/sys/kernel/btf/vmlinux');
  const finding: DoctorFinding = btf
    ? { id: 'btf', state: 'ok', detail: 'the kernel tells its types', remedy: null }
    : {
        id: 'btf',
        state: 'limited',
        detail: 'no /sys/kernel/btf/vmlinux: no BPF task iterator',
        remedy: 'run a kernel with CONFIG_DEBUG_INFO_BTF',
      };
  return { btf, finding };
}

/** `reason`: why full scans do not go by it; null: they do. */
export function taskIteratorFinding(reason: string | null): DoctorFinding {
  const id = 'task-iterator';
  if (reason === null) return { id, state: 'ok', detail: 'full scans go by a BPF task iterator', remedy: null };
  const remedy = 'run the agent with CAP_BPF and CAP_PERFMON, built where clang and libbpf are (node native/build.mjs --part tasks)';
  return { id, state: 'limited', detail: `full scans read /proc: ${reason}`.slice(0, 512), remedy };
}

/** An instance of our own is made and taken away again. */
export function tryTracefs(): Pick<HostFeatures, 'tracefs'> & { finding: DoctorFinding } {
  const id = 'tracefs';
  let reason = 'it is not mounted';
  for (const place of tracefsPlaces) {
    const instance = join(place, 'instances', `nsfleet-doctor-${process.pid}`);
    try {
      mkdirSync(instance);
      rmdirSync(instance);
      return { tracefs: true, finding: { id, state: 'ok', detail: `changes of namespaces can be heard at ${place}`, remedy: null } };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') reason = errorText(error);
    }
  }
  const remedy = 'mount -t tracefs tracefs /sys/kernel/tracing, and run the agent as root; else namespaces are polled for';
  return {
    tracefs: false,
    finding: { id, state: 'limited', detail: `changes cannot be heard by tracefs: ${reason}`.slice(0, 512), remedy },
  };
}

/** `abi`: landlock_create_ruleset(2)'s version, or a negative errno. */
export function landlockFinding(abi: number): DoctorFinding {
  const id = 'landlock';
  if (abi > 0) return { id, state: 'ok', detail: `Landlock has ABI ${abi}`, remedy: null };
  const detail = 'no Landlock: the kernel was built without it, or it is not among its security modules';
  return {
    id,
    state: 'limited',
    detail,
    remedy: 'boot with lsm=landlock,… (the others are in /sys/kernel/security/lsm), on Linux 5.13 or newer',
  };
}
