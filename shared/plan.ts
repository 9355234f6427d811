/**
 * A **plan** is the list of kernel operations that turns a spec into a running sandbox, or into one more process of it. It is data:
 * agent/sandbox/plan.ts decides it, `--dry-run` prints it (plan-text.ts), native/plan-wire.ts encodes it, the shim does it.
 *
 * Words: a **side** is where an operation runs: `host` in the shim's outer half with the agent's privilege, `inner` in the half
 * that is born in the new namespaces. A **slot** is a number that names a mount which is made but not yet put anywhere; it is how
 * the host's side hands mounts to the inner one. A **target** is a path inside the new root, resolved by the kernel so that it
 * cannot lead out of it; a **path** is one of the host's.
 */
import { z } from 'zod';
import { Capability } from './capability.ts';
import { NamespaceType } from './namespace.ts';
import { AccountName, RlimitName, RlimitValue } from './process.ts';
import { TimeOffsets } from './sandbox-namespaces.ts';

/** The shim's limits (native/plan.h), and the kernel's: 4,096 instructions a filter. */
export const planLimits = { operations: 256, slots: 64, maps: 8, lowers: 128, sizeBytes: 1_048_576, filterBytes: 32_768 } as const;

/** In the order of native/shim/life.h. */
export const lifetimeLimits = ['ttl', 'idle', 'deadline'] as const;

const text = z.string().regex(/^[^\0]*$/, 'text without NUL');
const path = text.regex(/^\//, 'an absolute path').max(4095);
const stateName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/)
  .describe('a name in the placement’s state directory');
const Side = z.enum(['host', 'inner']);
const slot = z
  .int()
  .min(0)
  .max(planLimits.slots - 1)
  .describe('number of a mount not yet placed');
const id = z.int().min(0).max(0xffff_fffe);
const account = AccountName.describe('a name of passwd(5) or group(5)');
const mode = z.int().min(0).max(0o7777).describe('permission bits');
const sizeBytes = z.int().positive().describe('limit of the tmpfs, in bytes');
const inodes = z.int().positive().describe('limit of the tmpfs, in files');

const attributes = {
  readonly: z.boolean(),
  nosuid: z.boolean(),
  nodev: z.boolean(),
  noexec: z.boolean(),
};
const inner = z.literal('inner');
const mapOwners = z.boolean().describe('where the kernel can: what root owns on the host, root owns inside (idmapped mount)');
const followSymlinks = z.boolean().describe('false: a symlink refuses; true: it is followed, targets inside the root only');

