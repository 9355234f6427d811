/**
 * A **sandbox** is what a user asked for: a spec, and the wish that it run or stop. A **placement** is one sandbox on one
 * host, once.
 *
 * States of a placement, each told by the kernel and not by hope:
 * - `placed`: a host is chosen and the choice is committed; the host has not answered yet.
 * - `running`: the command's execve succeeded.
 * - `paused`: as running, but frozen: nothing of it gets processor time.
 * - `stopping`: a stop was asked for; the stop signal is out, the grace period runs.
 * - `stopped`: the command ended and everything it left was killed. Has an exit status.
 * - `failed`: it never ran; the error says which step refused. Nothing of it is left on the host.
 * - `lost`: it ran, and the host cannot say how it ended (reboot, its shim killed).
 * - `removed`: gone from the host with its directory; only its history is kept.
 */
import { z } from 'zod';
import { Resources } from './cgroup.ts';
import { Labels } from './host.ts';
import { Lacks } from './lack.ts';
import { NamespaceKey, NamespaceType } from './namespace.ts';
import { SandboxObserved } from './observed.ts';
import { SandboxLandlock } from './landlock.ts';
import { AbsolutePath } from './paths.ts';
import { SandboxUser, processFields } from './process.ts';
import { SandboxRoot } from './root.ts';
import { SandboxSeccomp } from './seccomp.ts';
import { SandboxNamespaces, TimeOffsets, contradictions } from './sandbox-namespaces.ts';
import { SignalName } from './signal.ts';
import { Volumes } from './volume.ts';

export const sandboxStates = ['placed', 'running', 'paused', 'stopping', 'stopped', 'failed', 'lost', 'removed'] as const;
export const SandboxState = z.enum(sandboxStates);
export type SandboxState = z.infer<typeof SandboxState>;

/** The one transition table. What is not listed is refused, whoever asks. */
const transitions: Record<SandboxState, readonly SandboxState[]> = {
  placed: ['running', 'paused', 'stopping', 'stopped', 'failed', 'lost', 'removed'],
  running: ['paused', 'stopping', 'stopped', 'lost', 'removed'],
  paused: ['running', 'stopping', 'stopped', 'lost', 'removed'],
  stopping: ['stopped', 'failed', 'lost', 'removed'],
  stopped: ['removed'],
  failed: ['removed'],
  // A host that was silent may yet tell how it ended.
  lost: ['running', 'paused', 'stopped', 'removed'],
  removed: [],
};

/** True where a sandbox may go from `from` to `to`. Staying is not a transition. */
export function mayBecome(from: SandboxState, to: SandboxState): boolean {
  return transitions[from].includes(to);
}

/** Nothing of it runs any more. */
export function isEnded(state: SandboxState): boolean {
  return state === 'stopped' || state === 'failed' || state === 'lost' || state === 'removed';
}

export const Wanted = z.enum(['running', 'paused', 'stopped', 'removed']);
export type Wanted = z.infer<typeof Wanted>;

/** RFC 1123, so that it can be a hostname too. */
export const SandboxName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and - inside, at most 63');

const NoNul = z
  .string()
  .max(131_072)
  .regex(/^[^\0]*$/, 'text without NUL');

const EnvironmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/)
  // An object cannot hold it as a key of its own: it would vanish without a word.
  .refine((name) => name !== '__proto__', 'not __proto__');
export const Environment = z.record(EnvironmentName, NoNul);
export const Command = z
  .array(NoNul)
  .min(1)
  .max(4096)
  .refine((argv) => argv[0] !== '', 'argv[0] is empty')
  .describe('argv');

const hostId = z.int().min(0).max(0xffff_fffe);
const IdMap = z
  .strictObject({ inside: hostId, outside: hostId, count: z.int().min(1) })
  .refine(({ inside, outside, count }) => Math.max(inside, outside) + count <= 0xffff_ffff, 'ends above the largest id');
/** Of /proc/<pid>/uid_map and gid_map. */
export const IdMaps = z.strictObject({ uid: z.array(IdMap).min(1).max(8), gid: z.array(IdMap).min(1).max(8) });
export type IdMaps = z.infer<typeof IdMaps>;

const HostName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/, 'letters, digits, . and - inside, at most 64');

const NoCommand = z.array(NoNul).max(0);
/** Ten years: who wants more wants none. */
const lifetimeMs = z.int().min(1).max(315_360_000_000);

