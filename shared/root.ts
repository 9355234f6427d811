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
  z
    .strictObject({
      type: z.literal('tarball'),
      path: AbsolutePath.describe('a tar archive on the host that holds a root file system: plain, gzip or zstd'),
      writable,
      upper: Upper,
    })
    .describe('unpacked once on the host, under overlayfs'),
  z
    .strictObject({
      type: z.literal('oci'),
      path: AbsolutePath.describe('an OCI image layout on the host, or a tar archive of one, also one of `docker save`'),
      reference: z.string().min(1).max(512).optional().describe('the name or digest of an image in it; default: the only one'),
      platform: z
        .string()
        .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/, 'os/architecture or os/architecture/variant')
        .optional()
        .describe('default: the host’s'),
      entrypoint: z
        .array(
          z
            .string()
            .max(131_072)
            .regex(/^[^\0]*$/, 'text without NUL'),
        )
        .max(4096)
        .optional()
        .describe('in place of the image’s own, and of its command'),
      writable,
      upper: Upper,
    })
    .describe('an image: its layers are unpacked once on the host and shared; what the spec does not say of the process, it does'),
]);
export type SandboxRoot = z.infer<typeof SandboxRoot>;
/** One that lies under overlayfs. */
export type LayeredRoot = Exclude<SandboxRoot, { type: 'host' }>;
/** One that is unpacked first. */
export type ArchiveRoot = Exclude<LayeredRoot, { type: 'directory' }>;
