/** The agent's settings, from the environment, with XDG defaults so that `nsfleet-agent` also runs by hand. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { directories, readSettings } from '#shared/config.ts';
import type { Environment } from '#shared/config.ts';
import { NsfleetError, errorText, issuesText } from '#shared/errors.ts';
import { ChangeSource, HostId, Labels } from '#shared/host.ts';
import { HostAction } from '#shared/act.ts';
import type { ArchiveLimits } from './image/layer-records.ts';
import { PolicyFile, PoolOfIds, policyOf } from './policy/model.ts';
import type { Policy } from './policy/model.ts';
import { readPolicyFile } from './policy/read-file.ts';

/** What `nsfleet-agent enroll` leaves in the config directory beside the credentials. */
export const Enrolment = z.object({ hostId: HostId, name: z.string().min(1).max(253), natsUrl: z.string().min(1) });
export type Enrolment = z.infer<typeof Enrolment>;

const millis = (min: number, fallback: number) => z.coerce.number().int().min(min).max(3_600_000).default(fallback);

const count = (min: number) => z.coerce.number().int().min(min).max(Number.MAX_SAFE_INTEGER);

const labelsText = z
  .string()
  .transform((text) => Object.fromEntries(text.split(',').map((pair) => splitOnce(pair.trim(), '='))))
  .pipe(Labels);

const idPoolText = z
  .string()
  .regex(/^[0-9]+:[0-9]+$/, 'start:count, e.g. 1879048192:4095')
  .transform((text) => {
    const [start, count] = splitOnce(text, ':');
    return { start: Number(start), count: Number(count) };
  })
  .pipe(PoolOfIds);

const rootsText = z
  .string()
  .transform((text) => text.split(':'))
  .pipe(z.array(z.string().regex(/^\//, 'absolute paths, separated by colons')));

const actionsText = z
  .string()
  .transform((text) => text.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()])))
  .pipe(z.array(HostAction));

const Variables = z.object({
  NATS_URL: z.string().optional(),
  NSFLEET_HOST_ID: HostId.optional(),
  NSFLEET_AGENT_CREDENTIALS: z.string().optional(),
  NSFLEET_AGENT_STATE: z.string().optional(),
  NSFLEET_AGENT_LABELS: labelsText.optional(),
  NSFLEET_AGENT_POLICY: z.string().regex(/^\//, 'an absolute path').optional(),
  NSFLEET_AGENT_MAX_SANDBOXES: z.coerce.number().int().min(0).max(100_000).optional(),
  NSFLEET_ID_POOL: idPoolText.optional(),
  NSFLEET_AGENT_CGROUP: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'one name, e.g. nsfleet')
    .default('nsfleet'),
  NSFLEET_AGENT_READY: z.coerce.number().int().min(0).max(64).default(4),
  NSFLEET_AGENT_ROOTS: rootsText.optional(),
  NSFLEET_AGENT_IMAGE_BYTES: count(1024).default(34_359_738_368),
  NSFLEET_AGENT_IMAGE_ENTRIES: count(1).default(1_000_000),
  NSFLEET_AGENT_IMAGES_KEEP: count(1).default(21_474_836_480),
  NSFLEET_AGENT_ACTIONS: actionsText.optional(),
  NSFLEET_SCAN_INTERVAL_MS: millis(20, 1000),
  NSFLEET_FULL_SCAN_INTERVAL_MS: millis(1000, 60_000),
  NSFLEET_CHANGE_SOURCE: ChangeSource.default('tracefs'),
  NSFLEET_BEAT_INTERVAL_MS: millis(100, 5000),
  NSFLEET_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  NSFLEET_ALLOW_OLD_NATS: z.literal('1').optional(),
});

export type AgentSettings = {
  natsUrl: string;
  hostId: string;
  /** NATS credentials, mode 0600 */
  credentialsFile: string;
  /** the state directory: placements, lock, epoch */
  stateDirectory: string;
  labels: Labels;
  /** how many sandboxes' namespaces wait ready-made; plain users have none */
  readySandboxes: number;
  /** the directory at the top of cgroup v2 that holds this host's agents' */
  cgroupParent: string;
  policy: Policy;
  images: {
    limits: ArchiveLimits;
    /** bytes of layers above which unused ones are removed */
    keepBytes: number;
  };
  /** where changes are not heard */
  scanIntervalMs: number;
  /** where they are */
  fullScanIntervalMs: number;
  /** the best that may be used */
  changeSource: ChangeSource;
  beatIntervalMs: number;
  logLevel: string;
  allowOldNats: boolean;
};

export type AgentFiles = { credentials: string; enrolment: string };

/** Where enrolment puts things and `run` looks for them. */
export function agentFiles(env: Environment): AgentFiles {
  const { config } = directories(env);
  return {
    credentials: env['NSFLEET_AGENT_CREDENTIALS'] || join(config, 'agent.creds'),
    enrolment: join(config, 'agent.json'),
  };
}

