/** What the native library tells of the kernel: rows of one scan, one namespace's relations, a child's end. */
import type { NamespaceType } from '#shared/namespace.ts';
import type { Fd } from './handles.ts';

/** The links of `/proc/<pid>/ns`: the eight types in the order of `namespaceTypes`, then what the next children get. */
export const namespaceLinks = [
  'mnt',
  'cgroup',
  'uts',
  'ipc',
  'user',
  'pid',
  'net',
  'time',
  'pid_for_children',
  'time_for_children',
] as const;

export type ProcessRow = {
  pid: number;
  /** 0 for the first processes and for those whose parent is outside of this procfs' pid namespace. */
  ppid: number;
  /** Since boot, in clock ticks: with the pid, the process's identity. Decimal. */
  startTicks: string;
  /** Effective uid, as the scanner's user namespace sees it. */
  uid: number;
  /** One letter of stat(5)'s third field: R, S, D, Z… A zombie is in no namespace but its user and pid ones. */
  state: string;
  /** At most 16 bytes, one character each (latin1), control characters kept: escape before showing. */
  comm: string;
  /** Index into `Scan.namespaces` for each of `namespaceLinks`; -1: unreadable, or there is none. */
  ns: number[];
};

export type NamespaceRow = {
  type: NamespaceType;
  inode: number;
  dev: number;
  /** NS_GET_ID, decimal; null where the kernel has none (before about 6.13). */
  id: string | null;
  /** Index into `Scan.namespaces`; user and pid namespaces only; -1: none, or outside of the scanner's sight. */
  parentIndex: number;
  /** Index of the owning user namespace; -1: outside of the scanner's sight. */
  ownerIndex: number;
  /** Effective uid of the creator of a user namespace; null for the other types. */
  ownerUid: number | null;
  /** Member processes; those that only hold it by `*_for_children` do not count. */
  processCount: number;
  /** The member with the lowest pid; 0 if it has none. */
  leaderPid: number;
  leaderStartTicks: string;
};

export type ScanCounts = {
  processes: number;
  namespaces: number;
  /** Ended while they were read; they are in no row. */
  vanished: number;
  /** Processes of which at least one namespace was refused, by errno. */
  unreadable: { EACCES: number; EPERM: number; other: number };
  /** Namespaces that could not be held open during the scan: their inode may have passed to another one meanwhile. */
  unpinned: number;
};

export type Scan = { processes: ProcessRow[]; namespaces: NamespaceRow[]; counts: ScanCounts };

/** In the order of enum nsf_kind. */
export const referenceKinds = ['thread', 'fd', 'thread_fd', 'socket', 'tun', 'mount'] as const;

/** A holder that is no process, parent or owner. Text is bytes: what a process chose. */
export type ReferenceRow = {
  kind: (typeof referenceKinds)[number];
  /** Index into `References.namespaces`. */
  namespaceIndex: number;
  /** 0 for mounts. */
  pid: number;
  startTicks: string;
  /** thread and thread_fd, and what else a thread's own descriptors are; else 0. */
  tid: number;
  /** -1 for threads and mounts. */
  fd: number;
  uid: number;
  comm: Uint8Array;
  /** Mounts: where the mount is, an index into `References.namespaces`; else -1. */
  mountNamespaceIndex: number;
  /** Decimal; unique and never reused where the kernel can (6.11), else that of mountinfo. "0" for the others. */
  mountId: string;
  /** Mounts: the path shows something else. */
  covered: boolean;
  /** Mounts: the mount point; sockets: struct sockaddr; tun: name of the device. */
  text: Uint8Array;
  /** Sockets: SO_DOMAIN and SO_TYPE. */
  family: number;
  socketType: number;
};

export type References = {
  references: ReferenceRow[];
  /** Those that are held and those above them, without members: `processCount` is 0. A row with `dev` 0 is known by its inode only. */
  namespaces: NamespaceRow[];
  /** Threads looked at one by one. */
  threads: number;
  /** What could not be seen, by reason; reasons that did not occur are left out. */
  hidden: Record<string, number>;
};

/** A mount namespace: that of a process or thread, or what its descriptor stands for. */
export type MountDoor = { pid: number; fd?: number };

/** A thread that is in other namespaces than its process, or has descriptors of its own. */
export type ThreadRow = {
  /** Of its process. */
  pid: number;
  tid: number;
  startTicks: string;
  /** It has a table of descriptors of its own: what is open there is in no other thread's /proc/…/fd. */
  ownFiles: boolean;
  /** As of a process. */
  ns: number[];
};

/** By a task iterator; what /proc cannot tell in the same pass is in `threadRows`. */
export type TaskScan = Scan & { threadRows: ThreadRow[] };

export type NamespaceIdentity = { inode: number; id: string | null };

export type NamespaceRelation = NamespaceIdentity & {
  type: NamespaceType;
  dev: number;
  /** User and pid namespaces only; null: none, or outside of the caller's sight. */
  parent: NamespaceIdentity | null;
  /** The owning user namespace; null: outside of the caller's sight. */
  owner: NamespaceIdentity | null;
  ownerUid: number | null;
};

export type RelateTarget = { pid: number; type: (typeof namespaceLinks)[number] } | { path: string } | { fd: Fd };

export type SpawnRequest = {
  /** From `sealProgram`. */
  program: Fd;
  /** argv, the program's own name first. Everybody on the host can read it: no secrets. */
  args: string[];
  /** Entry i becomes the child's descriptor i; nothing else is open there. They stay open, and the caller's, here. */
  fds: Fd[];
  /** Its own session, so that the terminal's Ctrl-C does not reach it. */
  newSession: boolean;
  /** A directory of cgroup v2 that the child is born in (Linux 5.7); not handed over. */
  cgroup?: Fd;
};

/** code 0…255 and signal 0, or code -1 and the signal that ended it. */
export type ChildExit = { code: number; signal: number };

export type ProcessHandle = Disposable & {
  readonly pid: number;
  readonly startTicks: bigint;
  readonly pidfd: Fd;
  /** Throws ESRCH when it has ended. 0 only asks. */
  signal(number: number): void;
  close(): void;
};

export type Child = ProcessHandle & {
  /** Never waits. Null while it runs; the same answer each time afterwards. */
  wait(): ChildExit | null;
};
