/**
 * The HTTP contract as a table: name → method, path, schemas. The server, the typed client, the CLI and OpenAPI are made
 * from it. Every list is paged by `cursor`; every error is `{error: WireError}`.
 */
import { z } from 'zod';
import { HostId } from './host.ts';
import { Mount, MountQuery } from './mount.ts';
import { NamespaceType } from './namespace.ts';
import { PidTranslation } from './pids.ts';
import { Decision, Event, FleetStatus, Host, Namespace, NamespaceDetail, Sandbox } from './resources.ts';
import { IdRange, SandboxRequest, SandboxState, WireError } from './sandbox.ts';
import { SignalName } from './signal.ts';

/** Largest request body: one sandbox's spec must fit into one NATS message with room for the rest. */
export const requestMaxBytes = 128 * 1024;
/** Longest that a request waits for a sandbox to reach a state. */
export const waitMaxMs = 300_000;

export const ErrorBody = z.object({ error: WireError });

const Text = z.string().min(1).max(255);
const HostParams = z.object({ host: Text.describe('host id or name') });
const SandboxParams = z.object({ sandbox: Text.describe('sandbox id, unique prefix of 4 or more of it, or name') });
const page = {
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
  cursor: z.string().max(200).optional().describe('nextCursor of the page before'),
};
const nextCursor = z.string().nullable().describe('null on the last page');
const wait = {
  wait: SandboxState.optional().describe('answer when it is in this state, or in one from which it cannot get there'),
  waitMs: z.coerce.number().int().min(0).max(waitMaxMs).default(30_000),
};
const flag = z.enum(['true', 'false']).default('false');

export type Route = {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  summary: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodObject;
  /** The reply of the good case, always 200. */
  reply: z.ZodType;
};

