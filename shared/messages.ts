/**
 * The NATS contract as a table: name → subject, schemas, limit. Core NATS only carries; every exchange here can be lost, repeated or
 * delayed, and either side can ask for the whole.
 *
 * | message | from → to | kind |
 * | --- | --- | --- |
 * | hello | agent → one controller | request: who I am and what I can; the answer says whether this host is known |
 * | beat | agent → one controller | publish: liveness and the digest of its placements |
 * | report | agent → one controller | request: a page of a snapshot or delta; one in flight a host |
 * | status | agent → one controller | request: what became of placements; repeated until answered |
 * | do | controller → agent | publish: desired placements, the highest generation of each wins |
 * | ask | controller → agent | request by hand: a live question; the answer goes to `answer` |
 * | answer | agent → the asking controller | publish under the agent's own subjects, never to an inbox that the asker names |
 */
import { z } from 'zod';
import { KeepRequest, KeptName, KeptNamespace, KeptType, NamedNamespace, ReapOutcome } from './act.ts';
import { LimitWrite, Resources } from './cgroup.ts';
import { NsfleetError, issuesText } from './errors.ts';
import { HostHello, HostId } from './host.ts';
import { Report, ReportReply } from './inventory.ts';
import { Mount, MountQuery } from './mount.ts';
import { BootId, NamespaceKey } from './namespace.ts';
import { PidTranslation } from './pids.ts';
import { SandboxUser } from './process.ts';
import { Command, DesiredPlacement, Environment, IdRange, PlacementStatus, SandboxSpec, WireError } from './sandbox.ts';

export const protocolVersion = 1;
const root = 'nsf.v1';
/** The server's max_payload is 256 KiB; a message stays below it with room for the subject and headers. */
export const messageMaxBytes = 240 * 1024;
/** Controllers share each agent message among them. */
export const controllerQueue = 'controllers';

const v = z.literal(protocolVersion);
/** Controller ids and request ids are subject tokens too. */
export const Token = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

export const Hello = z.object({ v, host: HostHello });
export const HelloReply = z.object({ v, accepted: z.boolean(), error: WireError.nullable() });

export const Beat = z.object({
  v,
  hostId: HostId,
  bootId: BootId,
  epoch: z.int().positive(),
  seq: z.int().nonnegative().describe('of the last committed report'),
  digest: z.string().length(32).describe('placementDigest of all placements that the agent holds'),
  placements: z.int().nonnegative(),
  load1: z.number().nonnegative(),
});
export type Beat = z.infer<typeof Beat>;

export const StatusMessage = z.object({
  v,
  hostId: HostId,
  bootId: BootId,
  epoch: z.int().positive(),
  statuses: z.array(PlacementStatus).min(1).max(100),
});
export type StatusMessage = z.infer<typeof StatusMessage>;
/** `known` false: the controller has no such placement; the agent keeps it, shows it and says so in its log. */
export const StatusReply = z.object({
  v,
  results: z.array(z.object({ placementId: z.uuid(), statusSeq: z.int().positive(), known: z.boolean() })),
});
export type StatusReply = z.infer<typeof StatusReply>;

export const Do = z.object({
  v,
  controllerId: Token,
  tell: z.boolean().describe('true: send the status of every placement you hold, also of those not named here'),
  hello: z.boolean().default(false).describe('true: say hello again; the database does not know your session, it may have been restored'),
  placements: z.array(DesiredPlacement).max(200),
});
export type Do = z.infer<typeof Do>;

