/**
 * What an agent reports of a host's namespaces. A **snapshot** is all of it, a **delta** what changed since the last
 * committed report. Both are the same shape: a snapshot's `gone` is empty and whatever it does not name has ended.
 *
 * Processes refer to namespaces by key and not by position, so that a delta stands by itself.
 */
import { z } from 'zod';
import { BootId, NamespaceKey, NamespaceType } from './namespace.ts';

/** A namespace as the wire carries it. `type` and `key` together are unique on a host and boot. */
export const ReportedNamespace = z.object({
  type: NamespaceType,
  key: NamespaceKey,
  inode: z.int().nonnegative().describe('inode on nsfs, as lsns shows it in its NS column'),
  parent: NamespaceKey.nullable().describe('user and pid: the parent, null at the top or where it is hidden (NS_GET_PARENT)'),
  owner: NamespaceKey.nullable().describe('the owning user namespace, null where it is hidden (NS_GET_USERNS)'),
  ownerUid: z.int().nonnegative().nullable().describe('user: uid of its creator (NS_GET_OWNER_UID)'),
  processCount: z.int().nonnegative().describe('processes living in it'),
  leader: z
    .object({
      pid: z.int().positive(),
      uid: z.int().nonnegative(),
      comm: z.string().max(64),
      command: z.string().max(512).describe('the command line, cut at 512 characters'),
    })
    .nullable()
    .describe('the process with the lowest pid in it, as lsns shows it; null where only references hold it'),
});
export type ReportedNamespace = z.infer<typeof ReportedNamespace>;

/** A process and where it lives. A null is a namespace that the agent was not allowed to read. */
export const ReportedProcess = z.object({
  pid: z.int().positive(),
  start: z
    .string()
    .regex(/^[0-9]{1,20}$/)
    .describe('start time in clock ticks since boot (field 22 of /proc/<pid>/stat): with the pid, the identity'),
  ppid: z.int().nonnegative(),
  uid: z.int().nonnegative().describe('effective uid as the agent sees it: the owner of /proc/<pid>'),
  comm: z.string().max(64),
  namespaces: z.array(NamespaceKey.nullable()).length(8).describe('in the order of namespaceTypes'),
  forChildren: z
    .array(NamespaceKey.nullable())
    .length(2)
    .describe('pid_for_children and time_for_children where they differ from the process’s own, else null'),
});
export type ReportedProcess = z.infer<typeof ReportedProcess>;

export const ScanCounts = z.object({
  processes: z.int().nonnegative(),
  unreadable: z.int().nonnegative().describe('processes with at least one namespace that could not be read (EACCES, EPERM)'),
  vanished: z.int().nonnegative().describe('processes that ended during the scan'),
  durationMicros: z.int().nonnegative(),
});
export type ScanCounts = z.infer<typeof ScanCounts>;

export const ReportKind = z.enum(['snapshot', 'delta']);

/** The part of a report that holds rows. One page of a report holds some of them. */
export const ReportRows = z.object({
  namespaces: z.array(ReportedNamespace).describe('new or changed'),
  namespacesGone: z.array(z.object({ type: NamespaceType, key: NamespaceKey })),
  processes: z.array(ReportedProcess).describe('new or changed'),
  processesGone: z.array(z.object({ pid: z.int().positive(), start: z.string() })),
});
export type ReportRows = z.infer<typeof ReportRows>;

/**
 * One page of a report. (bootId, epoch, seq) orders reports of a host: `epoch` grows with every start of the agent, `seq`
 * by one with every report within an epoch. Pages of one report share a seq and are applied together, when all are there.
 */
export const Report = z.object({
  v: z.literal(1),
  hostId: z.string(),
  bootId: BootId,
  epoch: z.int().positive(),
  seq: z.int().positive(),
  kind: ReportKind,
  page: z.int().nonnegative(),
  pages: z.int().positive().max(10_000),
  counts: ScanCounts,
  rows: ReportRows,
});
export type Report = z.infer<typeof Report>;

/** The controller's answer: `committed` means that a crash now loses nothing; `resync` asks for a snapshot with a new seq. */
export const ReportReply = z.object({
  v: z.literal(1),
  result: z.enum(['committed', 'staged', 'resync', 'refused']),
  seq: z.int().nonnegative(),
  code: z.string().optional().describe('with refused: the error code'),
  reason: z.string().optional(),
});
export type ReportReply = z.infer<typeof ReportReply>;
