/** What a host can give, as its agent found out by trying: for people, for `host.facts.features` of constraints, and for who checks a spec. */
import { z } from 'zod';
import { NamespaceType } from './namespace.ts';

/** Each is true where it was tried and worked, in a child, with the agent's own rights. */
export const HostFeatures = z.object({
  namespaces: z.partialRecord(NamespaceType, z.boolean()).describe('that a new sandbox can have of its own'),
  cgroupControllers: z.array(z.string().max(32)).max(32).describe('of cgroup v2, by which sandboxes can be limited'),
  overlay: z.boolean().describe('overlayfs: writable layers over a root directory'),
  idmappedMounts: z.boolean().describe('files of the host’s root belong to the sandbox’s root, unchanged on disk'),
  seccomp: z.boolean().describe('filters of system calls'),
  landlockAbi: z.int().min(0).max(1000).describe('0: the kernel has no Landlock, or it is off'),
  btf: z.boolean().describe('types of the kernel for BPF programs'),
  taskIterator: z.boolean().describe('full scans by a BPF task iterator'),
  tracefs: z.boolean().describe('changes of namespaces can be heard'),
});
export type HostFeatures = z.infer<typeof HostFeatures>;

export const DoctorFinding = z.object({
  id: z.string().max(64).describe('namespace.net, cgroup.memory, sysctl.pid_max …: stable, for scripts'),
  state: z.enum(['ok', 'limited', 'missing']).describe('limited: it works, and something stands in the way of much of it'),
  detail: z.string().max(512),
  remedy: z.string().max(512).nullable().describe('what mends it: a command where there is one'),
});
export type DoctorFinding = z.infer<typeof DoctorFinding>;

export const DoctorReport = z.object({ features: HostFeatures, findings: z.array(DoctorFinding).max(256) });
export type DoctorReport = z.infer<typeof DoctorReport>;