const operations = [
  z
    .strictObject({
      op: z.literal('tree'),
      side: Side,
      slot,
      path,
      ...attributes,
      recursive: z.boolean().describe('with the mounts below it'),
      followSymlinks,
      optional: z.boolean().describe('nothing there: the slot stays empty'),
      device: z
        .strictObject({ major: z.int().min(0), minor: z.int().min(0) })
        .nullable()
        .describe('the path must be this character device'),
      plain: z.boolean().describe('the path must be a directory or a regular file, with no symlink on the way'),
      mapOwners,
      slave: z.boolean().describe('what the host mounts below it later appears in it'),
    })
    .describe('open_tree(2): a copy of a mount of the host, detached'),
  z
    .strictObject({
      op: z.literal('lower'),
      side: Side,
      path: path.describe('a directory of the host, no symlink; it is never written to'),
    })
    .describe('a layer of the next overlay; the first is the uppermost'),
  z
    .strictObject({
      op: z.literal('overlay'),
      side: Side,
      slot,
      upper: stateName,
      work: stateName,
      memory: z
        .strictObject({ sizeBytes, inodes, uid: id.nullable(), gid: id.nullable() })
        .nullable()
        .describe('the upper layer in a tmpfs of its own, its owner as outside; null: in the placement’s state directory'),
      mapOwners,
      userxattr: z.boolean().describe('for overlays made without host privilege'),
    })
    .describe('overlayfs(5) over the layers before it, detached; nosuid, nodev'),
  z
    .strictObject({ op: z.literal('state_mkdir'), side: Side, name: stateName, mode, uid: id.nullable(), gid: id.nullable() })
    .describe('a directory in the placement’s state directory; ids as outside'),
  z.strictObject({ op: z.literal('propagation'), side: inner }).describe('every mount private: nothing spreads out or in'),
  z
    .strictObject({
      op: z.literal('root'),
      side: inner,
      source: z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('tmpfs'), sizeBytes, inodes }),
        z.strictObject({ type: z.literal('slot'), slot }),
      ]),
    })
    .describe('the mount that becomes the new root'),
  z
    .strictObject({ op: z.literal('tmpfs'), side: inner, target: path, mode, sizeBytes, inodes, ...attributes, followSymlinks })
    .describe('an empty tmpfs(5) on a directory'),
  z
    .strictObject({
      op: z.literal('attach'),
      side: inner,
      slot,
      target: path,
      create: z.enum(['none', 'file', 'directory']).describe('what to make where the target is missing'),
      followSymlinks,
      optional: z.boolean().describe('an empty slot is skipped'),
    })
    .describe('move_mount(2): a slot’s mount onto a target'),
  z.strictObject({ op: z.literal('proc'), side: inner, target: path }).describe('a fresh procfs of the new PID namespace'),
  z
    .strictObject({
      op: z.literal('sysfs'),
      side: inner,
      target: path,
      optional: z.boolean().describe('where the kernel gives none: nothing'),
    })
    .describe('a fresh read-only sysfs of the new network namespace'),
  z
    .strictObject({ op: z.literal('devpts'), side: inner, target: path, gid: id.nullable().describe('group of new terminals, inside') })
    .describe('a new devpts instance'),
  z.strictObject({ op: z.literal('mqueue'), side: inner, target: path }).describe('the new IPC namespace’s message queues'),
  z.strictObject({ op: z.literal('mkdir'), side: inner, path, mode, followSymlinks }).describe('a directory; one that is there is kept'),
  z.strictObject({ op: z.literal('symlink'), side: inner, path, to: text }).describe('a symlink'),
  z
    .strictObject({
      op: z.literal('file'),
      side: inner,
      path,
      mode,
      content: text,
      replace: z.boolean().describe('what has the name goes first'),
      followSymlinks,
    })
    .describe('a new file'),
  z
    .strictObject({ op: z.literal('mask'), side: inner, target: path, slot: slot.describe('the host’s /dev/null') })
    .describe('hides a file behind /dev/null and a directory behind an empty one; a missing target is skipped'),
  z
    .strictObject({ op: z.literal('readonly'), side: inner, target: path })
    .describe('a part of a mount, read-only; a missing target is skipped'),
  z.strictObject({ op: z.literal('pivot_root'), side: inner }).describe('pivot_root(2); the old root is detached'),
  z.strictObject({ op: z.literal('remount_readonly'), side: inner, target: path }).describe('one whole mount, read-only'),
  z.strictObject({ op: z.literal('hostname'), side: inner, name: text.max(64) }).describe('sethostname(2)'),
  z.strictObject({ op: z.literal('domainname'), side: inner, name: text.max(64) }).describe('setdomainname(2)'),
  z.strictObject({ op: z.literal('loopback_up'), side: inner }).describe('brings lo up'),
  z
    .strictObject({ op: z.literal('unshare'), side: inner, namespace: z.literal('cgroup') })
    .describe('unshare(2), rooted at the cgroup of this moment'),
  z
    .strictObject({ op: z.literal('sysctl'), side: inner, name: z.string().regex(/^[a-z0-9_]+(\/[a-z0-9_]+)+$/), value: text })
    .describe('a write below the sandbox’s own /proc/sys'),
  z.strictObject({ op: z.literal('dumpable'), side: inner, value: z.boolean() }).describe('prctl(PR_SET_DUMPABLE)'),
  z.strictObject({ op: z.literal('no_new_privs'), side: inner }).describe('prctl(PR_SET_NO_NEW_PRIVS)'),
  z
    .strictObject({ op: z.literal('drop_capabilities'), side: inner, keep: z.array(Capability) })
    .describe('from all five sets all but these; what setresuid needs goes right before the execve'),
  z.strictObject({ op: z.literal('session_keyring'), side: inner }).describe('a new, empty session keyring, where the kernel has keyrings'),
  z
    .strictObject({
      op: z.literal('rlimit'),
      side: inner,
      resource: RlimitName,
      soft: RlimitValue,
      hard: RlimitValue.nullable().describe('null: as it is'),
      clamp: z.boolean().describe('true: at most what there is; false: refused where it cannot be had'),
    })
    .describe('setrlimit(2), of the command only, right before the execve'),
  z
    .strictObject({ op: z.literal('raise_rlimit'), side: z.literal('host'), resource: RlimitName, hard: RlimitValue })
    .describe('a hard limit above the agent’s own, for rlimit to take'),
  z.strictObject({ op: z.literal('nice'), side: z.literal('host'), value: z.int().min(-20).max(19) }).describe('setpriority(2)'),
  z
    .strictObject({ op: z.literal('oom_score_adj'), side: z.literal('host'), value: z.int().min(-1000).max(1000) })
    .describe('who is killed first where memory is short; the sandbox cannot go below it'),
  z
    .strictObject({ op: z.literal('user'), side: inner, name: account.nullable(), group: account.nullable() })
    .describe(
      'looks the command’s user up in the root’s /etc/passwd, null: by exec.uid; sets HOME, USER, SHELL, and the ids that exec leaves open',
    ),
  z
    .strictObject({ op: z.literal('group'), side: inner, gid: id.nullable(), name: account.nullable() })
    .describe('one more group of the command, by its id or by its name in the root’s /etc/group'),
  z
    .strictObject({
      op: z.literal('lifetime'),
      side: z.literal('host'),
      limit: z.enum(lifetimeLimits),
      ms: z.int().min(0).describe('ttl: from the start; idle: since the last sign of life; deadline: milliseconds since 1970'),
      signal: z.int().min(1).max(64),
      graceMs: z.int().min(0),
    })
    .describe('ends it by the stop signal, and after the grace by SIGKILL, with nobody there to ask for it'),
  z.strictObject({ op: z.literal('umask'), side: inner, mask: z.int().min(0).max(0o777) }).describe('umask(2)'),
  z
    .strictObject({ op: z.literal('time_offsets'), side: inner, ...TimeOffsets.shape })
    .describe('makes a time namespace, sets its clocks and goes in: time_namespaces(7)'),
  z
    .strictObject({
      op: z.literal('landlock'),
      side: inner,
      paths: z.boolean(),
      bind: z.boolean(),
      connect: z.boolean(),
      abstractSockets: z.boolean(),
      signals: z.boolean(),
      optional: z.boolean().describe('a kernel that cannot do it is no failure'),
    })
    .describe('begins a Landlock ruleset: what is true is closed but for what the next operations allow'),
  z
    .strictObject({ op: z.literal('landlock_path'), side: inner, path, readonly: z.boolean(), optional: z.boolean() })
    .describe('allows a path of the root, without a symlink, and all below it'),
  z
    .strictObject({
      op: z.literal('landlock_port'),
      side: inner,
      port: z.int().min(0).max(65_535),
      bind: z.boolean(),
      connect: z.boolean(),
    })
    .describe('allows a TCP port'),
  z.strictObject({ op: z.literal('landlock_restrict'), side: inner }).describe('landlock_restrict_self(2), with PID 1'),
  z
    .strictObject({
      op: z.literal('seccomp_log'),
      side: inner,
      profile: text.max(64),
      program: z
        .base64()
        .min(1)
        .max(planLimits.filterBytes * 2)
        .describe('struct sock_filter[], classic BPF'),
    })
    .describe('seccomp_unotify(2): what the command calls is written to the file `calls`; nobody else is bound'),
  z
    .strictObject({
      op: z.literal('seccomp'),
      side: inner,
      profile: text.max(64).describe('whose program it is'),
      program: z
        .base64()
        .min(1)
        .max(planLimits.filterBytes * 2)
        .describe('struct sock_filter[], classic BPF'),
    })
    .describe('seccomp(2): what system calls do, from right before the execve on; PID 1 is bound by it too'),
] as const;

