/**
 * The catalogue of errors. A code is stable: scripts match on it, never on text. An error says what was attempted, on
 * what, why it failed and what to do; the catalogue holds the part that is the same every time.
 *
 * `http` is the status that the API answers with; `exit` the CLI's exit code (see README, "Exit codes").
 */
import type { Lack } from './lack.ts';
import type { WireError } from './sandbox.ts';

/** CLI exit codes. `sandbox run` and `sandbox exec` give the command's own code, and 125 to 127 as docker does. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
  denied: 6,
  notPlaced: 7,
  /** nsfleet failed before the command ran */
  notStarted: 125,
  /** the command exists and cannot be executed */
  notExecutable: 126,
  /** the command does not exist in the sandbox's root */
  notInRoot: 127,
} as const;

type Entry = { http: number; exit: number; remedy: string };

const entries = {
  // asked wrongly
  USAGE: { http: 400, exit: exitCodes.usage, remedy: 'see the command’s --help' },
  INVALID_INPUT: { http: 400, exit: exitCodes.usage, remedy: 'correct the fields that the reason names' },
  CONSTRAINT_INVALID: {
    http: 400,
    exit: exitCodes.usage,
    remedy: 'write a CEL expression over host.labels, host.facts, host.name or host.id that yields true or false',
  },
  FILTER_INVALID: {
    http: 400,
    exit: exitCodes.usage,
    remedy: 'write a CEL expression that yields true or false, such as type == "net" && processes == 0 && age > duration("10m")',
  },
  FILTER_TOO_SLOW: {
    http: 422,
    exit: exitCodes.failed,
    remedy: 'go on after the event that the reason names, with a filter that does less: --type, --host, --sandbox and --ns cost nothing',
  },
  EVENTS_EXPIRED: {
    http: 410,
    exit: exitCodes.failed,
    remedy: 'events of that time were dropped by retention: begin again with --since 0, which is the oldest that is kept',
  },
  NOT_FOUND: { http: 404, exit: exitCodes.notFound, remedy: 'check the address; /openapi.json lists every route' },
  HOST_NOT_FOUND: { http: 404, exit: exitCodes.notFound, remedy: '`nsfleet host ls` lists the hosts' },
  HOST_AMBIGUOUS: { http: 409, exit: exitCodes.conflict, remedy: 'name the host by its id; `nsfleet host ls` shows ids' },
  NAMESPACE_NOT_FOUND: { http: 404, exit: exitCodes.notFound, remedy: '`nsfleet ns ls` lists the namespaces' },
  PROCESS_NOT_FOUND: {
    http: 404,
    exit: exitCodes.notFound,
    remedy: 'it may have ended; `ps` on that host, or `nsfleet ns show`, tells which there are',
  },
  NAMESPACE_IN_USE: {
    http: 409,
    exit: exitCodes.conflict,
    remedy: '`nsfleet ns why` tells what holds it; --force takes the name away all the same',
  },
  NAMESPACE_NAME_TAKEN: { http: 409, exit: exitCodes.conflict, remedy: 'choose another name, or remove the other with `nsfleet ns rm`' },
  NAMESPACE_NOT_KEPT: { http: 409, exit: exitCodes.conflict, remedy: '`nsfleet ns why` tells what keeps it; only names can be removed' },
  NAMESPACE_ACTION_FAILED: { http: 422, exit: exitCodes.failed, remedy: 'the reason names the step that failed and the kernel’s answer' },
  MOUNT_UNRESPONSIVE: {
    http: 504,
    exit: exitCodes.failed,
    remedy: 'a file system on the way to that path does not answer: end its server (FUSE) or unmount it there, then repeat',
  },
  ACTION_NOT_ALLOWED: {
    http: 403,
    exit: exitCodes.denied,
    remedy: 'the host’s own policy forbids it: its administrator may name the action in /etc/nsfleet/agent.yaml and restart the agent',
  },
  NAMESPACE_AMBIGUOUS: { http: 409, exit: exitCodes.conflict, remedy: 'add --host, or use the id that the reason lists' },
  SANDBOX_NOT_FOUND: { http: 404, exit: exitCodes.notFound, remedy: '`nsfleet sandbox ls --all` lists the sandboxes' },
  SANDBOX_NAME_TAKEN: {
    http: 409,
    exit: exitCodes.conflict,
    remedy: 'choose another name, or remove the other sandbox with `nsfleet sandbox rm`',
  },
  SANDBOX_NOT_RUNNING: { http: 409, exit: exitCodes.conflict, remedy: '`nsfleet sandbox show` tells its state and how it ended' },
  SANDBOX_NOT_LOGGED: { http: 409, exit: exitCodes.conflict, remedy: 'run it with `--seccomp log`, where the host’s policy allows that' },
  SANDBOX_STILL_RUNNING: { http: 409, exit: exitCodes.conflict, remedy: 'stop it first, or remove it with --force' },
  IDEMPOTENCY_KEY_REUSED: { http: 409, exit: exitCodes.conflict, remedy: 'send a new Idempotency-Key with a different request' },
  ILLEGAL_TRANSITION: { http: 409, exit: exitCodes.conflict, remedy: 'look at the sandbox’s state with `nsfleet sandbox show`' },
  // who is asking
  TOKEN_MISSING: {
    http: 401,
    exit: exitCodes.denied,
    remedy: 'send `Authorization: Bearer <token>`; the CLI reads the token from the file that `npm start` prints',
  },
  TOKEN_WRONG: { http: 401, exit: exitCodes.denied, remedy: 'use the token of this controller; `npm start` prints where its file lies' },
  RATE_LIMITED: { http: 429, exit: exitCodes.unreachable, remedy: 'wait for the seconds in Retry-After, then repeat' },
  // where to put it
  NOT_PLACED: {
    http: 409,
    exit: exitCodes.notPlaced,
    remedy: 'the reason says how many hosts each filter refused: change the constraint, free capacity or add a host',
  },
  HOST_UNREACHABLE: { http: 503, exit: exitCodes.unreachable, remedy: 'see whether its agent runs: `nsfleet host show`' },
  // the host's side
  SANDBOX_CREATE_FAILED: { http: 422, exit: exitCodes.notStarted, remedy: 'the reason names the step that failed and the kernel’s answer' },
  LIMITS_UNAVAILABLE: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'leave the limits out, or choose a host that has them: a constraint such as host.facts.cgroup.contains("memory")',
  },
  SANDBOX_LIMIT_REFUSED: { http: 422, exit: exitCodes.failed, remedy: 'the reason names the file of the cgroup and the kernel’s answer' },
  COMMAND_NOT_FOUND: {
    http: 422,
    exit: exitCodes.notInRoot,
    remedy: 'check the command and PATH; the host root offers what the host has under /usr',
  },
  COMMAND_NOT_EXECUTABLE: { http: 422, exit: exitCodes.notExecutable, remedy: 'check its mode bits and its interpreter inside the root' },
  ROOT_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'give a directory (no symlink) whose /proc and /dev are ordinary directories',
  },
  LANDLOCK_UNAVAILABLE: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'run a host whose kernel has Landlock on (`lsm=…,landlock`): paths need Linux 6.2, TCP ports 6.7',
  },
  LANDLOCK_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'name paths that are there inside, as `realpath` gives them there: no part of one may be a symbolic link',
  },
  POLICY_REFUSED: {
    http: 403,
    exit: exitCodes.notStarted,
    remedy: 'the host’s own policy forbids it: its administrator may allow it in /etc/nsfleet/agent.yaml and restart the agent',
  },
  IMAGE_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'the reason names the step and the entry: give another archive or image, or, where it is a limit, raise it on the host',
  },
  VOLUME_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'the reason names the volume: give a directory or regular file of the host, and a target that can be made inside the root',
  },
  SPEC_UNAVAILABLE: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'ask for less, mend what the reason names on the host, or allow the sandbox to run without it: --allow-degraded',
  },
  COMMAND_TOO_LONG: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy:
      'shorten the command or its environment: one word takes at most 128 KiB, all of them 1 MiB, and less under a small stack rlimit',
  },
  USER_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'name a user and groups of the root’s own /etc/passwd and /etc/group, or give their ids in numbers',
  },
  JOIN_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'the reason names what must be joined together: see `nsfleet sandbox run --help`, namespaces',
  },
  CWD_REFUSED: { http: 422, exit: exitCodes.notStarted, remedy: 'give a directory that exists inside the sandbox’s root' },
  ID_RANGE_REFUSED: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy: 'give every agent of a host a pool of its own with NSFLEET_ID_POOL=start:count, and restart it so that it reports that',
  },
  NAMESPACES_UNAVAILABLE: {
    http: 422,
    exit: exitCodes.notStarted,
    remedy:
      'allow user namespaces: sysctl user.max_user_namespaces (> 0), kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, or run as root',
  },
  KERNEL_TOO_OLD: { http: 422, exit: exitCodes.notStarted, remedy: 'run Linux 5.12 or newer' },
  STATE_FILE_DAMAGED: {
    http: 500,
    exit: exitCodes.failed,
    remedy: 'the file was set aside with the suffix .damaged; what the kernel shows was used instead',
  },
  STATE_DIRECTORY_UNUSABLE: {
    http: 500,
    exit: exitCodes.failed,
    remedy: 'free space on that file system, or name another with XDG_STATE_HOME',
  },
  EXEC_FAILED: { http: 422, exit: exitCodes.notStarted, remedy: 'the reason names the step that failed and the kernel’s answer' },
  STREAM_BROKEN: { http: 502, exit: exitCodes.unreachable, remedy: 'repeat; what the command did until then was done' },
  PROC_UNAVAILABLE: { http: 500, exit: exitCodes.failed, remedy: 'mount procfs: `mount -t proc proc /proc`' },
  NATIVE_UNAVAILABLE: { http: 500, exit: exitCodes.failed, remedy: 'build the native part again: `node native/build.mjs`' },
  // setting up
  CONFIG_INVALID: { http: 500, exit: exitCodes.usage, remedy: 'correct the setting that the reason names' },
  ALREADY_RUNNING: {
    http: 409,
    exit: exitCodes.conflict,
    remedy: 'use the stack that runs (`npx nsfleet status`), or give this one other XDG directories',
  },
  NOT_RUNNING: {
    http: 503,
    exit: exitCodes.unreachable,
    remedy: 'start one with `npm start`, or name a controller with --api and --token-file',
  },
  PORT_IN_USE: { http: 500, exit: exitCodes.failed, remedy: 'choose a free port, or 0 to let the system choose' },
  DATABASE_UNREACHABLE: {
    http: 503,
    exit: exitCodes.unreachable,
    remedy: 'check DATABASE_URL (host, port, name, password) and that the server runs',
  },
  DATABASE_NEWER: { http: 500, exit: exitCodes.failed, remedy: 'run the nsfleet version that migrated this database, or a newer one' },
  DATABASE_FOREIGN: {
    http: 500,
    exit: exitCodes.failed,
    remedy: 'the applied migrations are not the ones of this code: point DATABASE_URL at a database of nsfleet’s own',
  },
  NATS_UNREACHABLE: { http: 503, exit: exitCodes.unreachable, remedy: 'check NATS_URL and that the server runs' },
  NATS_DENIED: {
    http: 503,
    exit: exitCodes.denied,
    remedy: 'the server does not trust these credentials: load the configuration that `nsfleet nats config` prints',
  },
  NATS_TOO_OLD: {
    http: 503,
    exit: exitCodes.failed,
    remedy: 'run nats-server 2.11.16, 2.12.7, 2.14 or newer (older ones have known holes)',
  },
  NATS_SERVER_MISSING: {
    http: 500,
    exit: exitCodes.failed,
    remedy: 'install nats-server 2.14 or newer and name it with NATS_SERVER, or give NATS_URL',
  },
  POSTGRES_START_FAILED: { http: 500, exit: exitCodes.failed, remedy: 'read the log that the reason names, or give DATABASE_URL' },
  CHILD_DIED: { http: 500, exit: exitCodes.failed, remedy: 'read the log that the reason names' },
  SETUP_FAILED: { http: 500, exit: exitCodes.failed, remedy: 'do what the reason says, then repeat' },
  // messages
  MESSAGE_TOO_LARGE: { http: 413, exit: exitCodes.failed, remedy: 'send less in one message; the limit stands in the reason' },
  MESSAGE_VERSION_UNKNOWN: { http: 400, exit: exitCodes.failed, remedy: 'upgrade the older of the two programs' },
  MESSAGE_MALFORMED: { http: 400, exit: exitCodes.failed, remedy: 'report it: two nsfleet programs should not disagree on this' },
  REPORT_TOO_LARGE: {
    http: 413,
    exit: exitCodes.failed,
    remedy: 'see what makes so many on that host: `nsfleet ns leaks`, `lsns`; the bounds stand in shared/inventory.ts',
  },
  REPORT_STALE: { http: 409, exit: exitCodes.conflict, remedy: 'a newer agent reports for this host: stop the other one' },
  // the rest
  DEADLINE_EXCEEDED: {
    http: 504,
    exit: exitCodes.unreachable,
    remedy: 'it may still finish: look with `nsfleet sandbox show`, or repeat with the same Idempotency-Key',
  },
  UNAVAILABLE: { http: 503, exit: exitCodes.unreachable, remedy: 'repeat in a few seconds' },
  INTERNAL: { http: 500, exit: exitCodes.failed, remedy: 'read the controller’s log for the request id, and report it' },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof entries;

