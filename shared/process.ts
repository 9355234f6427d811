/** How a sandbox's process starts, as far as the spec says it: who it is, and what the kernel lets it use. */
import { z } from 'zod';
import { Capability } from './capability.ts';

/** 65,535 is -1 to 16-bit calls, and ranges have 65,536 ids. */
export const idInsideMax = 65_534;

const Id = z.int().min(0).max(idInsideMax);
/** As useradd(8) takes them, and never digits alone: those are ids, and no id is ever looked up as a name. */
export const AccountName = z
  .string()
  .regex(
    /^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}\$?$/,
    'a name of passwd(5) or group(5), at most 255 letters, digits and _ . @ - inside',
  );
/** A number is an id; a text is a name in the root's own /etc/passwd or /etc/group. */
export const Account = z.union([Id, AccountName], 'an id from 0 to 65,534, or a name');
export type Account = z.infer<typeof Account>;

export const groupsMax = 32;
export const SandboxUser = z.strictObject({
  uid: Account,
  gid: Account.optional().describe('default: the group that passwd says; the uid where it has no such user'),
  groups: z
    .array(Account)
    .max(groupsMax)
    .default([])
    .describe('further groups; a user by name also has those that the root’s group(5) lists it in'),
});
export type SandboxUser = z.infer<typeof SandboxUser>;
export type SandboxUserInput = z.input<typeof SandboxUser>;

/** getrlimit(2)'s, by the names that docker and systemd use; the values are the kernel's numbers (asm-generic). */
export const rlimitNumbers = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;
export type RlimitName = keyof typeof rlimitNumbers;
export const rlimitNames = Object.keys(rlimitNumbers) as RlimitName[];
export const RlimitName = z.enum(rlimitNames);

/** In the kernel's unit: seconds, bytes, a count, microseconds for rttime. */
export const RlimitValue = z.union([z.int().min(0), z.literal('unlimited')], 'a whole number, or unlimited');
export type RlimitValue = z.infer<typeof RlimitValue>;

export const Rlimit = z
  .strictObject({ soft: RlimitValue, hard: RlimitValue })
  .refine(({ soft, hard }) => !exceeds(soft, hard), 'soft is above hard');
export type Rlimit = z.infer<typeof Rlimit>;
export const Rlimits = z.partialRecord(RlimitName, Rlimit);
export type Rlimits = z.infer<typeof Rlimits>;

export function exceeds(value: RlimitValue, limit: RlimitValue): boolean {
  return limit !== 'unlimited' && (value === 'unlimited' || value > limit);
}

/** These of a sandbox's spec. `sandbox exec` has them from there too. */
export const processFields = {
  rlimits: Rlimits.default({}).describe('default: no core, 1,024 open files at first; the others as the agent has them'),
  umask: z
    .string()
    .regex(/^0?[0-7]{1,3}$/, 'octal: 022')
    .default('022'),
  nice: z.int().min(-20).max(19).optional().describe('default: 0, or the agent’s own where it may not lower that'),
  oomScoreAdj: z.int().min(-1000).max(1000).optional().describe('default: 0, or the agent’s own where it may not lower that'),
  capabilities: z
    .strictObject({ add: z.array(Capability).max(64).default([]) })
    .default({ add: [] })
    .describe('over the sandbox’s own namespaces only; in all five sets for who is not root, else in those that root needs. Default: none'),
};