export const ExecRequest = z.strictObject({
  command: Command,
  env: Environment.default({}),
  cwd: z
    .string()
    .regex(/^\/[^\0]*$/)
    .max(4095)
    .optional()
    .describe('default: the sandbox’s own'),
  user: SandboxUser.optional().describe('default: the sandbox’s own'),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

/** Of every type at most one; what is not named is the host's. */
export const JoinRequest = z.strictObject({
  ...ExecRequest.omit({ user: true }).shape,
  targets: z
    .array(NamedNamespace)
    .max(8)
    .refine((targets) => new Set(targets.map(({ type }) => type)).size === targets.length, 'each type once'),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

export const Question = z.discriminatedUnion('type', [
  z.object({ type: z.literal('scan') }).describe('scan now and have the report committed before answering'),
  z
    .object({ type: z.literal('plan'), name: z.string(), idRange: IdRange.nullable(), spec: SandboxSpec })
    .describe('the plan, not executed'),
  z.object({ type: z.literal('doctor') }).describe('what the host can give, tried now: DoctorReport'),
  MountQuery.extend({ type: z.literal('mounts') }).describe('mounts of every mount namespace, read now'),
  z
    .object({ type: z.literal('pids'), pid: z.int().positive(), namespace: NamespaceKey.nullable() })
    .describe('one process and its pid in every pid namespace that it is in; `pid` as that namespace knows it, null: as the agent does'),
  KeepRequest.extend({ type: z.literal('keep'), requestKey: Token }).describe('make new namespaces and keep them under a name'),
  z
    .object({ type: z.literal('attach'), namespaceType: KeptType, key: NamespaceKey, name: KeptName })
    .describe('keep a namespace that is there under a name too'),
  z
    .object({ type: z.literal('unkeep'), namespaceType: KeptType, key: NamespaceKey, force: z.boolean() })
    .describe('take the names of a kept namespace away; refused while something lives in it, unless forced'),
  z
    .object({ type: z.literal('reap'), namespaces: z.array(NamedNamespace).min(1).max(1000), dryRun: z.boolean() })
    .describe('take away the mounts that hold namespaces in which nothing lives'),
  JoinRequest.extend({ type: z.literal('join'), streamId: Token }).describe('run a program of the host in chosen namespaces'),
  z.object({ type: z.literal('exec'), streamId: Token, placementId: z.uuid(), exec: ExecRequest }),
  z
    .object({ type: z.literal('limits'), placementId: z.uuid(), resources: Resources.nullable() })
    .describe('what would be written to give it these limits, or a refusal; null: whether it has a cgroup that can be frozen'),
  z.object({ type: z.literal('stats'), placementId: z.uuid() }),
  z.object({ type: z.literal('calls'), placementId: z.uuid() }).describe('what a sandbox with the seccomp profile `log` has called'),
  z.object({ type: z.literal('logs'), streamId: Token, placementId: z.uuid(), follow: z.boolean() }),
]);
export type Question = z.infer<typeof Question>;

export const Ask = z.object({ v, controllerId: Token, requestId: Token, question: Question });
export type Ask = z.infer<typeof Ask>;

export const MountsAnswer = z.object({ mounts: z.array(Mount), truncated: z.boolean(), unread: z.int().nonnegative() });
export const KeptAnswer = z.object({ namespaces: z.array(KeptNamespace) });
export const UnkeptAnswer = z.object({ paths: z.array(z.string()) });
export const ReapAnswer = z.object({ outcomes: z.array(ReapOutcome) });
export const PidsAnswer = PidTranslation;
export const LimitsAnswer = z.object({ writes: z.array(LimitWrite) });
export const PlanAnswer = z.object({ plan: z.unknown(), lines: z.array(z.string()) });

export const Answer = z.object({ v, requestId: Token, data: z.unknown().optional(), error: WireError.nullable() });
export type Answer = z.infer<typeof Answer>;

type Contract = { maxBytes: number; schema: z.ZodType; reply?: z.ZodType };

export const messages = {
  hello: { maxBytes: 64 * 1024, schema: Hello, reply: HelloReply },
  beat: { maxBytes: 4096, schema: Beat },
  report: { maxBytes: messageMaxBytes, schema: Report, reply: ReportReply },
  status: { maxBytes: messageMaxBytes, schema: StatusMessage, reply: StatusReply },
  do: { maxBytes: messageMaxBytes, schema: Do },
  ask: { maxBytes: messageMaxBytes, schema: Ask },
  answer: { maxBytes: messageMaxBytes, schema: Answer },
} as const satisfies Record<string, Contract>;

export type MessageName = keyof typeof messages;
export type MessageOf<N extends MessageName> = z.output<(typeof messages)[N]['schema']>;

/** Subjects. A host or controller id that is no subject token is refused before it reaches one. */
export const subjects = {
  /** agent → controllers: hello, beat, report, status */
  fromAgent: (name: 'hello' | 'beat' | 'report' | 'status', hostId: string) => `${root}.evt.${token(hostId)}.${name}`,
  /** what controllers subscribe to, for each of those */
  fromAnyAgent: (name: 'hello' | 'beat' | 'report' | 'status') => `${root}.evt.*.${name}`,
  toAgent: (name: 'do' | 'ask', hostId: string) => `${root}.cmd.${token(hostId)}.${name}`,
  answer: (hostId: string, controllerId: string, requestId: string) =>
    `${root}.evt.${token(hostId)}.res.${token(controllerId)}.${token(requestId)}`,
  answersTo: (controllerId: string) => `${root}.evt.*.res.${token(controllerId)}.*`,
  streamToAgent: (hostId: string, streamId: string) => `${root}.cmd.${token(hostId)}.stream.${token(streamId)}`,
  streamFromAgent: (hostId: string, streamId: string) => `${root}.evt.${token(hostId)}.stream.${token(streamId)}`,
  inboxPrefix: (hostId: string) => `${root}.inbox.${token(hostId)}`,
} as const;

/** The host id in `nsf.v1.evt.<host>.…`. */
export function hostOfSubject(subject: string): string {
  return subject.split('.')[3] ?? '';
}

function token(id: string): string {
  const parsed = Token.safeParse(id);
  if (parsed.success) return id;
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'make a subject from',
    target: JSON.stringify(id).slice(0, 80),
    reason: 'not 1 to 64 of A-Z a-z 0-9 _ -',
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** A message as bytes; MESSAGE_TOO_LARGE above its limit. Checked by its schema too: a bug here must not become one there. */
export function encodeMessage<N extends MessageName>(name: N, message: MessageOf<N>): Uint8Array {
  return encodeJson(name, messages[name].schema, messages[name].maxBytes, message);
}

/** Bytes as a message, or MESSAGE_TOO_LARGE, MESSAGE_VERSION_UNKNOWN, MESSAGE_MALFORMED. Unknown fields are dropped. */
export function decodeMessage<N extends MessageName>(name: N, bytes: Uint8Array): MessageOf<N> {
  return decodeJson(name, messages[name].schema, messages[name].maxBytes, bytes) as MessageOf<N>;
}

/** The same for the reply of `hello`, `report` and `status`. */
export function encodeReply<N extends 'hello' | 'report' | 'status'>(name: N, reply: z.output<(typeof messages)[N]['reply']>): Uint8Array {
  return encodeJson(`${name} reply`, messages[name].reply, messages[name].maxBytes, reply);
}

export function decodeReply<N extends 'hello' | 'report' | 'status'>(name: N, bytes: Uint8Array): z.output<(typeof messages)[N]['reply']> {
  return decodeJson(`${name} reply`, messages[name].reply, messages[name].maxBytes, bytes) as z.output<(typeof messages)[N]['reply']>;
}

function encodeJson(name: string, schema: z.ZodType, maxBytes: number, message: unknown): Uint8Array {
  const parsed = schema.safeParse(message);
  if (!parsed.success) throw malformed(`encode message`, name, issuesText(parsed.error.issues));
  const bytes = encoder.encode(JSON.stringify(parsed.data));
  if (bytes.length > maxBytes) throw tooLarge('encode message', name, bytes.length, maxBytes);
  return bytes;
}

function decodeJson(name: string, schema: z.ZodType, maxBytes: number, bytes: Uint8Array): unknown {
  const attempted = 'read message';
  if (bytes.length > maxBytes) throw tooLarge(attempted, name, bytes.length, maxBytes);
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new NsfleetError('MESSAGE_MALFORMED', { attempted, target: name, reason: 'not JSON in UTF-8', cause });
  }
  const version: unknown = typeof value === 'object' && value !== null ? (value as { v?: unknown }).v : undefined;
  if (version !== protocolVersion) {
    throw new NsfleetError('MESSAGE_VERSION_UNKNOWN', {
      attempted,
      target: name,
      reason: `version ${JSON.stringify(version)?.slice(0, 40)}, this program speaks ${protocolVersion}`,
    });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw malformed(attempted, name, issuesText(parsed.error.issues));
  return parsed.data;
}

function malformed(attempted: string, target: string, reason: string): NsfleetError {
  return new NsfleetError('MESSAGE_MALFORMED', { attempted, target, reason: reason.slice(0, 1000) });
}

function tooLarge(attempted: string, target: string, bytes: number, maxBytes: number): NsfleetError {
  return new NsfleetError('MESSAGE_TOO_LARGE', { attempted, target, reason: `${bytes} bytes, the limit is ${maxBytes}` });
}
