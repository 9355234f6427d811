/**
 * The door to libnsfleet.so, and the only file that knows koffi. Nothing is loaded before `loadNative` is called.
 * Synchronous calls are short (at most about 0.2 ms); `scan`, which only reads, runs on worker threads.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Koffi from 'koffi';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Calls, FoundRoom } from './calls.ts';
import { openDir, pipe, sealBytes, sealProgram, sendDescriptors, socketpair } from './descriptors.ts';
import type { Fd } from './handles.ts';
import { lookInside } from './inside.ts';
import type { InsideLook, InsideView } from './inside.ts';
import { layoutText } from './layout.ts';
import { createLeftChildren } from './left-children.ts';
import { listNamespaces } from './list-namespaces.ts';
import { createSearch } from './search.ts';
import { openProcess, processStart, spawn } from './processes.ts';
import { isAlive, processNamespaces, relate } from './relation.ts';
import { createPidScanner, createScanner } from './scanner.ts';
import { openTaskIterator } from './task-iterator.ts';
import type { TaskIterator } from './task-iterator.ts';
import type {
  Child,
  MountDoor,
  NamespaceIdentity,
  NamespaceRelation,
  ProcessHandle,
  References,
  RelateTarget,
  Scan,
  SpawnRequest,
} from './types.ts';
import { unmount } from './unmount.ts';
import type { MountedNamespace } from './unmount.ts';

/** Every method throws NativeError with the step and errno that failed. */
export type Native = {
  /**
   * All processes and namespaces that the procfs at `proc` (default /proc) shows. What may not be read is counted and
   * left out. PROC_UNAVAILABLE if there is no procfs. A process with one thread that has not run since the last scan is not read again, but for
   * its parent if that has ended; `fresh`: every one is read.
   */
  scan(options?: { proc?: string; fresh?: boolean }): Promise<Scan>;
  /**
   * Holders in processes: descriptors, sockets, tun devices and threads, of all processes or of `pids` only. A socket counts where its network
   * namespace is another than its process's. What may not be looked into is counted by reason.
   */
  references(options?: { proc?: string; pids?: readonly number[] }): Promise<References>;
  /** Bind mounts of namespaces in the mount namespaces behind `doors`, and in those that such a mount or door holds though no process is in them. */
  mounts(doors: readonly MountDoor[], options?: { proc?: string }): Promise<References>;
  /**
   * The rows of these processes only, with the namespaces that they are in; those that there are not, and threads, have no row. Members
   * and leaders are counted among them.
   */
  scanPids(pids: readonly number[], options?: { proc?: string }): Promise<Scan>;
  /**
   * All processes, the threads that are elsewhere, and their namespaces, by a program in the kernel: faster, and nothing is hidden from
   * it. `unavailable` tells in a sentence why there is none: not built, not allowed, or a kernel before 5.8.
   */
  openTaskIterator(): Promise<TaskIterator | { unavailable: string }>;
  /**
   * Whether a namespace is there, whoever holds it. Null where the kernel cannot be asked: before Linux 6.18, or without a right to it. For a
   * moment after its last holder the kernel may still be taking it down.
   */
  isAlive(namespace: { type: NamespaceType; inode: number; id: string }): boolean | null;
  /** Ids of all namespaces in use, by listns(2), decimal; null where there is none (before Linux 6.19) or it is refused. */
  listNamespaces(): string[] | null;
  /** What the namespaces with these ids are; those that have ended are left out. `references` is empty. */
  openNamespaces(ids: readonly string[]): Promise<References>;
  /** One namespace with its parent and owner. EINVAL at `check_nsfs`: the file is no namespace. */
  relate(target: RelateTarget): NamespaceRelation;
  /**
   * What uts, net and cgroup namespaces are like inside: a short-lived child joins one after another, this process none. Each answer has its own
   * failure; the call throws where no child can be made.
   */
  lookInside(looks: readonly InsideLook[]): Promise<InsideView[]>;
  /** The eight that process `pid` is in, without their relations, in one call. */
  processNamespaces(pid: number): ({ type: NamespaceType } & NamespaceIdentity)[];
  /**
   * Takes a bind mount of a namespace away, in the mount namespace that is open at `mountNamespace`, or in this one. ESTALE: the path shows something
   * else by now.
   */
  unmount(mount: MountedNamespace): Promise<void>;
  /** A sealed copy of an executable: what runs from it cannot be overwritten through /proc/<pid>/exe (CVE-2019-5736). */
  sealProgram(path: string): Fd;
  /** A sealed memfd with `bytes`; `name` shows in /proc/<pid>/fd. */
  sealBytes(bytes: Uint8Array, name: string): Fd;
  /** Two ends of a unix stream. */
  socketpair(): [Fd, Fd];
  pipe(): { read: Fd; write: Fd };
  /** Text and copies of `fds`, on the unix stream with that number, at once or not at all. EPIPE: nobody reads it any more. */
  sendDescriptors(socket: number, text: string, fds: readonly Fd[]): void;
  /** ENOTDIR or ELOOP if `path` is a symbolic link. */
  openDir(path: string): Fd;
  /** Starts a program with an empty environment. Errors from both sides of exec; then no process is left. */
  spawn(request: SpawnRequest): Child;
  /** ESRCH: no such process; ESTALE: the pid belongs to another process now. */
  openProcess(pid: number, startTicks: bigint): ProcessHandle;
  /** Clock ticks since boot. ESRCH: no such process. */
  processStart(pid: number): bigint;
  /** landlock_create_ruleset(2): the version of Landlock, or a negative errno where there is none. */
  landlockAbi(): number;
};

