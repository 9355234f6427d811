/** A **host** is a Linux machine that runs an agent. Never *node*: that is the runtime. */
import { z } from 'zod';
import { HostFeatures } from './doctor.ts';
import { BootId } from './namespace.ts';

/** Also a NATS subject token: no dots, wildcards or spaces, so that no id can widen a permission. */
export const HostId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -')
  .describe('host id, made once at enrolment');
export type HostId = z.infer<typeof HostId>;

export const LabelKey = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, 'a label key: letters, digits and . _ / - inside, at most 63');
export const Labels = z.record(LabelKey, z.string().max(256)).refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels');
export type Labels = z.infer<typeof Labels>;

/** Ids of one range: 0 to 65,535 inside. */
export const idRangeSize = 65_536;
/** Below are the ids of the host's own users. */
export const idPoolStartMin = 100_000;
/** What an agent says is believed within bounds only: sums over a fleet must stay numbers. */
const capacityMax = 1_000_000;

/** What a host can take. Every key is a dimension of the scheduler’s capacity filter. */
export const Capacity = z.object({
  sandboxes: z.int().min(0).max(capacityMax).describe('most sandboxes at once'),
  idRanges: z
    .int()
    .min(0)
    .max(capacityMax)
    .describe('uid ranges in the host pool; 0: an unprivileged agent, which maps one id and needs no range'),
});
export type Capacity = z.infer<typeof Capacity>;

/** How changes of namespaces are heard, best first. */
export const ChangeSource = z.enum(['tracefs', 'proc-connector', 'poll']);
export type ChangeSource = z.infer<typeof ChangeSource>;

/** What the agent found out about its host when it started. Also offered to constraints as `host.facts`. */
export const HostFacts = z.object({
  kernelRelease: z.string().max(256),
  architecture: z.string().max(32),
  operatingSystem: z.string().max(256).describe('PRETTY_NAME of /etc/os-release'),
  cpus: z.int().positive(),
  memoryBytes: z.int().nonnegative(),
  agentVersion: z.string().max(64),
  privileged: z.boolean().describe('the agent runs as root of its host'),
  namespaceIds: z.boolean().describe('the kernel has NS_GET_ID (≥ 6.13)'),
  scanSource: z.enum(['proc', 'bpf']).describe('where the namespaces of tasks are read: /proc, or a BPF task iterator'),
  scanSourceReason: z.string().max(512).nullable().default(null).describe('why not the faster one'),
  changeSource: ChangeSource.default('poll').describe('how changes are heard of'),
  changeSourceReason: z.string().max(512).nullable().default(null).describe('why not a better one'),
  features: HostFeatures.nullable().default(null).describe('what the kernel and the host can give, as tried when the agent started'),
  missing: z.array(z.string().max(512)).max(64).describe('what this agent cannot do or see, in sentences, with what would mend it'),
});
export type HostFacts = z.infer<typeof HostFacts>;

/** What an agent says of itself in every heartbeat and once when it connects. */
export const HostHello = z.object({
  hostId: HostId,
  bootId: BootId,
  epoch: z.int().positive().describe('grows with every start of the agent'),
  labels: Labels,
  capacity: Capacity,
  idPool: z
    .object({ start: z.int().min(idPoolStartMin), count: z.int().min(0).max(65_535), size: z.int().min(1).max(idRangeSize) })
    .refine(({ start, count, size }) => start + count * size <= 2 ** 32 - 1, 'ends above the largest uid'),
  facts: HostFacts,
});
export type HostHello = z.infer<typeof HostHello>;

/** Derived from the last heartbeat by the database's clock; silence never destroys anything. */
export const HostStatus = z.enum(['ready', 'unknown']);
export type HostStatus = z.infer<typeof HostStatus>;
