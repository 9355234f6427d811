/**
 * The nouns of the inventory, spelled as namespaces(7) and lsns(8) spell them.
 *
 * - **namespace**: one Linux namespace. Its identity is (host, boot id, type, key); an inode number alone is no identity,
 *   because the kernel reuses it (four network namespaces made one after another got the same one).
 * - **key**: `id:<n>` where the kernel has NS_GET_ID (≥ 6.13; 64 bits, never reused while the host is up), else
 *   `ino:<inode>.<generation>` with a generation that the agent counts.
 * - **holder**: what keeps a namespace alive.
 */
import { z } from 'zod';

/** In the order of the kernel's `/proc/<pid>/ns`, without the `*_for_children` links. */
export const namespaceTypes = ['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'] as const;

export const NamespaceType = z.enum(namespaceTypes).describe('namespace type as in /proc/<pid>/ns');
export type NamespaceType = z.infer<typeof NamespaceType>;

/** See the file header. 64-bit ids travel as decimal text: JSON numbers end at 2^53. */
export const NamespaceKey = z
  .string()
  .regex(/^(id:[0-9]{1,20}|ino:[0-9]{1,20}\.[0-9]{1,10})$/)
  .describe('id:<kernel id> or ino:<inode>.<generation>');
export type NamespaceKey = z.infer<typeof NamespaceKey>;

/**
 * What keeps a namespace alive, kernel side. `process` and `*_for_children` come from /proc/<pid>/ns, `parent` and `owner` from nsfs ioctls, the
 * others are references (inventory.ts) that a scan of descriptors, threads and mounts finds.
 */
export const HolderKind = z
  .enum(['process', 'thread', 'pid_for_children', 'time_for_children', 'fd', 'thread_fd', 'socket', 'tun', 'mount', 'parent', 'owner'])
  .describe(
    'process: a process lives in it; thread: a thread does, elsewhere than its process; *_for_children: the next children of a process will; ' +
      'fd: an open descriptor; thread_fd: one in a thread’s own table (CLONE_FILES undone); socket: a socket made in it; tun: a tun or tap descriptor; ' +
      'mount: a bind mount of it; parent: a namespace below it holds it; owner: a namespace that it owns holds it',
  );
export type HolderKind = z.infer<typeof HolderKind>;

/** /proc/sys/kernel/random/boot_id: what makes pids, inodes and namespace ids of two boots different. */
export const BootId = z.uuid().describe('/proc/sys/kernel/random/boot_id');

/** `namespaceKey('4026531840', null, 0)`: the key of a scanned namespace; see the file header. */
export function namespaceKey(inode: number, id: string | null, generation: number): NamespaceKey {
  return id === null ? `ino:${inode}.${generation}` : `id:${id}`;
}