export type LoadOptions = {
  /** Path of libnsfleet.so; default native/build/libnsfleet.so. */
  library?: string;
  /** Path of the task iterator's loader, which may be missing; default native/build/nsfleet-bpf-load. */
  taskLoader?: string;
  /** Rows of the first scan buffer, which grows by itself. */
  scanRows?: { processes: number; namespaces: number };
  /** Room of the first buffer of a search for references, which grows likewise. */
  foundRoom?: FoundRoom;
};

/** Loads the library; NATIVE_UNAVAILABLE if it is missing, does not load, or was built from another nsfleet.h. */
export function loadNative(options: LoadOptions = {}): Native {
  const path = options.library ?? fileURLToPath(new URL('build/libnsfleet.so', import.meta.url));
  const calls = openLibrary(path);
  const scanner = createScanner(calls, options.scanRows);
  const left = createLeftChildren();
  const search = createSearch(calls, left, options.foundRoom);
  const scanPids = createPidScanner(calls);
  const taskLoader = options.taskLoader ?? fileURLToPath(new URL('build/nsfleet-bpf-load', import.meta.url));
  return {
    openTaskIterator: () => openTaskIterator(calls, taskLoader, options.scanRows),
    scan: ({ proc = '/proc', fresh = false } = {}) => scanner(proc, fresh),
    references: ({ proc = '/proc', pids } = {}) => search.references(proc, pids),
    mounts: (doors, { proc = '/proc' } = {}) => search.mounts(proc, doors),
    scanPids: (pids, { proc = '/proc' } = {}) => scanPids(proc, pids),
    isAlive: (namespace) => isAlive(calls, namespace),
    listNamespaces: () => listNamespaces(calls),
    openNamespaces: (ids) => search.ids(ids),
    relate: (target) => relate(calls, target),
    processNamespaces: (pid) => processNamespaces(calls, pid),
    lookInside: (looks) => lookInside(calls, looks),
    unmount: (mount) => unmount(calls, left, mount),
    sealProgram: (path) => sealProgram(calls, path),
    sealBytes: (bytes, name) => sealBytes(calls, bytes, name),
    socketpair: () => socketpair(calls),
    pipe: () => {
      const [read, write] = pipe(calls);
      return { read, write };
    },
    sendDescriptors: (socket, text, fds) => sendDescriptors(calls, socket, text, fds),
    openDir: (path) => openDir(calls, path),
    spawn: (request) => spawn(calls, request),
    openProcess: (pid, startTicks) => openProcess(calls, pid, startTicks),
    processStart: (pid) => processStart(calls, pid),
    landlockAbi: () => calls.landlockAbi(),
  };
}

function openLibrary(path: string): Calls {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const library = koffi.load(path);
    checkLayout(library);
    return declare(koffi, library);
  } catch (error) {
    throw new NsfleetError('NATIVE_UNAVAILABLE', {
      attempted: 'load the native library',
      target: path,
      reason: errorText(error),
      cause: error,
    });
  }
}

function checkLayout(library: Koffi.LibraryHandle): void {
  const expected = layoutText();
  const out = Buffer.alloc(expected.length * 2);
  const result = library.func('int nsf_layout(void *out, uint32_t bytes)')(out, out.byteLength) as number;
  const seen = out.toString('latin1', 0, out.indexOf(0));
  if (result === 0 && seen === expected) return;
  const lines = seen.split('\n');
  const wrong = expected.split('\n').findIndex((line, index) => line !== lines[index]);
  throw new Error(`it was built from another nsfleet.h: has "${lines[wrong] ?? ''}", expected "${expected.split('\n')[wrong] ?? ''}"`);
}

type Done = (failure: Error | null, result: number) => void;

/** A call on a worker thread, which uses MEMORY: naming it when that is done keeps it from the garbage collector until then. */
function onWorker(start: (done: Done) => void, memory: readonly ArrayBufferView[]): Promise<number> {
  return new Promise((resolve, reject) => {
    start((failure, result) => {
      if (failure) reject(failure);
      else resolve(memory.every(({ byteLength }) => byteLength >= 0) ? result : -1);
    });
  });
}

