/** What a sandbox sees as /. */
import { z } from 'zod';
import { AbsolutePath } from './paths.ts';

const writable = z.boolean().default(true).describe('true: overlayfs, changes are dropped with the sandbox; false: read-only');

const Upper = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('disk') }).describe('in the agent’s state directory'),
    z
      .strictObject({ type: z.literal('memory'), sizeBytes: z.int().min(65_536).max(1_099_511_627_776) })
      .describe('in a tmpfs of its own; a write beyond its size is refused with ENOSPC'),
  ])
  .default({ type: 'disk' })
  .describe('where changes are kept');

export const SandboxRoot = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('host') }).describe('/usr of the host read-only, minimal /etc and /dev, tmpfs elsewhere'),
  z
    .strictObject({
      type: z.literal('directory'),
      path: AbsolutePath.describe('a directory on the host that holds a root file system'),
      writable,
      upper: Upper,
    })
    .describe('a directory under overlayfs'),
]);
export type SandboxRoot = z.infer<typeof SandboxRoot>;
/** One that lies under overlayfs. */
export type LayeredRoot = Exclude<SandboxRoot, { type: 'host' }>;
