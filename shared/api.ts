/**
 * The HTTP contract as a table: name → method, path, schemas. The server, the typed client, the CLI and OpenAPI are made
 * from it. Every list is paged by `cursor`; every error is `{error: WireError}`.
 */
import { DoctorReport } from './doctor.ts';
import { z } from 'zod';
import { KeepRequest, KeptName, KeptNamespace, ReapOutcome } from './act.ts';
import { Seq, Since, Text, TypeList, eventChoice, filter } from './event-query.ts';
import { HostId } from './host.ts';
import { ReportedProcess } from './inventory.ts';
import { Mount, MountQuery } from './mount.ts';
import { BootId, NamespaceType } from './namespace.ts';
import { PidTranslation } from './pids.ts';
import { Moment } from './moment.ts';
import { Changes, Event, FleetStatus, Host, HostDiffGroup, Leak, LeakRule, Namespace, NamespaceDetail, Why } from './resources.ts';
import { WireError } from './sandbox.ts';
import { flag, nextCursor, page } from './route.ts';
import type { Route } from './route.ts';
import { sandboxApi } from './sandbox-api.ts';

/** Largest request body: one sandbox's spec must fit into one NATS message with room for the rest. */
export const requestMaxBytes = 128 * 1024;
const Kept = z.object({
  hostId: HostId,
  hostName: z.string(),
  namespaces: z.array(KeptNamespace.extend({ namespaceId: z.string().nullable().describe('null: no report has brought it yet') })),
});

export const ErrorBody = z.object({ error: WireError });

