/** What can be done to namespaces as such: keep new ones under a name, name those that are there, take names away, run host tools in them. */
import { z } from 'zod';
import { NamespaceKey, NamespaceType } from './namespace.ts';

/** A file name below /run/netns, so also what ip-netns(8) takes. */
export const KeptName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, '1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit')
  .refine((name) => !name.includes('..'), 'no ..');

/** All but pid: a pid namespace ends with its first process, so that there is nothing to keep. */
export const KeptType = NamespaceType.exclude(['pid']);
export type KeptType = z.infer<typeof KeptType>;

/** A namespace that lives on a file. */
export const KeptNamespace = z.object({
  type: KeptType,
  key: NamespaceKey,
  inode: z.int().nonnegative(),
  path: z.string().max(4096).describe('below /run/netns for net, as ip-netns(8) has it; else below /run/nsfleet/ns'),
});
export type KeptNamespace = z.infer<typeof KeptNamespace>;

export const KeepRequest = z.strictObject({
  name: KeptName,
  types: z
    .array(KeptType)
    .min(1)
    .refine((types) => new Set(types).size === types.length, 'each type once'),
});
export type KeepRequest = z.infer<typeof KeepRequest>;

/** A namespace by what its host calls it. */
export const NamedNamespace = z.object({ type: NamespaceType, key: NamespaceKey });
export type NamedNamespace = z.infer<typeof NamedNamespace>;

/** One step of `ns reap`, as it is shown and as it is done. */
export const ReapStep = z.object({
  action: z.enum(['unmount', 'unlink']).describe('unmount: umount2(2) of a namespace file; unlink: the file that it was mounted on'),
  path: z.string().max(16_384),
  mountNamespace: NamespaceKey.nullable().describe('in which mount namespace; null: the agent’s own'),
});
export type ReapStep = z.infer<typeof ReapStep>;

export const ReapOutcome = NamedNamespace.extend({
  steps: z.array(ReapStep).describe('to take, or taken'),
  done: z.boolean(),
  refused: z.string().nullable().describe('why nothing may be or was taken away'),
});
export type ReapOutcome = z.infer<typeof ReapOutcome>;

/**
 * A namespace as people name it for `ns exec`: `host` (not joined), `pid:1234` (the one that process is in), `sandbox:web`, or its number, key or inode.
 */
export const TargetName = z.strictObject({ type: NamespaceType, of: z.string().min(1).max(255) });
export type TargetName = z.infer<typeof TargetName>;

/** What an agent lets a controller do to its host beside sandboxes: it decides last. */
export const HostAction = z
  .enum(['exec', 'keep', 'reap'])
  .describe('exec: run host programs as root; keep: make, name and remove kept namespaces; reap: unmount leaks');
export type HostAction = z.infer<typeof HostAction>;