/** koffi passes the memory of a typed array itself to `void *`; nothing is copied. */
function declare(koffi: typeof Koffi, library: Koffi.LibraryHandle): Calls {
  const scan = library.func(
    'int nsf_scan(const char *proc, uint32_t part, uint32_t parts, void *before, uint32_t process_max, uint32_t namespace_max, void *buffer, uint64_t bytes, void *error)',
  );
  const unmount = library.func(
    'int nsf_unmount(int32_t mount_namespace, const char *path, uint64_t id, uint64_t inode, void *left, void *error)',
  );
  const inside = library.func('int nsf_inside(void *rows, uint32_t count, void *error)');
  const references = library.func(
    'int nsf_references(const char *proc, void *inquiry, void *room, void *buffer, uint64_t bytes, void *error)',
  );
  const openIds = library.func('int nsf_open_ids(void *ids, uint32_t count, void *room, void *buffer, uint64_t bytes, void *error)');
  const mounts = library.func(
    'int nsf_mounts(const char *proc, void *doors, uint32_t door_count, void *left, void *room, void *buffer, uint64_t bytes, void *error)',
  );
  const scanPids = library.func(
    'int nsf_scan_pids(const char *proc, void *pids, uint32_t count, uint32_t process_max, uint32_t namespace_max, void *buffer, uint64_t bytes, void *error)',
  );
  const tasks = library.func(
    'int nsf_tasks(int32_t link, uint32_t process_max, uint32_t namespace_max, uint32_t thread_max, void *buffer, uint64_t bytes, void *error)',
  );
  return {
    inside: (rows, count, error) => onWorker((done) => inside.async(rows, count, error, done), [rows, error]),
    foundBytes: library.func('uint64_t nsf_found_bytes(void *room)'),
    references: (proc, inquiry, room, buffer, error) =>
      onWorker((done) => references.async(proc, inquiry, room, buffer, buffer.byteLength, error, done), [inquiry, room, buffer, error]),
    mounts: (proc, doors, left, room, buffer, error) =>
      onWorker(
        (done) => mounts.async(proc, doors, doors.length / 2, left, room, buffer, buffer.byteLength, error, done),
        [doors, left, room, buffer, error],
      ),
    listns: library.func('int nsf_listns(void *ids, uint32_t max, void *count, void *error)'),
    openIds: (ids, room, buffer, error) =>
      onWorker((done) => openIds.async(ids, ids.length, room, buffer, buffer.byteLength, error, done), [ids, room, buffer, error]),
    addressOf: (memory) => koffi.address(memory),
    scanBytes: library.func('uint64_t nsf_scan_bytes(uint32_t process_max, uint32_t namespace_max)'),
    scan: (proc, { part, parts }, before, rows, buffer, error) =>
      onWorker(
        (done) => scan.async(proc, part, parts, before, rows.processes, rows.namespaces, buffer, buffer.byteLength, error, done),
        [before ?? buffer, buffer, error],
      ),
    tasksBytes: library.func('uint64_t nsf_tasks_bytes(uint32_t process_max, uint32_t namespace_max, uint32_t thread_max)'),
    tasks: (link, rows, buffer, error) =>
      onWorker(
        (done) => tasks.async(link, rows.processes, rows.namespaces, rows.threads, buffer, buffer.byteLength, error, done),
        [buffer, error],
      ),
    receive: library.func('int nsf_receive(int32_t socket, void *bytes, uint32_t size, void *used, void *fd, void *error)'),
    processNamespaces: library.func('int nsf_process_namespaces(int32_t pid, void *out, void *error)'),
    scanPids: (proc, pids, rows, buffer, error) =>
      onWorker(
        (done) => scanPids.async(proc, pids, pids.length, rows.processes, rows.namespaces, buffer, buffer.byteLength, error, done),
        [pids, buffer, error],
      ),
    landlockAbi: library.func('int nsf_landlock_abi()'),
    alive: library.func('int nsf_alive(uint64_t id, int32_t type, uint64_t inode, void *error)'),
    relate: library.func('int nsf_relate(int32_t fd, const char *path, void *relation, void *error)'),
    spawn: library.func(
      'int nsf_spawn(int32_t program, void *argv, uint32_t argc, void *env, uint32_t envc, void *fds, uint32_t fd_count, uint32_t flags, void *child, void *error)',
    ),
    wait: library.func('int nsf_wait(int32_t pidfd, void *status, void *error)'),
    processStart: library.func('int nsf_process_start(int32_t pid, void *start_ticks, void *error)'),
    pidfdOpen: library.func('int nsf_pidfd_open(int32_t pid, uint64_t start_ticks, void *pidfd, void *error)'),
    pidfdSignal: library.func('int nsf_pidfd_signal(int32_t pidfd, int32_t signal, void *error)'),
    sealProgram: library.func('int nsf_seal_program(const char *path, void *fd, void *error)'),
    sealBytes: library.func('int nsf_seal_bytes(void *bytes, uint64_t size, const char *name, void *fd, void *error)'),
    unmount: (mountNamespace, path, id, inode, left, error) =>
      onWorker((done) => unmount.async(mountNamespace, path, id, inode, left, error, done), [left, error]),
    pipe: library.func('int nsf_pipe(void *fds, void *error)'),
    socketpair: library.func('int nsf_socketpair(void *fds, void *error)'),
    sendFds: library.func('int nsf_send_fds(int32_t socket, void *bytes, uint32_t size, void *fds, uint32_t fd_count, void *error)'),
    openDir: library.func('int nsf_open_dir(const char *path, void *fd, void *error)'),
  };
}