const HostParams = z.object({ host: Text.describe('host id or name') });
const NamespaceParams = z.object({ namespace: Text.describe('number, key or inode') });
const which = { host: Text.optional().describe('host id or name'), type: NamespaceType.optional() };
export const api = {
  status: { method: 'GET', path: '/v1/status', summary: 'What is wrong with the fleet, and how big it is', reply: FleetStatus },
  hostList: {
    method: 'GET',
    path: '/v1/hosts',
    summary: 'Hosts by name',
    query: z.object({ ...page, filter }),
    reply: z.object({ hosts: z.array(Host), nextCursor }),
  },
  hostShow: { method: 'GET', path: '/v1/hosts/:host', summary: 'One host', params: HostParams, reply: Host },
  hostTimeline: {
    method: 'GET',
    path: '/v1/hosts/:host/timeline',
    summary: 'What happened on a host, oldest first',
    params: HostParams,
    query: z.object({ ...page, from: Moment.optional(), to: Moment.optional(), types: TypeList.optional(), filter }),
    reply: z.object({ host: z.object({ id: HostId, name: z.string() }), events: z.array(Event), nextCursor }),
  },
  hostDoctor: {
    method: 'GET',
    path: '/v1/hosts/:host/doctor',
    summary: 'What a host can give, tried now: what is missing, and what mends it',
    params: HostParams,
    reply: DoctorReport.extend({ hostId: HostId, hostName: z.string() }),
  },
  processList: {
    method: 'GET',
    path: '/v1/hosts/:host/processes',
    summary: 'Processes of a host by pid, with the namespaces that they hold, as last reported',
    params: HostParams,
    query: z.object({
      ...page,
      pid: z.coerce
        .number()
        .int()
        .min(1)
        .max(2 ** 31 - 1)
        .optional()
        .describe('this one only'),
    }),
    reply: z.object({
      host: z.object({ id: HostId, name: z.string(), bootId: BootId.nullable() }),
      processes: z.array(ReportedProcess),
      nextCursor,
    }),
  },
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
      ...which,
      sandbox: Text.optional(),
      ended: flag.describe('true: past ones too'),
      live: flag.describe('true: the hosts scan first; those that do not answer are named in `stale`'),
      at: Moment.optional().describe('those that were there then, as they were then'),
      filter,
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
    params: NamespaceParams,
    query: z.object(which),
    reply: NamespaceDetail,
  },
  namespaceWhy: {
    method: 'GET',
    path: '/v1/namespaces/:namespace/why',
    summary: 'Why a namespace is alive, in sentences',
    params: NamespaceParams,
    query: z.object(which),
    reply: Why,
  },
  namespaceHistory: {
    method: 'GET',
    path: '/v1/namespaces/:namespace/history',
    summary: 'What happened to a namespace, oldest first, and which others had its inode',
    params: NamespaceParams,
    query: z.object({ ...page, ...which, inode: flag.describe('true: also the namespaces of its host and type that had the same inode') }),
    reply: z.object({
      intervals: z.array(Namespace).describe('the namespace; with `inode` all of that inode, oldest first, at most 1,000'),
      events: z.array(Event).describe('of all of them'),
      nextCursor,
    }),
  },
  namespaceDiff: {
    method: 'GET',
    path: '/v1/diff/namespaces',
    summary: 'What is different between two moments',
    query: z.object({
      ...which,
      from: Moment,
      to: Moment.default('now'),
      limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe('most of each that are listed; all are counted'),
    }),
    reply: z.object({
      from: z.iso.datetime(),
      to: z.iso.datetime(),
      counts: z.object({
        before: z.int().describe('there at `from`'),
        after: z.int().describe('there at `to`'),
        added: z.int(),
        removed: z.int(),
        between: z.int().describe('came after `from` and went before `to`'),
        changed: z.int().describe('there at both, and changed'),
      }),
      added: z.array(Namespace),
      removed: z.array(Namespace),
      changed: z.array(z.object({ namespace: Namespace, changes: Changes })),
    }),
  },
  hostDiff: {
    method: 'GET',
    path: '/v1/diff/hosts',
    summary: 'What namespaces one host has and another has not, by what people call them',
    query: z.object({
      left: Text.describe('host id or name'),
      right: Text.describe('host id or name'),
      type: NamespaceType.optional(),
      at: Moment.optional(),
    }),
    reply: z.object({
      left: z.object({ id: HostId, name: z.string(), namespaces: z.int() }),
      right: z.object({ id: HostId, name: z.string(), namespaces: z.int() }),
      same: z.int().describe('namespaces of the left that have their match on the right'),
      groups: z.array(HostDiffGroup).describe('those of which there are not as many on both'),
    }),
  },
  namespaceCreate: {
    method: 'POST',
    path: '/v1/hosts/:host/namespaces',
    summary:
      'Make namespaces and keep them under a name, without a process; `ip netns` knows network ones too. Repeatable with the same Idempotency-Key',
    params: HostParams,
    body: KeepRequest,
    reply: Kept,
  },
  namespaceAttach: {
    method: 'POST',
    path: '/v1/namespaces/:namespace/names',
    summary: 'Keep a namespace that is there under a name too',
    params: NamespaceParams,
    query: z.object(which),
    body: z.strictObject({ name: KeptName }),
    reply: Kept,
  },
  namespaceRemove: {
    method: 'DELETE',
    path: '/v1/namespaces/:namespace',
    summary: 'Take the names of a kept namespace away; it ends when nothing else holds it',
    params: NamespaceParams,
    query: z.object({ ...which, force: flag.describe('true: also while processes live in it') }),
    reply: z.object({ hostId: HostId, hostName: z.string(), paths: z.array(z.string()) }),
  },
  namespaceReap: {
    method: 'POST',
    path: '/v1/reap',
    summary: 'Take away the mounts that hold namespaces in which nothing lives; what is in use is refused',
    body: z.strictObject({ namespaces: z.array(Text).min(1).max(1000).describe('numbers'), dryRun: z.boolean().default(false) }),
    reply: z.object({
      outcomes: z.array(ReapOutcome.extend({ namespaceId: z.string(), hostId: HostId, hostName: z.string() })),
    }),
  },
  leakList: {
    method: 'GET',
    path: '/v1/leaks',
    summary: 'Namespaces that leak or drift, and who pins them; newest first',
    query: z.object({
      ...page,
      host: Text.optional().describe('host id or name'),
      rule: LeakRule.optional(),
      all: flag.describe('true: those that were cleared too'),
      filter,
    }),
    reply: z.object({ leaks: z.array(Leak), nextCursor }),
  },
  ...sandboxApi,
  eventList: {
    method: 'GET',
    path: '/v1/events',
    summary: 'Events after a number, or since a moment, oldest first',
    query: z.object({
      since: Since.default('0'),
      limit: page.limit,
      types: TypeList.optional(),
      ...eventChoice,
    }),
    reply: z.object({
      events: z.array(Event),
      last: Seq.describe('read on from here: up to this number all were looked at'),
    }),
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof api;

/** Replaces `:name` by its value, encoded: `routePath('/v1/hosts/:host', {host: 'a/b'})` is `/v1/hosts/a%2Fb`. */
export function routePath(path: string, params: Readonly<Record<string, string>> = {}): string {
  return path.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}