/** Reads the environment, and the enrolment file for what it does not say. Throws CONFIG_INVALID. */
export function readAgentSettings(env: Environment): AgentSettings {
  const given = readSettings(Variables, env, 'nsfleet-agent');
  const files = agentFiles(env);
  const stateDirectory = stateDirectoryOf(env, given);
  const enrolled = given.NATS_URL !== undefined && given.NSFLEET_HOST_ID !== undefined ? null : readEnrolment(files.enrolment);
  return {
    natsUrl: given.NATS_URL ?? enrolled?.natsUrl ?? missing('NATS_URL', files.enrolment),
    hostId: given.NSFLEET_HOST_ID ?? enrolled?.hostId ?? missing('NSFLEET_HOST_ID', files.enrolment),
    credentialsFile: files.credentials,
    stateDirectory,
    labels: given.NSFLEET_AGENT_LABELS ?? {},
    readySandboxes: given.NSFLEET_AGENT_READY,
    cgroupParent: given.NSFLEET_AGENT_CGROUP,
    policy: readPolicy(env, given, files, stateDirectory),
    images: {
      limits: { bytes: given.NSFLEET_AGENT_IMAGE_BYTES, entries: given.NSFLEET_AGENT_IMAGE_ENTRIES },
      keepBytes: given.NSFLEET_AGENT_IMAGES_KEEP,
    },
    scanIntervalMs: given.NSFLEET_SCAN_INTERVAL_MS,
    fullScanIntervalMs: given.NSFLEET_FULL_SCAN_INTERVAL_MS,
    changeSource: given.NSFLEET_CHANGE_SOURCE,
    beatIntervalMs: given.NSFLEET_BEAT_INTERVAL_MS,
    logLevel: given.NSFLEET_LOG_LEVEL,
    allowOldNats: given.NSFLEET_ALLOW_OLD_NATS === '1',
  };
}

/** What the doctor and the image commands need of the settings; also where the host is not enrolled. CONFIG_INVALID. */
export function readAgentPlaces(env: Environment): Pick<AgentSettings, 'stateDirectory' | 'cgroupParent'> {
  const given = readSettings(Variables, env, 'nsfleet-agent');
  return { stateDirectory: stateDirectoryOf(env, given), cgroupParent: given.NSFLEET_AGENT_CGROUP };
}

/** The policy alone, for `policy check`: of `file`, or of the one that `run` would take. CONFIG_INVALID. */
export function readAgentPolicy(env: Environment, file?: string): Policy {
  const given = readSettings(Variables, env, 'nsfleet-agent');
  const named = file === undefined ? given : { ...given, NSFLEET_AGENT_POLICY: resolve(file) };
  return readPolicy(env, named, agentFiles(env), stateDirectoryOf(env, given));
}

function readPolicy(env: Environment, given: z.infer<typeof Variables>, files: AgentFiles, stateDirectory: string): Policy {
  const uid = process.geteuid?.() ?? 0;
  const path = given.NSFLEET_AGENT_POLICY ?? (uid === 0 ? '/etc/nsfleet/agent.yaml' : join(directories(env).config, 'agent.yaml'));
  const read = readPolicyFile(path, uid);
  if (read === null && given.NSFLEET_AGENT_POLICY !== undefined) {
    throw new NsfleetError('CONFIG_INVALID', { attempted: 'read the policy', target: path, reason: 'there is no such file' });
  }
  const fallback = {
    actions: given.NSFLEET_AGENT_ACTIONS,
    sandboxes: given.NSFLEET_AGENT_MAX_SANDBOXES,
    idPool: given.NSFLEET_ID_POOL,
    directories: given.NSFLEET_AGENT_ROOTS,
  };
  const kept = privateDirectories(env, files, stateDirectory);
  return policyOf(read ?? PolicyFile.parse({ version: 1 }), read === null ? null : path, fallback, kept);
}

/** Real paths, as the policy compares them; what is not there yet holds no secret. */
function privateDirectories(env: Environment, files: AgentFiles, stateDirectory: string): string[] {
  const { config, data, state, runtime } = directories(env);
  const all = [dirname(files.credentials), stateDirectory, config, data, state, runtime];
  return all.flatMap((path) => (existsSync(path) ? [realpathSync(path)] : []));
}

function readEnrolment(path: string): Enrolment | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new NsfleetError('CONFIG_INVALID', { attempted: 'read', target: path, reason: errorText(error), cause: error });
  }
  try {
    return Enrolment.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? issuesText(error.issues) : 'not JSON';
    throw new NsfleetError('CONFIG_INVALID', { attempted: 'read', target: path, reason, cause: error });
  }
}

function missing(variable: string, file: string): never {
  throw new NsfleetError('CONFIG_INVALID', {
    attempted: 'read the settings of',
    target: 'nsfleet-agent',
    reason: `${variable} is not set and ${file} does not exist`,
    remedy: 'enrol this host with `nsfleet-agent enroll --api URL --token-file F`',
  });
}

function stateDirectoryOf(env: Environment, given: z.infer<typeof Variables>): string {
  return given.NSFLEET_AGENT_STATE ?? join(directories(env).state, 'agent');
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
