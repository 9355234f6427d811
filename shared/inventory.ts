/**
 * What an agent reports of a host's namespaces. A **snapshot** is all of it, a **delta** what changed since the last
 * committed report. Both are the same shape: a snapshot's `gone` is empty and whatever it does not name has ended.
 *
 * Processes refer to namespaces by key and not by position, so that a delta stands by itself.
 */
import { z } from 'zod';
import { NamespaceDetails, NamespaceName } from './namespace-details.ts';
import { BootId, HolderKind, NamespaceKey, NamespaceType } from './namespace.ts';
import { RawText } from './raw-text.ts';

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
      comm: RawText,
      command: RawText.describe('the first 4,096 bytes of the command line, its NULs as spaces'),
    })
    .nullable()
    .describe('the process with the lowest pid in it, as lsns shows it; null where only references hold it'),
  names: z.array(NamespaceName).max(16).describe('names that people know, best first'),
  details: NamespaceDetails.nullable().describe('what it is like inside; null where that could not be read'),
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
  comm: RawText,
  namespaces: z.array(NamespaceKey.nullable()).length(8).describe('in the order of namespaceTypes'),
  forChildren: z
    .array(NamespaceKey.nullable())
    .length(2)
    .describe('pid_for_children and time_for_children where they differ from the process’s own, else null'),
});
export type ReportedProcess = z.infer<typeof ReportedProcess>;

/** Holders that are no process, parent or owner: each found by looking into a process, a thread or a mount table. */
export const ReferenceKind = HolderKind.extract(['thread', 'fd', 'thread_fd', 'socket', 'tun', 'mount']);
export type ReferenceKind = z.infer<typeof ReferenceKind>;

export const ReferenceId = z
  .string()
  .min(1)
  .max(200)
  .describe('made of kind and place; the same reference has the same id in every report of a boot');

export const ReportedReference = z.object({
  id: ReferenceId,
  kind: ReferenceKind,
  type: NamespaceType,
  key: NamespaceKey.describe('of the namespace that it holds'),
  pid: z.int().positive().nullable().describe('null for mounts'),
  start: z.string().nullable().describe('start time of that process in clock ticks since boot'),
  tid: z.int().positive().nullable().describe('thread and thread_fd'),
  fd: z.int().nonnegative().nullable().describe('fd, thread_fd, socket and tun; the lowest where several do the same'),
  uid: z.int().nonnegative().nullable(),
  comm: RawText.nullable(),
  cgroup: RawText.nullable()
    .default(null)
    .describe('of its process, where it holds a network namespace: unlike comm and command line, no process without privilege chooses it'),
  path: RawText.nullable().describe('mount: the mount point as seen in its mount namespace'),
  mountNamespace: NamespaceKey.nullable().describe('mount: where the mount is'),
  detail: RawText.nullable().describe(
    'socket: family, type and local address; tun: device name; mount: “over-mounted” where its path shows something else',
  ),
});
export type ReportedReference = z.infer<typeof ReportedReference>;

export const ScanCounts = z.object({
  processes: z.int().nonnegative(),
  threads: z.int().nonnegative().default(0).describe('threads looked at one by one because they are elsewhere than their process'),
  unreadable: z.int().nonnegative().describe('processes with at least one namespace that could not be read (EACCES, EPERM)'),
  vanished: z.int().nonnegative().describe('processes that ended during the scan'),
  hidden: z
    .record(z.string().regex(/^[a-z_]{1,40}$/), z.int().nonnegative())
    .default({})
    .describe('what could not be seen, by reason: `fd_eacces`, `mount_namespace_unenterable`, … 0 is left out'),
  partial: z.boolean().default(false).describe('true: something was hidden, so a namespace or holder may be missing'),
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
  references: z.array(ReportedReference).describe('new or changed'),
  referencesGone: z.array(ReferenceId),
});
export type ReportRows = z.infer<typeof ReportRows>;

export const noRows = (): ReportRows => ({
  namespaces: [],
  namespacesGone: [],
  processes: [],
  processesGone: [],
  references: [],
  referencesGone: [],
});

/**
 * What a host may have at most, in one report or by many: a good deal above what any host is known to have, and little enough that one whose
 * agent says what is not true fills no database. REPORT_TOO_LARGE.
 */
export const hostRowsMax = { namespaces: 50_000, processes: 100_000, references: 100_000 } as const;
/** Each is a message of 240 KiB at most, so that 94 MiB of a host can wait for their last page; the rows above take less. */
export const reportPagesMax = 400;

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
  pages: z.int().positive().max(reportPagesMax),
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
