/**
 * The structs of nsfleet.h as this side reads them: `whole` is the struct's size, every other entry [offset, bytes].
 * binding.ts compares them with the library's own answer (nsf_layout) before the first call.
 */
export const ABI = 1;

export const nsfError = { whole: 292, errnum: [0, 4], step: [4, 32], detail: [36, 256] } as const;

export const nsfScan = {
  whole: 72,
  size: [0, 4],
  version: [4, 4],
  process_offset: [8, 8],
  namespace_offset: [16, 8],
  process_count: [24, 4],
  process_bytes: [28, 4],
  namespace_count: [32, 4],
  namespace_bytes: [36, 4],
  process_needed: [40, 4],
  namespace_needed: [44, 4],
  vanished: [48, 4],
  unreadable_eacces: [52, 4],
  unreadable_eperm: [56, 4],
  unreadable_other: [60, 4],
  unpinned: [64, 4],
} as const;

export const nsfProcess = {
  whole: 112,
  start_ticks: [0, 8],
  pid: [8, 4],
  ppid: [12, 4],
  uid: [16, 4],
  state: [20, 1],
  comm_bytes: [21, 1],
  flags: [22, 2],
  comm: [24, 16],
  ns: [40, 40],
  runs: [80, 32],
} as const;

export const nsfNamespace = {
  whole: 64,
  id: [0, 8],
  inode: [8, 8],
  dev: [16, 8],
  owner_uid: [24, 8],
  leader_start_ticks: [32, 8],
  leader_pid: [40, 4],
  type: [44, 4],
  parent: [48, 4],
  owner: [52, 4],
  process_count: [56, 4],
} as const;

/** `scan` is at its start. */
export const nsfTasks = {
  whole: 96,
  thread_offset: [72, 8],
  thread_count: [80, 4],
  thread_bytes: [84, 4],
  thread_needed: [88, 4],
} as const;

export const nsfThread = { whole: 64, start_ticks: [0, 8], pid: [8, 4], tid: [12, 4], flags: [16, 4], ns: [24, 40] } as const;

export const nsfRelation = {
  whole: 80,
  id: [8, 8],
  inode: [16, 8],
  dev: [24, 8],
  parent_id: [32, 8],
  parent_inode: [40, 8],
  owner_id: [48, 8],
  owner_inode: [56, 8],
  owner_uid: [64, 8],
  type: [72, 4],
} as const;

export const nsfFound = {
  whole: 216,
  size: [0, 4],
  version: [4, 4],
  reference_offset: [8, 8],
  namespace_offset: [16, 8],
  text_offset: [24, 8],
  reference_count: [32, 4],
  reference_bytes: [36, 4],
  namespace_count: [40, 4],
  namespace_bytes: [44, 4],
  text_bytes: [48, 4],
  reference_needed: [52, 4],
  namespace_needed: [56, 4],
  text_needed: [60, 4],
  threads: [64, 4],
  sockets: [68, 4],
  sockets_asked: [72, 4],
  sockets_known: [76, 4],
  processes: [80, 4],
  idle: [84, 4],
  idle_known: [88, 4],
  vanished: [92, 4],
  unpinned: [96, 4],
  threads_present: [100, 4],
  threads_counted: [104, 4],
  hidden: [108, 104],
} as const;

export const nsfReference = {
  whole: 80,
  start_ticks: [0, 8],
  mount_id: [8, 8],
  kind: [16, 4],
  ns: [20, 4],
  pid: [24, 4],
  tid: [28, 4],
  fd: [32, 4],
  uid: [36, 4],
  mount_ns: [40, 4],
  text: [44, 4],
  text_bytes: [48, 4],
  family: [52, 4],
  socket_type: [56, 4],
  covered: [60, 1],
  comm_bytes: [61, 1],
  comm: [64, 16],
} as const;

export const nsfRoom = {
  whole: 16,
  references: [0, 4],
  namespaces: [4, 4],
  text_bytes: [8, 4],
} as const;

export const nsfInquiry = {
  whole: 56,
  part: [0, 4],
  parts: [4, 4],
  pass: [8, 4],
  pid_count: [12, 4],
  pids: [16, 8],
  sockets: [24, 8],
  socket_slots: [32, 4],
  sockets_known: [36, 4],
  idle: [40, 8],
  idle_slots: [48, 4],
  idle_known: [52, 4],
} as const;

export const nsfKnownSocket = {
  whole: 16,
  inode: [0, 8],
  net: [8, 4],
  pass: [12, 4],
} as const;

export const nsfIdleProcess = {
  whole: 48,
  runs: [0, 32],
  pid: [32, 4],
  pass: [36, 4],
  held: [40, 4],
} as const;

export const nsfDoor = {
  whole: 8,
  pid: [0, 4],
  fd: [4, 4],
} as const;

export const nsfLeftChild = { whole: 24, stack: [0, 8], stack_bytes: [8, 8], pidfd: [16, 4], state: [20, 4] } as const;

export const nsfChild = { whole: 24, start_ticks: [8, 8], pid: [16, 4], pidfd: [20, 4] } as const;

export const nsfExit = { whole: 24, running: [8, 4], code: [12, 4], signal: [16, 4] } as const;

export const nsfInside = {
  whole: 1496,
  id: [0, 8],
  inode: [8, 8],
  type: [16, 4],
  fd: [20, 4],
  cgroup_fd: [24, 4],
  wanted: [28, 4],
  result: [32, 4],
  step: [36, 20],
  links: [56, 4],
  addresses: [60, 4],
  routes: [64, 4],
  listening: [68, 4],
  peer_count: [72, 4],
  peers: [76, 256],
  hostname: [332, 68],
  domainname: [400, 68],
  cgroup_bytes: [468, 4],
  cgroup: [472, 1024],
} as const;

const structs = {
  nsf_error: nsfError,
  nsf_scan: nsfScan,
  nsf_process: nsfProcess,
  nsf_namespace: nsfNamespace,
  nsf_tasks: nsfTasks,
  nsf_thread: nsfThread,
  nsf_relation: nsfRelation,
  nsf_found: nsfFound,
  nsf_reference: nsfReference,
  nsf_room: nsfRoom,
  nsf_inquiry: nsfInquiry,
  nsf_known_socket: nsfKnownSocket,
  nsf_idle_process: nsfIdleProcess,
  nsf_door: nsfDoor,
  nsf_left_child: nsfLeftChild,
  nsf_child: nsfChild,
  nsf_exit: nsfExit,
  nsf_inside: nsfInside,
};

/** The text that nsf_layout must give. */
export function layoutText(): string {
  const lines = [`abi ${ABI}`];
  for (const [name, struct] of Object.entries(structs)) {
    const { whole, ...fields } = struct;
    lines.push(`${name} 0 ${whole}`);
    for (const [field, [offset, bytes]] of Object.entries(fields)) lines.push(`${name}.${field} ${offset} ${bytes}`);
  }
  return `${lines.join('\n')}\n`;
}
