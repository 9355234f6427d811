/** Rows that a scan's buffer has room for. */
export type ScanRows = { processes: number; namespaces: number };

/** Rows and bytes that a search's buffer has room for. */
export type FoundRoom = { references: number; namespaces: number; textBytes: number };

export type TaskRows = ScanRows & { threads: number };

/** The functions of nsfleet.h as koffi gives them; binding.ts alone makes them. Negative results are -errno. */
export type Calls = {
  scanBytes(processMax: number, namespaceMax: number): number;
  /** On a worker thread. `before` is the filled buffer of an earlier pass, or has a head without rows; null: nothing is remembered. */
  scan(
    proc: string,
    which: { part: number; parts: number },
    before: Uint8Array | null,
    rows: ScanRows,
    buffer: Uint8Array,
    error: Uint8Array,
  ): Promise<number>;
  /** On a worker thread, like `scan`. */
  inside(rows: Uint8Array, count: number, error: Uint8Array): Promise<number>;
  foundBytes(room: Uint32Array): number;
  /** On a worker thread, as scan. `inquiry` holds the addresses of memory that must stay referenced, too. */
  references(proc: string, inquiry: Uint8Array, room: Uint32Array, buffer: Uint8Array, error: Uint8Array): Promise<number>;
  /** `left`: the memory of left-children.ts. */
  mounts(proc: string, doors: Int32Array, left: Uint8Array, room: Uint32Array, buffer: Uint8Array, error: Uint8Array): Promise<number>;
  /** Short: some microseconds, and a millisecond for 10,000. */
  listns(ids: BigUint64Array, max: number, count: Uint32Array, error: Uint8Array): number;
  openIds(ids: BigUint64Array, room: Uint32Array, buffer: Uint8Array, error: Uint8Array): Promise<number>;
  /** Where the memory of a typed array is. It must outlive the use of the number. */
  addressOf(memory: ArrayBufferView): bigint;
  /** Likewise; `pids` too. */
  scanPids(proc: string, pids: Int32Array, rows: ScanRows, buffer: Uint8Array, error: Uint8Array): Promise<number>;
  tasksBytes(processMax: number, namespaceMax: number, threadMax: number): number;
  /** On a worker thread, as scan. One at a time for one link. */
  tasks(link: number, rows: TaskRows, buffer: Uint8Array, error: Uint8Array): Promise<number>;
  receive(socket: number, bytes: Uint8Array, size: number, used: Uint32Array, fd: Int32Array, error: Uint8Array): number;
  landlockAbi(): number;
  alive(id: bigint, type: number, inode: number, error: Uint8Array): number;
  relate(fd: number, path: string | null, relation: Uint8Array, error: Uint8Array): number;
  processNamespaces(pid: number, out: BigUint64Array, error: Uint8Array): number;
  spawn(
    program: number,
    argv: Uint8Array,
    argc: number,
    env: Uint8Array,
    envc: number,
    fds: Int32Array,
    fdCount: number,
    flags: number,
    child: Uint8Array,
    error: Uint8Array,
  ): number;
  wait(pidfd: number, status: Uint8Array, error: Uint8Array): number;
  processStart(pid: number, startTicks: BigUint64Array, error: Uint8Array): number;
  pidfdOpen(pid: number, startTicks: bigint, pidfd: Int32Array, error: Uint8Array): number;
  pidfdSignal(pidfd: number, signal: number, error: Uint8Array): number;
  sealProgram(path: string, fd: Int32Array, error: Uint8Array): number;
  sealBytes(bytes: Uint8Array, size: number, name: string, fd: Int32Array, error: Uint8Array): number;
  unmount(mountNamespace: number, path: string, id: bigint, inode: bigint, left: Uint8Array, error: Uint8Array): Promise<number>;
  pipe(fds: Int32Array, error: Uint8Array): number;
  socketpair(fds: Int32Array, error: Uint8Array): number;
  sendFds(socket: number, bytes: Uint8Array, size: number, fds: Int32Array, fdCount: number, error: Uint8Array): number;
  openDir(path: string, fd: Int32Array, error: Uint8Array): number;
};
