/** What the API shows: hosts, namespaces, holders, sandboxes, events, the fleet's status. Times are RFC 3339 in UTC. */
import { z } from 'zod';
import { Capacity, HostFacts, HostId, HostStatus, Labels } from './host.ts';
import { ScanCounts } from './inventory.ts';
import { NamespaceDetails, NamespaceName } from './namespace-details.ts';
import { Lacks } from './lack.ts';
import { BootId, HolderKind, NamespaceKey, NamespaceType } from './namespace.ts';
import { SandboxObserved } from './observed.ts';
import { ExitStatus, IdRange, SandboxNamespace, SandboxSpec, SandboxState, Wanted, WireError } from './sandbox.ts';

const Time = z.iso.datetime();

export const LeakRule = z.enum(['net-without-process', 'sandbox-gone', 'user-growth', 'host-net-foreign-mnt', 'unexpected-owner']);
export type LeakRule = z.infer<typeof LeakRule>;

export const Host = z.object({
  id: HostId,
  name: z.string(),
  status: HostStatus,
  statusReason: z.string(),
  bootId: BootId.nullable(),
  labels: Labels,
  capacity: Capacity,
  used: Capacity.describe('what placements that are not ended take'),
  facts: HostFacts.nullable().describe('null until its agent has said hello'),
  lastBeatAt: Time.nullable(),
  lastReportAt: Time.nullable().describe('when the last inventory report was committed'),
  scan: ScanCounts.nullable(),
  namespaces: z.int().nonnegative().describe('current ones'),
  enrolledAt: Time,
});
export type Host = z.infer<typeof Host>;

export const Namespace = z.object({
  id: z
    .string()
    .regex(/^[0-9]{1,19}$/)
    .describe('nsfleet’s own number of this namespace, unique in the fleet and for ever'),
  hostId: HostId,
  hostName: z.string(),
  bootId: BootId,
  type: NamespaceType,
  key: NamespaceKey,
  inode: z.number().int().nonnegative(),
  parent: NamespaceKey.nullable(),
  owner: NamespaceKey.nullable(),
  ownerUid: z.number().int().nullable(),
  processCount: z.number().int(),
  referenceCount: z.int().nonnegative().describe('threads, descriptors, sockets, tun devices and mounts that hold it now'),
  names: z.array(NamespaceName).describe('names that people know, best first'),
  details: NamespaceDetails.nullable().describe('what it is like inside; null where that could not be read'),
  leader: z.object({ pid: z.number().int(), uid: z.number().int(), comm: z.string(), command: z.string() }).nullable(),
  sandbox: z.object({ id: z.uuid(), name: z.string() }).nullable().describe('the sandbox that was given it'),
  firstSeen: Time,
  lastSeen: Time,
  current: z.boolean(),
  endUnseen: z.boolean().describe('true: it ended while nobody watched; lastSeen is when it was last known to be there'),
  partial: z.boolean().describe('true: the last scan of its host could not see everything, so holders may be missing'),
});
export type Namespace = z.infer<typeof Namespace>;

export const Holder = z.object({
  kind: HolderKind,
  pid: z.int().nullable(),
  start: z.string().nullable().describe('start time of that process in clock ticks since boot'),
  tid: z.int().nullable(),
  fd: z.int().nullable(),
  uid: z.int().nullable(),
  comm: z.string().nullable(),
  path: z.string().nullable().describe('mount: the mount point as seen in its mount namespace'),
  mountNamespace: NamespaceKey.nullable().describe('mount: where the mount is'),
  detail: z.string().nullable().describe('socket: family, type and address; tun: device name; mount: over-mounted'),
  since: Time.nullable().describe('since when it is known to hold it; null for processes'),
  namespace: z.object({ id: z.string(), type: NamespaceType, key: NamespaceKey }).nullable().describe('for kinds parent and owner'),
});
export type Holder = z.infer<typeof Holder>;

export const NamespaceDetail = Namespace.extend({
  holders: z.array(Holder),
  parentId: z.string().nullable(),
  ownerId: z.string().nullable(),
});
export type NamespaceDetail = z.infer<typeof NamespaceDetail>;

export const Why = z.object({
  namespace: NamespaceDetail,
  alive: z.boolean(),
  sentences: z.array(z.string()).describe('what keeps it alive, and what would end it'),
});
export type Why = z.infer<typeof Why>;

