/**
 * What this host's administrator lets controllers have here: `/etc/nsfleet/agent.yaml`. It is read on the host and decides last; nothing that
 * a controller sends can widen it. What the file does not name has the default that stands here, which gives away nothing of the host.
 */
import { z } from 'zod';
import { HostAction } from '#shared/act.ts';
import { idPoolStartMin, idRangeSize } from '#shared/host.ts';
import { NamespaceType } from '#shared/namespace.ts';

/** The kernel's "no id", which no range may reach. */
const noId = 2 ** 32 - 1;
/** Above systemd's container range (524,288 to 1,879,048,191), below 2^31 where some tools misread ids. */
export const defaultIdPool = { start: 1_879_048_192, count: 4095 };
export const defaultSandboxes = 1000;
export const defaultActions: readonly HostAction[] = ['keep', 'reap'];

const path = z
  .string()
  .max(4095)
  .regex(/^\/[^\0]*$/, 'an absolute path')
  .transform((text) => (text === '/' ? text : text.replace(/\/+$/u, '')));

export const PoolOfIds = z
  .strictObject({ start: z.int(), count: z.int().min(1).max(65_535) })
  .refine(({ start }) => start >= idPoolStartMin, 'starts below 100000: those ids belong to the host’s own users')
  .refine(({ start, count }) => start + count * idRangeSize <= noId, 'ends above the largest uid');

const types = z
  .preprocess((value) => (value === 'all' ? [...NamespaceType.options] : value), z.array(NamespaceType))
  .describe('`all`, or a list of mnt, cgroup, uts, ipc, user, pid, net, time');

/** The file as it is written. */
export const PolicyFile = z.strictObject({
  version: z.literal(1),
  actions: z.array(HostAction).optional().describe('what controllers may do here beside sandboxes'),
  sandboxes: z.int().min(0).max(100_000).optional().describe('most sandboxes at once'),
  idPool: PoolOfIds.optional().describe('ranges of 65,536 ids that sandboxes get'),
  idMaps: z
    .array(
      z
        .strictObject({ start: z.int().min(1), count: z.int().min(1) })
        .refine(({ start, count }) => start + count <= noId, 'ends above the largest uid'),
    )
    .max(64)
    .default([])
    .describe('host ids that a sandbox may name in explicit maps; never 0, and never the agent’s own'),
  roots: z
    .strictObject({
      host: z.boolean().default(true).describe('the host’s /usr, read-only'),
      directories: z.array(path).max(256).optional().describe('a root must be one of these or lie below one'),
    })
    .default({ host: true })
    .describe('what may become a sandbox’s root'),
  binds: z
    .array(
      z.strictObject({
        path,
        writable: z.boolean().default(false),
        rslave: z.boolean().default(false).describe('mounts that the host makes there later may appear inside'),
      }),
    )
    .max(256)
    .default([])
    .describe('what may be bound into a sandbox, with all below it'),
  hostNamespaces: types.default([]).describe('namespaces of the host that a sandbox may share'),
  joins: z
    .strictObject({
      sandbox: types.default([...NamespaceType.options]).describe('of another sandbox, by its name'),
      other: types.default([]).describe('of anything else: a pid, a path, an id'),
    })
    .default({ sandbox: [...NamespaceType.options], other: [] })
    .describe('namespaces that a sandbox may join'),
  capabilities: z
    .array(z.string().regex(/^CAP_[A-Z][A-Z0-9_]{1,40}$/, 'a name of capabilities(7): CAP_NET_ADMIN'))
    .max(64)
    .default([])
    .describe('capabilities that a sandbox may have in its own user namespace'),
  seccomp: z
    .strictObject({ none: z.boolean().default(false).describe('sandboxes without a system call filter') })
    .default({ none: false })
    .describe('system call filters'),
});
export type PolicyFile = z.infer<typeof PolicyFile>;

export type Policy = {
  /** where it was read; null: there is no file, and the defaults hold */
  file: string | null;
  actions: ReadonlySet<HostAction>;
  sandboxes: number;
  /** ranges of 65,536; meaningless for an unprivileged agent */
  idPool: { start: number; count: number };
  idMaps: readonly { start: number; count: number }[];
  roots: {
    host: boolean;
    /** null: anywhere that does not hold, and does not lie in, what the host keeps to itself */
    directories: readonly string[] | null;
    /** what holds this agent's, and its stack's, keys and state */
    privateDirectories: readonly string[];
  };
  binds: readonly { path: string; writable: boolean; rslave: boolean }[];
  hostNamespaces: ReadonlySet<NamespaceType>;
  joins: { sandbox: ReadonlySet<NamespaceType>; other: ReadonlySet<NamespaceType> };
  capabilities: ReadonlySet<string>;
  seccompNone: boolean;
};

/** What the environment may say where the file is silent; older than the file, and as local. */
export type PolicyFallback = {
  actions?: readonly HostAction[] | undefined;
  sandboxes?: number | undefined;
  idPool?: { start: number; count: number } | undefined;
  directories?: readonly string[] | undefined;
};

/** The file's word, else the environment's, else the default. Pure. */
export function policyOf(given: PolicyFile, file: string | null, fallback: PolicyFallback, privateDirectories: readonly string[]): Policy {
  return {
    file,
    actions: new Set(given.actions ?? fallback.actions ?? defaultActions),
    sandboxes: given.sandboxes ?? fallback.sandboxes ?? defaultSandboxes,
    idPool: given.idPool ?? fallback.idPool ?? defaultIdPool,
    idMaps: given.idMaps,
    roots: { host: given.roots.host, directories: given.roots.directories ?? fallback.directories ?? null, privateDirectories },
    binds: given.binds,
    hostNamespaces: new Set(given.hostNamespaces),
    joins: { sandbox: new Set(given.joins.sandbox), other: new Set(given.joins.other) },
    capabilities: new Set(given.capabilities),
    seccompNone: given.seccomp.none,
  };
}