export const PlanOperation = z.discriminatedUnion('op', operations);
export type PlanOperation = z.infer<typeof PlanOperation>;
export type PlanOperationName = PlanOperation['op'];

/** One line of /proc/<pid>/uid_map. */
export const PlanIdMap = z.strictObject({
  inside: id.describe('first id inside'),
  outside: id.describe('first id on the host'),
  count: z.int().positive().describe('how many'),
});
export type PlanIdMap = z.infer<typeof PlanIdMap>;

/** A namespace that is there already. Its descriptor travels beside the plan, and the shim joins it only if it is this one. */
export const PlanJoin = z.strictObject({
  type: NamespaceType,
  id: z
    .string()
    .regex(/^[0-9]{1,20}$/)
    .nullable()
    .describe('the kernel’s; null: it has none'),
  inode: z.int().positive(),
});
export type PlanJoin = z.infer<typeof PlanJoin>;

export const Plan = z.strictObject({
  version: z.literal(1),
  kind: z.enum(['run', 'enter']).describe('run: a new sandbox; enter: one more process in a running one'),
  namespaces: z.array(NamespaceType).max(8).describe('run: made new; enter: those of the sandbox that are joined'),
  joins: z.array(PlanJoin).max(8).default([]).describe('joined one by one, in this order, before any is made'),
  idMaps: z.strictObject({ uid: z.array(PlanIdMap).min(1).max(planLimits.maps), gid: z.array(PlanIdMap).min(1).max(planLimits.maps) }),
  setgroupsDeny: z.boolean().describe('a plain user may map a group only without setgroups(2)'),
  log: z.strictObject({ maxBytes: z.int().positive().describe('per stream; then it is rotated once') }),
  operations: z.array(PlanOperation).max(planLimits.operations).describe('in order, each side for itself'),
  exec: z.strictObject({
    argv: z.array(text).min(1).max(4096),
    env: z.record(text, text).describe('the whole environment'),
    cwd: path,
    uid: id.nullable().describe('inside; null: the operation `user` finds it'),
    gid: id.nullable().describe('inside; null: the operation `user` finds it'),
  }),
});
export type Plan = z.infer<typeof Plan>;
