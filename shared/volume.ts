/** What is mounted into a sandbox beside its root. */
import { z } from 'zod';
import { AbsolutePath, MountTarget, isWithin } from './paths.ts';

/** Each takes a slot of the plan, of which the root and its devices need the others (planLimits). */
export const volumesMax = 32;

/** The kernel's own views: what is mounted there would hide masks from whoever looks, or be hidden itself. */
const keptTargets = ['/proc', '/sys', '/dev'];
/** docker's, too */
const allowedTargets = ['/dev/shm'];

const Target = MountTarget.refine(
  (path) => allowedTargets.includes(path) || !keptTargets.some((kept) => isWithin(path, kept)),
  'not in /proc, /sys or /dev (but /dev/shm)',
).describe('where, inside; made where it is missing and the root can be written to; a symlink leads nowhere but inside the root');

const readonly = z.boolean().default(false);

export const Volume = z
  .discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('bind'),
        source: AbsolutePath.describe('a directory or a regular file of the host, which its agent must allow'),
        target: Target,
        readonly,
        noexec: z.boolean().default(false),
        propagation: z
          .enum(['private', 'rslave'])
          .default('private')
          .describe('rslave: what the host mounts below it later appears inside, too; only where the host’s agent allows it'),
      })
      .describe('of the host; what root owns there, root owns inside, where the kernel can'),
    z
      .strictObject({
        type: z.literal('tmpfs'),
        target: Target,
        readonly,
        noexec: z.boolean().default(true),
        sizeBytes: z.int().min(4096).max(1_099_511_627_776).default(67_108_864),
        mode: z.int().min(0).max(0o1777).default(0o1777).describe('permission bits of its directory'),
      })
      .describe('memory, gone with the sandbox'),
  ])
  .describe('always nosuid and nodev');
export type Volume = z.infer<typeof Volume>;

export const Volumes = z
  .array(Volume)
  .max(volumesMax)
  .refine((volumes) => new Set(volumes.map(({ target }) => target)).size === volumes.length, 'two volumes have one target');
