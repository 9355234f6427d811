/** Which namespaces a sandbox gets: of each type a new one, the host's, or one that is there already. What goes together, and what does not. */
import { z } from 'zod';
import { namespaceTypes } from './namespace.ts';
import type { NamespaceType } from './namespace.ts';
import type { SandboxUser } from './process.ts';

/** One that is there already, by what a person may know of it. Which one that is, is found out and checked where it is joined. */
export const JoinSource = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('sandbox'), name: z.string().min(1).max(63).describe('of a sandbox that runs on the same host') }),
  z.strictObject({ from: z.literal('pid'), pid: z.int().positive().describe('of a process, as its host numbers it') }),
  z.strictObject({
    from: z.literal('path'),
    path: z
      .string()
      .max(4095)
      .regex(/^\/[^\0]*$/, 'an absolute path without NUL')
      .describe('a namespace file on the host, such as /run/netns/blue'),
  }),
  z.strictObject({
    from: z.literal('id'),
    id: z
      .string()
      .regex(/^[0-9]{1,20}$/)
      .describe('the kernel’s id of it, as `ns show` tells'),
  }),
]);
export type JoinSource = z.infer<typeof JoinSource>;

export const NamespaceChoice = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('new') }).describe('made for this sandbox alone'),
  z.strictObject({ from: z.literal('host') }).describe('the host’s own: its policy must allow it'),
  ...JoinSource.options,
]);
export type NamespaceChoice = z.infer<typeof NamespaceChoice>;

/** What is not named is new. */
export const SandboxNamespaces = z.strictObject(
  Object.fromEntries(namespaceTypes.map((type) => [type, NamespaceChoice.optional()])) as Record<
    NamespaceType,
    z.ZodOptional<typeof NamespaceChoice>
  >,
);
export type SandboxNamespaces = z.infer<typeof SandboxNamespaces>;

/** Seconds go far in 2^53 milliseconds; the kernel refuses what would make a clock negative or overflow. */
const offsetMs = z.int().min(-1_000_000_000_000).max(1_000_000_000_000).default(0);
export const TimeOffsets = z.strictObject({
  monotonicMs: offsetMs.describe('added to CLOCK_MONOTONIC'),
  boottimeMs: offsetMs.describe('added to CLOCK_BOOTTIME'),
});
export type TimeOffsets = z.infer<typeof TimeOffsets>;

/** The parts of a spec that the rules below are about. */
export type NamespaceWish = {
  namespaces: SandboxNamespaces;
  /** not given: the image's, or root */
  user?: SandboxUser | undefined;
  capabilities: { add: readonly string[] };
  volumes: readonly unknown[];
  root: { type: string };
  hostname?: string | undefined;
  domainname?: string | undefined;
  timeOffsets?: TimeOffsets | undefined;
  idMaps?: unknown;
  constraint?: string | undefined;
};

const fresh: NamespaceChoice = { from: 'new' };

export function choiceOf(namespaces: SandboxNamespaces, type: NamespaceType): NamespaceChoice {
  return namespaces[type] ?? fresh;
}

/** `sandbox web`, `process 12`, … for sentences. */
export function sourceText(choice: NamespaceChoice): string {
  switch (choice.from) {
    case 'new':
      return 'a new one';
    case 'host':
      return 'the host';
    case 'sandbox':
      return `sandbox ${choice.name}`;
    case 'pid':
      return `process ${choice.pid}`;
    case 'path':
      return choice.path;
    case 'id':
      return `namespace ${choice.id}`;
  }
}

/** Sources that every host has others of. */
const hostBound = new Set(['pid', 'path', 'id']);

/** What cannot go together, as sentences. Pure; what depends on the host and its agent is checked there. */
export function contradictions(wish: NamespaceWish): string[] {
  const { namespaces } = wish;
  const choice = (type: NamespaceType) => choiceOf(namespaces, type);
  const sentences: string[] = [];
  const user = choice('user');
  // Whose these really are, only their host can say (agent/sandbox/join-targets.ts).
  if (choice('pid').from !== 'new' && user.from === 'new') {
    sentences.push(
      `pid of ${sourceText(choice('pid'))} needs the user namespace that owns it: its /proc can be mounted only with capabilities there`,
    );
  }
  const mnt = choice('mnt');
  if (mnt.from !== 'new') {
    if (user.from === 'new' || choice('pid').from === 'new') {
      sentences.push(
        `mnt of ${sourceText(mnt)} needs user and pid of the same: its files belong to its ids and its /proc shows its processes`,
      );
    }
    if (wish.root.type !== 'host' || wish.volumes.length > 0)
      sentences.push(`mnt of ${sourceText(mnt)} brings its own root: leave root and volumes out`);
  }
  if (user.from === 'host') {
    const { uid, gid, groups } = wish.user ?? { uid: 0, groups: [] };
    // By a name only the root's own files know it; the shim refuses what turns out to be 0 (native/shim/exec.c).
    if ([uid, gid, ...groups].some((account) => account === 0 || account === 'root')) {
      sentences.push('without a user namespace of its own a sandbox’s ids are the host’s: give a user and groups other than 0');
    }
    if (wish.capabilities.add.length > 0)
      sentences.push('capabilities without a user namespace of its own would be over the host: leave them out');
  }
  if (wish.idMaps !== undefined && user.from !== 'new') sentences.push('id maps are written for a new user namespace only');
  if (choice('uts').from !== 'new' && (wish.hostname !== undefined || wish.domainname !== undefined)) {
    sentences.push(`the hostname and domain name of ${sourceText(choice('uts'))} are not changed by who joins: leave them out`);
  }
  if (choice('time').from !== 'new' && wish.timeOffsets !== undefined) {
    sentences.push(`the clocks of ${sourceText(choice('time'))} are set already: time offsets need a new time namespace`);
  }
  if (wish.timeOffsets !== undefined && choice('pid').from !== 'new' && user.from !== 'host') {
    sentences.push('time offsets need a new pid namespace: while its clocks are set nobody else may look into the sandbox');
  }
  const bound = namespaceTypes.filter((type) => hostBound.has(choice(type).from));
  if (bound.length > 0 && wish.constraint === undefined) {
    sentences.push(
      `${bound.join(', ')} of ${[...new Set(bound.map((type) => sourceText(choice(type))))].join(', ')}: say on which host, by a constraint`,
    );
  }
  return sentences;
}
