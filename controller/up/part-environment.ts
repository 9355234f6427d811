/** The environment of each part: what it needs by name, and nothing else of the caller's. A secret goes by file, never in here. */
import { createHash } from 'node:crypto';
import { idRangeSize } from '#shared/host.ts';
import type { Environment } from '#shared/config.ts';
import { stackMarker } from './leftovers.ts';
import type { UpSettings } from './settings.ts';

const inherited = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'NODE_COMPILE_CACHE', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS'];
/** Settings of controller and agent that `npm start` passes on as they are. */
const passedOn =
  /^(XDG_[A-Z_]+|NSFLEET_(LOG_LEVEL|ID_POOL|ALLOW_OLD_NATS|FAULT_POINT|[A-Z_]+_MS|AGENT_LABELS|AGENT_MAX_SANDBOXES|RETENTION_DAYS|LEAK_RULES|AGENT_READY|AGENT_CGROUP|AGENT_ACTIONS|AGENT_ROOTS|AGENT_POLICY))$/;

export function baseEnvironment(env: Environment, settings: UpSettings): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => inherited.includes(name) || passedOn.test(name));
  return { ...Object.fromEntries(kept), [stackMarker]: settings.dirs.runtime };
}

export function controllerEnvironment(base: NodeJS.ProcessEnv, settings: UpSettings, natsUrl: string): NodeJS.ProcessEnv {
  return {
    ...base,
    NATS_URL: natsUrl,
    NSFLEET_DATABASE_URL_FILE: settings.files.databaseUrl,
    NSFLEET_NATS_KEYS: settings.files.natsKeys,
    NSFLEET_API_LISTEN: settings.apiListen,
    NSFLEET_API_ADDRESS_FILE: settings.files.apiAddress,
    NSFLEET_API_TOKEN_FILE: settings.files.token,
  };
}

export function agentEnvironment(base: NodeJS.ProcessEnv, settings: UpSettings, natsUrl: string, hostId: string): NodeJS.ProcessEnv {
  return {
    ...base,
    NATS_URL: natsUrl,
    NSFLEET_HOST_ID: hostId,
    NSFLEET_AGENT_CREDENTIALS: settings.files.agentCredentials,
    NSFLEET_AGENT_STATE: settings.files.agentState,
    NSFLEET_ID_POOL: base['NSFLEET_ID_POOL'] ?? ownIdPool(hostId),
    // Its own host, its own user: who started the stack may do all of it without it.
    NSFLEET_AGENT_ACTIONS: base['NSFLEET_AGENT_ACTIONS'] ?? 'exec,keep,reap',
  };
}

/** Of the agent's default pool, 1879048192:4095. */
const poolStart = 1_879_048_192;
const poolCount = 4095;
/** As many starts to choose from; every stack keeps at least the other 1,023 ranges. */
const poolStarts = 3072;

/**
 * Stacks that run side by side on a host take their id ranges from different places, which their host ids choose, so that they do not meet
 * soon. Where they do, the shim refuses the range that another sandbox of the host has.
 */
function ownIdPool(hostId: string): string {
  const first = createHash('sha256').update(hostId).digest().readUInt32BE() % poolStarts;
  return `${poolStart + first * idRangeSize}:${poolCount - first}`;
}