/** The catalogue, for the documentation, the API and tests. */
export const errorCatalogue: Readonly<Record<ErrorCode, Entry>> = entries;

export type ErrorFields = {
  /** What was tried, as an infinitive without "to": `create sandbox`. */
  attempted: string;
  /** On what: a name, path or address. Never a secret. */
  target: string;
  /** Why it failed: the other side's words, with errno names and numbers. */
  reason: string;
  /** Overrides the catalogue's advice where this place knows better. */
  remedy?: string;
  /** What a host cannot give of what was asked for. */
  missing?: readonly Lack[] | undefined;
  cause?: unknown;
};

/** The one error class that crosses module borders. */
export class NsfleetError extends Error {
  override readonly name = 'NsfleetError';
  readonly code: ErrorCode;
  readonly attempted: string;
  readonly target: string;
  readonly reason: string;
  readonly remedy: string;
  readonly missing: readonly Lack[] | undefined;

  constructor(code: ErrorCode, fields: ErrorFields) {
    // The reason stays as it is: a caret below a text stands where it points to.
    super(`${`cannot ${fields.attempted} ${fields.target}`.replace(/ {2,}/g, ' ')}: ${fields.reason}`, { cause: fields.cause });
    this.code = code;
    this.attempted = fields.attempted;
    this.target = fields.target;
    this.reason = fields.reason;
    this.remedy = fields.remedy ?? entries[code].remedy;
    this.missing = fields.missing;
  }