/** Namespaces of two hosts that people call the same are one group. */
export const HostDiffGroup = z.object({
  type: NamespaceType,
  by: z.enum(['name', 'leader', 'holders']).describe('name: `docker:web`; leader: its comm; holders: kinds of what alone holds it'),
  name: z.string(),
  left: z.int().nonnegative(),
  right: z.int().nonnegative(),
  leftIds: z.array(z.string()).describe('numbers of the first few'),
  rightIds: z.array(z.string()),
});
export type HostDiffGroup = z.infer<typeof HostDiffGroup>;

/** Why a sandbox is where it is: how many hosts were seen and what each filter refused. Nomad’s AllocMetric, in short. */
export const Decision = z.object({
  hostsSeen: z.int().nonnegative(),
  hostsFeasible: z.int().nonnegative(),
  refusals: z.array(z.object({ filter: z.string(), reason: z.string(), hosts: z.int().positive() })),
  scores: z
    .array(z.object({ hostId: HostId, hostName: z.string(), score: z.number(), parts: z.record(z.string(), z.number()) }))
    .describe('best first, at most 5'),
  chosen: HostId.nullable(),
});
export type Decision = z.infer<typeof Decision>;

export const Sandbox = z.object({
  id: z.uuid(),
  name: z.string(),
  state: SandboxState,
  wanted: Wanted,
  generation: z.int().positive().describe('of what is wanted'),
  observedGeneration: z.int().nonnegative().describe('the newest that its host has answered'),
  labels: Labels,
  autoRemove: z.boolean(),
  spec: SandboxSpec,
  hostId: HostId.nullable(),
  hostName: z.string().nullable(),
  placementId: z.uuid().nullable(),
  idRange: IdRange.nullable(),
  initPid: z.int().nullable(),
  commandPid: z.int().nullable(),
  namespaces: z.array(SandboxNamespace),
  lacks: Lacks.describe('what it runs without, since its host could not give it and its spec allows that'),
  exit: ExitStatus.nullable(),
  error: WireError.nullable(),
  decision: Decision.nullable(),
  createdAt: Time,
  startedAt: Time.nullable(),
  endedAt: Time.nullable(),
});
export type Sandbox = z.infer<typeof Sandbox>;

export const SandboxDetail = Sandbox.extend({
  observed: SandboxObserved.nullable().describe('what it really got, read from the kernel; null: not told yet, or it had ended before'),
});
export type SandboxDetail = z.infer<typeof SandboxDetail>;

export const Event = z.object({
  seq: z
    .string()
    .regex(/^[0-9]{1,19}$/)
    .describe('one ordered sequence; read on from the last one seen'),
  at: Time,
  type: z
    .string()
    .describe(
      'host.connected, host.rebooted, namespace.appeared, namespace.changed, namespace.gone, holder.lost, leak.found, leak.cleared, ' +
        'sandbox.created, sandbox.placed, sandbox.<state> …',
    ),
  hostId: HostId.nullable(),
  sandboxId: z.uuid().nullable(),
  namespaceId: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
});
export type Event = z.infer<typeof Event>;

/** A field that changed: `leader`, `names`, `parent`, `owner`, `ownerUid`, or of what it is like inside `details.<field>`. */
export const Changes = z.record(z.string(), z.object({ from: z.unknown(), to: z.unknown() }));

export const Leak = z.object({
  id: z.string().regex(/^[0-9]{1,19}$/),
  rule: LeakRule,
  hostId: HostId,
  hostName: z.string(),
  namespace: z
    .object({ id: z.string(), type: NamespaceType, key: NamespaceKey, inode: z.int() })
    .nullable()
    .describe('null: it is about the host'),
  subject: z.string().describe('what of it, where a rule finds several: a process'),
  since: Time.describe('since when it is so, as far as known'),
  foundAt: Time,
  clearedAt: Time.nullable().describe('null: it is so now'),
  reason: z.string().describe('what is wrong, in a sentence'),
  pins: z.array(z.string()).describe('who pins it and for how long, in sentences'),
  detail: z.record(z.string(), z.unknown()),
});
export type Leak = z.infer<typeof Leak>;

export const FleetStatus = z.object({
  version: z.string(),
  controllerId: z.string(),
  ok: z.boolean(),
  problems: z.array(z.string()).describe('what is wrong with the fleet, in sentences; empty when ok'),
  database: z.object({ ok: z.boolean(), version: z.string(), migration: z.string() }),
  nats: z.object({ ok: z.boolean(), server: z.string(), version: z.string() }),
  hosts: z.record(HostStatus, z.int()),
  namespaces: z.record(NamespaceType, z.int()),
  sandboxes: z.partialRecord(SandboxState, z.int()),
});
export type FleetStatus = z.infer<typeof FleetStatus>;
