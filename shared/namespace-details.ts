/**
 * What a namespace is like inside, and how people call it. Of the fields those of its type are there; a field that could not be read is left out, and
 * `unread` says why.
 */
import { z } from 'zod';
import { NamespaceKey } from './namespace.ts';
import { RawText } from './raw-text.ts';

const Id = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

/** user_namespaces(7): COUNT ids from INSIDE on are OUTSIDE… in the parent, as the agent's own user namespace sees it. */
export const IdMapLine = z.object({
  inside: Id,
  outside: Id,
  count: z
    .int()
    .min(1)
    .max(2 ** 32),
});
/** The kernel takes at most 340 lines; what is shown of more is cut, and `unread` says so. */
const IdMap = z.array(IdMapLine).max(340);

/** 64-bit nanoseconds as decimal text. */
const Nanoseconds = z.string().regex(/^-?[0-9]{1,20}$/);

export const NamespaceDetails = z.object({
  // user
  uidMap: IdMap.optional(),
  gidMap: IdMap.optional(),
  setgroups: z.enum(['allow', 'deny']).optional(),
  // uts
  hostname: RawText.optional(),
  domainname: RawText.optional().describe('the NIS domain name, as uname -a knows it'),
  // time: time_namespaces(7)
  monotonicOffsetNs: Nanoseconds.optional(),
  boottimeOffsetNs: Nanoseconds.optional(),
  // net
  links: z.int().nonnegative().optional(),
  addresses: z.int().nonnegative().optional(),
  routes: z.int().nonnegative().optional(),
  listening: z.int().nonnegative().optional().describe('listening TCP and bound UDP sockets, both families'),
  peers: z
    .array(z.object({ netnsid: z.int().nonnegative(), key: NamespaceKey.nullable() }))
    .max(256)
    .optional()
    .describe('network namespaces that it knows by number (RTM_GETNSID); key null where that one is not in the inventory'),
  // pid
  initPid: z.int().positive().optional().describe('its pid 1, as the agent sees it'),
  // mnt
  mounts: z.int().nonnegative().optional(),
  rootSource: RawText.optional().describe('what is mounted on / in it'),
  rootPropagation: z.string().max(100).optional().describe('of / in it: shared, private, slave, unbindable, as findmnt says it'),
  // cgroup
  cgroupRoot: RawText.optional().describe('path of its root, as the agent sees it'),
  unread: z.array(z.string().max(200)).max(16).optional().describe('what could not be read, and why'),
});
export type NamespaceDetails = z.infer<typeof NamespaceDetails>;

export const NameSource = z.enum([
  'ip-netns',
  'nsfleet-kept',
  'nsfleet',
  'kubernetes',
  'docker',
  'containerd',
  'crio',
  'podman',
  'lxc',
  'nspawn',
  'systemd',
]);

/** A name that people know. `nsfleet` is a sandbox, `nsfleet-kept` what `nsfleet ns create` made, `systemd` a unit. */
export const NamespaceName = z.object({
  source: NameSource,
  name: RawText.describe('container id, unit, pod uid, netns name; read from cgroup paths and /run/netns, never from an engine’s socket'),
});
export type NamespaceName = z.infer<typeof NamespaceName>;
