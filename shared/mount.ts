/** Mounts as they are found in the mount namespaces of hosts: the nouns of `nsfleet mount find`. */
import { z } from 'zod';
import { NamespaceKey } from './namespace.ts';
import { RawText } from './raw-text.ts';

/** All that are given must match. */
export const MountQuery = z.object({
  source: RawText.optional().describe('source as the mount table has it, or the device as major:minor'),
  target: RawText.optional().describe('mount point: this path, and what lies below it'),
  fsType: z.string().max(100).optional().describe('file system type, as ext4 or nfs4; with a dot at its end also its subtypes (fuse.)'),
  limit: z.int().min(1).max(1000).default(1000).describe('a host gives at most so many'),
});
export type MountQuery = z.infer<typeof MountQuery>;

/** One row of a mount table; see proc_pid_mountinfo(5). */
export const Mount = z.object({
  namespace: NamespaceKey.describe('of its mount namespace'),
  mountId: z.int().nonnegative(),
  device: z.string().max(40).describe('major:minor'),
  root: RawText,
  target: RawText,
  source: RawText,
  fsType: RawText,
  options: RawText,
  propagation: z.string().max(100),
  pid: z.int().positive().describe('first process in that mount namespace'),
  comm: RawText,
});
export type Mount = z.infer<typeof Mount>;