/** What the user asks for. Every default is written down here and nowhere else. */
const SpecFields = z.strictObject({
  command: z.union([Command, NoCommand], 'argv: at least one text, the first not empty').describe('argv; none: the image’s own'),
  env: Environment.default({}).describe(
    'the whole environment beside PATH, HOSTNAME, and HOME, USER, SHELL as the root’s passwd says; nothing is inherited',
  ),
  cwd: AbsolutePath.optional().describe('default: the image’s, else /'),
  user: SandboxUser.optional().describe('ids inside, by default the image’s, else root, which is an unprivileged id outside'),
  ...processFields,
  allowDegraded: z.boolean().default(false).describe('true: run without what the host cannot give; `lacks` of the sandbox lists it'),
  hostname: HostName.optional().describe('default: the sandbox’s name'),
  domainname: HostName.optional().describe('default: none'),
  namespaces: SandboxNamespaces.default({}).describe('of each type: new, which is the default, the host’s, or one to join'),
  timeOffsets: TimeOffsets.optional().describe('of the sandbox’s clocks against the host’s'),
  idMaps: IdMaps.optional().describe('instead of a range of its own; the host’s policy must allow these ids'),
  root: SandboxRoot.default({ type: 'host' }),
  volumes: Volumes.default([]).describe('mounted over the root, those of shorter targets first'),
  landlock: SandboxLandlock.default({ readable: [], writable: [] }),
  seccomp: SandboxSeccomp.default({ profile: 'strict' }),
  constraint: z.string().max(4096).optional().describe('CEL over `host`: host.labels, host.facts, host.name, host.id'),
  logMaxBytes: z.int().min(4096).max(1_073_741_824).default(1_048_576).describe('per stream; at the limit the log is rotated once'),
  resources: Resources.default({}),
  ttlMs: lifetimeMs.optional().describe('ended so long after its start'),
  idleMs: lifetimeMs.optional().describe('ended when it has written nothing, and nothing was executed in it, for so long'),
  deadline: z.iso.datetime({ offset: true }).optional().describe('ended at this moment'),
  stopSignal: SignalName.default('SIGTERM'),
  stopGraceMs: z.int().min(0).max(3_600_000).default(10_000),
});
export const SandboxSpec = SpecFields.superRefine((spec, context) => {
  if (spec.command.length === 0 && spec.root.type !== 'oci') {
    context.addIssue({ code: 'custom', message: 'only an image brings a command of its own', path: ['command'] });
  }
  for (const message of contradictions(spec)) context.addIssue({ code: 'custom', message, path: ['namespaces'] });
});
export type SandboxSpec = z.infer<typeof SandboxSpec>;
export type SandboxSpecInput = z.input<typeof SandboxSpec>;

/** What a user sends to make one. */
export const SandboxRequest = z.strictObject({
  name: SandboxName.optional().describe('default: two words and four digits'),
  labels: Labels.default({}),
  autoRemove: z.boolean().default(false).describe('remove it when it has ended (docker’s --rm)'),
  spec: SandboxSpec,
});
export type SandboxRequest = z.infer<typeof SandboxRequest>;

/** How a command ended. Exactly one of the two is set, as waitid(2) tells. */
export const ExitStatus = z.object({
  code: z.int().min(0).max(255).nullable(),
  signal: z.int().min(1).max(64).nullable(),
  endedBy: z.enum(['ttl', 'idle', 'deadline', 'stop']).optional().describe('what ended it, where it did not end by itself; stop: a user'),
  oomKills: z.int().positive().optional().describe('processes that the kernel killed at the limit of memory, where there were any'),
});
export type ExitStatus = z.infer<typeof ExitStatus>;

/** An error as it crosses a boundary; the catalogue is in errors.ts. */
export const WireError = z.object({
  code: z.string(),
  message: z.string(),
  attempted: z.string(),
  target: z.string(),
  reason: z.string(),
  remedy: z.string(),
  missing: Lacks.optional().describe('what a host cannot give of what was asked for'),
});
export type WireError = z.infer<typeof WireError>;

/** A namespace that a sandbox really got, read back from the kernel. */
export const SandboxNamespace = z.object({ type: NamespaceType, key: NamespaceKey, inode: z.int().nonnegative() });
export type SandboxNamespace = z.infer<typeof SandboxNamespace>;

/** What the agent tells of one placement. `statusSeq` grows with every status of a placement; an older one is ignored. */
export const PlacementStatus = z.object({
  placementId: z.uuid(),
  sandboxId: z.uuid(),
  generation: z.int().positive().describe('of the desired state that this answers'),
  statusSeq: z.int().positive(),
  state: SandboxState,
  initPid: z.int().positive().nullable(),
  commandPid: z.int().positive().nullable(),
  namespaces: z.array(SandboxNamespace).max(8),
  exit: ExitStatus.nullable(),
  error: WireError.nullable(),
  lacks: Lacks.default([]).describe('what it runs without, since the spec allows that'),
  observed: SandboxObserved.nullable().default(null).describe('null: not read yet, or it had ended before'),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  tookMs: z
    .number()
    .nonnegative()
    .optional()
    .describe('from hearing the wish that this answers until telling it, by the host’s monotonic clock'),
});
export type PlacementStatus = z.infer<typeof PlacementStatus>;

/** A run of 65,536 host ids. Recorded by the controller, never shared by two live placements of a host. */
export const IdRange = z.object({ start: z.int().min(100_000).max(4_294_901_760), count: z.int().positive() });
export type IdRange = z.infer<typeof IdRange>;

/** What a host is to do about one placement. Repeatable: the highest generation wins. */
export const DesiredPlacement = z.object({
  placementId: z.uuid(),
  sandboxId: z.uuid(),
  name: SandboxName,
  generation: z.int().positive(),
  wanted: Wanted,
  stopSignal: SignalName.optional().describe('overrides the spec’s for this stop'),
  stopGraceMs: z.int().nonnegative().optional(),
  idRange: IdRange.nullable(),
  spec: SandboxSpec,
});
export type DesiredPlacement = z.infer<typeof DesiredPlacement>;
