/**
 * What a sandbox really got: read from the kernel when its command had begun to run, and never from the spec. Of the command, at that moment: a
 * program may change some of it for itself afterwards. What could not be read is null or left out, and named in `unread`.
 */
import { z } from 'zod';
import { IdMapLine } from './namespace-details.ts';
import { Rlimit, RlimitName } from './process.ts';

const Text = z.string().max(1024);
const Names = z.array(z.string().max(32)).max(64);
const Id = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const Both = z.object({ outside: Id, inside: Id.nullable().describe('null: it has no name inside') });

export const mountsShownMax = 64;
export const interfacesShownMax = 32;

export const SandboxObserved = z.object({
  at: z.iso.datetime(),
  pid: z.int().positive().describe('of the command, on its host'),
  uidMap: z.array(IdMapLine).max(340),
  gidMap: z.array(IdMapLine).max(340),
  uid: Both,
  gid: Both,
  groups: z.array(Both).max(256),
  capabilities: z.object({ inheritable: Names, permitted: Names, effective: Names, bounding: Names, ambient: Names }),
  noNewPrivs: z.boolean(),
  seccomp: z.object({
    mode: z.enum(['disabled', 'strict', 'filter']),
    filters: z.int().nonnegative().nullable().describe('null before Linux 5.9'),
  }),
  umask: z.string().max(8).describe('octal'),
  rlimits: z.partialRecord(RlimitName, Rlimit),
  nice: z.int().min(-20).max(19),
  oomScoreAdj: z.int().min(-1000).max(1000),
  cgroups: z.array(Text).max(32).describe('lines of /proc/<pid>/cgroup, as its host sees them'),
  root: z.object({ source: Text, type: Text, options: Text, superOptions: Text }).nullable(),
  mounts: z
    .array(z.object({ target: Text, type: Text, source: Text, options: Text }))
    .max(mountsShownMax)
    .describe('in the kernel’s order; masks are in `masked`'),
  mountCount: z.int().nonnegative().describe('all of them, masks too'),
  masked: z.array(Text).max(64).describe('hidden behind /dev/null or an empty read-only directory'),
  interfaces: z.array(z.string().max(64)).max(interfacesShownMax),
  hostname: Text.nullable(),
  domainname: Text.nullable().describe('empty: none is set'),
  timeOffsets: z.object({ monotonicNs: z.string().max(32), boottimeNs: z.string().max(32) }).nullable(),
  unread: z.array(z.string().max(200)).max(16),
});
export type SandboxObserved = z.infer<typeof SandboxObserved>;