export const api = {
  status: { method: 'GET', path: '/v1/status', summary: 'What is wrong with the fleet, and how big it is', reply: FleetStatus },
  hostList: {
    method: 'GET',
    path: '/v1/hosts',
    summary: 'Hosts by name',
    query: z.object(page),
    reply: z.object({ hosts: z.array(Host), nextCursor }),
  },
  hostShow: { method: 'GET', path: '/v1/hosts/:host', summary: 'One host', params: HostParams, reply: Host },
  hostEnroll: {
    method: 'POST',
    path: '/v1/hosts',
    summary: 'Make a host known, and sign NATS credentials for the public key that its agent made',
    body: z.strictObject({
      id: HostId,
      name: z.string().min(1).max(253),
      publicKey: z
        .string()
        .regex(/^U[A-Z2-7]{55}$/)
        .describe('user nkey; the seed stays on the host'),
    }),
    reply: z.object({ host: Host, jwt: z.string(), natsUrl: z.string() }),
  },
  pidTranslate: {
    method: 'GET',
    path: '/v1/hosts/:host/pids/:pid',
    summary: 'A process under its pid in every pid namespace that it is in, asked of its host now',
    params: HostParams.extend({
      pid: z.coerce
        .number()
        .int()
        .min(1)
        .max(2 ** 31 - 1),
    }),
    query: z.object({
      namespace: Text.optional().describe('the pid namespace that knows it so: number, key or inode; default: the host’s own'),
    }),
    reply: PidTranslation.extend({
      hostId: HostId,
      hostName: z.string(),
      pids: z.array(PidTranslation.shape.pids.element.extend({ namespaceId: z.string().nullable() })),
    }),
  },
  mountFind: {
    method: 'GET',
    path: '/v1/mounts',
    summary: 'Mounts in every mount namespace of the fleet: who still holds this device or path? Asked of the hosts now',
    query: z.object({
      ...MountQuery.omit({ limit: true }).shape,
      host: Text.optional().describe('host id or name; default: all'),
      limit: z.coerce.number().int().min(1).max(1000).default(1000).describe('of each host'),
    }),
    reply: z.object({
      mounts: z.array(Mount.extend({ hostId: HostId, hostName: z.string(), namespaceId: z.string().nullable() })),
      truncated: z.array(z.string()).describe('hosts that have more'),
      unread: z.int().nonnegative().describe('mount namespaces whose table could not be read'),
      silent: z.array(z.string()).describe('hosts that did not answer'),
    }),
  },
  namespaceList: {
    method: 'GET',
    path: '/v1/namespaces',
    summary: 'Namespaces of the fleet, by number',
    query: z.object({
      ...page,
      host: Text.optional().describe('host id or name'),
      type: NamespaceType.optional(),
      sandbox: Text.optional(),
      ended: flag.describe('true: past ones too'),
      fresh: flag.describe('true: the hosts scan first; those that do not answer are named in `stale`'),
    }),
    reply: z.object({
      namespaces: z.array(Namespace),
      nextCursor,
      stale: z.array(z.string()).describe('hosts that were asked to scan and did not answer'),
    }),
  },
  namespaceShow: {
    method: 'GET',
    path: '/v1/namespaces/:namespace',
    summary: 'One namespace with all that holds it',
    params: z.object({ namespace: Text.describe('number, key or inode') }),
    query: z.object({ host: Text.optional(), type: NamespaceType.optional() }),
    reply: NamespaceDetail,
  },
  sandboxCreate: {
    method: 'POST',
    path: '/v1/sandboxes',
    summary: 'Create a sandbox; repeat with the same Idempotency-Key as often as needed, there will be one',
    query: z.object(wait),
    body: SandboxRequest,
    reply: Sandbox,
  },
  sandboxPlan: {
    method: 'POST',
    path: '/v1/sandboxes/plan',
    summary: 'What creating it would do: the scheduler’s decision and the host’s plan. Nothing is made',
    body: SandboxRequest,
    reply: z.object({
      decision: Decision,
      hostName: z.string(),
      idRange: IdRange.nullable(),
      plan: z.unknown(),
      lines: z.array(z.string()),
    }),
  },
  sandboxList: {
    method: 'GET',
    path: '/v1/sandboxes',
    summary: 'Sandboxes, newest first',
    query: z.object({
      ...page,
      host: Text.optional(),
      state: SandboxState.optional(),
      label: z.string().optional().describe('key or key=value'),
      all: flag.describe('true: ended and removed ones too'),
    }),
    reply: z.object({ sandboxes: z.array(Sandbox), nextCursor }),
  },
  sandboxShow: {
    method: 'GET',
    path: '/v1/sandboxes/:sandbox',
    summary: 'One sandbox',
    params: SandboxParams,
    query: z.object(wait),
    reply: Sandbox,
  },
  sandboxStop: {
    method: 'POST',
    path: '/v1/sandboxes/:sandbox/stop',
    summary: 'Stop signal, grace, then SIGKILL',
    params: SandboxParams,
    query: z.object(wait),
    body: z.strictObject({ signal: SignalName.optional(), graceMs: z.int().min(0).max(3_600_000).optional() }),
    reply: Sandbox,
  },
  sandboxRemove: {
    method: 'DELETE',
    path: '/v1/sandboxes/:sandbox',
    summary: 'Remove an ended sandbox; with force a running one too',
    params: SandboxParams,
    query: z.object({ ...wait, force: flag }),
    reply: Sandbox,
  },
  eventList: {
    method: 'GET',
    path: '/v1/events',
    summary: 'Events after a number, oldest first',
    query: z.object({
      since: z
        .string()
        .regex(/^[0-9]{1,19}$/)
        .default('0'),
      limit: page.limit,
    }),
    reply: z.object({ events: z.array(Event) }),
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof api;

/**
 * WebSocket routes. The client opens with `Authorization: Bearer`, sends one text message (JSON) and then binary frames of
 * frames.ts; the server answers with frames. Flow control on the WebSocket is TCP's own: credit frames do not appear here.
 */
export const sockets = {
  /** first message: ExecRequest of messages.ts */
  sandboxExec: { path: '/v1/sandboxes/:sandbox/exec', summary: 'Run a command in a running sandbox' },
  /** first message: {"follow": boolean} */
  sandboxLogs: { path: '/v1/sandboxes/:sandbox/logs', summary: 'What its command wrote; ends with its exit status when followed' },
} as const;

/** Replaces `:name` by its value, encoded: `routePath('/v1/hosts/:host', {host: 'a/b'})` is `/v1/hosts/a%2Fb`. */
export function routePath(path: string, params: Readonly<Record<string, string>> = {}): string {
  return path.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}