  get httpStatus(): number {
    return entries[this.code].http;
  }

  get exitCode(): number {
    return entries[this.code].exit;
  }

  /** As it crosses a boundary. The cause stays behind: it may hold paths and addresses that are nobody else's business. */
  toWire(): WireError {
    const { code, message, attempted, target, reason, remedy, missing } = this;
    return { code, message, attempted, target, reason, remedy, ...(missing === undefined ? {} : { missing: [...missing] }) };
  }
}

/** An error that came from the other side of a boundary, as an error again. An unknown code becomes INTERNAL. */
export function fromWire(wire: WireError): NsfleetError {
  const { attempted, target, reason, remedy, missing } = wire;
  return new NsfleetError(isErrorCode(wire.code) ? wire.code : 'INTERNAL', { attempted, target, reason, remedy, missing });
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(entries, code);
}

/** Any thrown thing as an NsfleetError; what is none already becomes INTERNAL with its message as the reason. */
export function asNsfleetError(error: unknown, attempted: string, target: string): NsfleetError {
  if (error instanceof NsfleetError) return error;
  return new NsfleetError('INTERNAL', { attempted, target, reason: errorText(error), cause: error });
}

/** The message of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Zod's issues as one sentence: `spec.cwd: an absolute path without NUL; name: …`. */
export function issuesText(issues: readonly { path: readonly PropertyKey[]; message: string }[]): string {
  return issues.map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`)).join('; ');
}
