/**
 * What a filter sees of each noun: docs/filters.md is the same for people. What is not there is `""`, -1 or an empty list, so that a filter
 * need not ask first; only `details`, `facts` and `detail`, which differ from row to row, are dynamic: use has().
 */
import { ReferenceKind } from '#shared/inventory.ts';
import type { Event, Host, Leak, Sandbox } from '#shared/resources.ts';
import type { ListedNamespace } from '../store/namespace-list.ts';
import { celDuration, celValue, durationType, expressionsOver, timestampType } from './cel.ts';

/** Labels of hosts and what else no row of a namespace holds. */
export type HostLabels = (hostId: string) => Readonly<Record<string, string>>;

const int = (value: number | null | undefined) => BigInt(Math.trunc(value ?? -1));
const ageOf = (since: string, nowMs: number) => celDuration(Math.max(0, nowMs - Date.parse(since)));

const host = { id: 'string', name: 'string', labels: 'map<string, string>' } as const;

export const compileNamespaceFilter = expressionsOver(
  {
    id: 'string',
    host,
    type: 'string',
    key: 'string',
    inode: 'int',
    processes: 'int',
    references: 'int',
    holders: { process: 'int', thread: 'int', fd: 'int', thread_fd: 'int', socket: 'int', tun: 'int', mount: 'int' },
    age: durationType,
    firstSeen: timestampType,
    lastSeen: timestampType,
    current: 'bool',
    partial: 'bool',
    owner: 'string',
    ownerUid: 'int',
    parent: 'string',
    names: 'list<string>',
    leader: { pid: 'int', uid: 'int', comm: 'string', command: 'string' },
    sandbox: 'string',
    details: 'dyn',
  },
  'FILTER_INVALID',
);

export function namespaceValues(row: ListedNamespace, labels: HostLabels): Record<string, unknown> {
  const { leader, kinds } = row;
  const counts = ReferenceKind.options.map((kind) => [kind, int(kinds[kind] ?? 0)]);
  return {
    id: row.id,
    host: { id: row.hostId, name: row.hostName, labels: celValue(labels(row.hostId)) },
    type: row.type,
    key: row.key,
    inode: int(row.inode),
    processes: int(row.processCount),
    references: int(row.referenceCount),
    holders: { ...Object.fromEntries(counts), process: int(row.processCount) },
    age: celDuration(row.ageMs),
    firstSeen: new Date(row.firstSeen),
    lastSeen: new Date(row.lastSeen),
    current: row.current,
    partial: row.partial,
    owner: row.owner ?? '',
    ownerUid: int(row.ownerUid),
    parent: row.parent ?? '',
    names: row.names.map(({ name }) => name),
    leader: { pid: int(leader?.pid), uid: int(leader?.uid), comm: leader?.comm ?? '', command: leader?.command ?? '' },
    sandbox: row.sandbox?.name ?? '',
    details: celValue(row.details ?? {}),
  };
}

export const compileHostFilter = expressionsOver(
  {
    ...host,
    status: 'string',
    namespaces: 'int',
    partial: 'bool',
    used: { sandboxes: 'int', idRanges: 'int' },
    capacity: { sandboxes: 'int', idRanges: 'int' },
    enrolledAt: timestampType,
    facts: 'dyn',
  },
  'FILTER_INVALID',
);

export function hostValues(row: Host): Record<string, unknown> {
  const { id, name, status, used, capacity } = row;
  return {
    id,
    name,
    labels: celValue(row.labels),
    status,
    namespaces: int(row.namespaces),
    partial: row.scan?.partial ?? false,
    used: { sandboxes: int(used.sandboxes), idRanges: int(used.idRanges) },
    capacity: { sandboxes: int(capacity.sandboxes), idRanges: int(capacity.idRanges) },
    enrolledAt: new Date(row.enrolledAt),
    facts: celValue(row.facts ?? {}),
  };
}

export const compileSandboxFilter = expressionsOver(
  {
    id: 'string',
    name: 'string',
    state: 'string',
    wanted: 'string',
    host: { id: 'string', name: 'string' },
    labels: 'map<string, string>',
    command: 'list<string>',
    createdAt: timestampType,
    age: durationType,
    autoRemove: 'bool',
  },
  'FILTER_INVALID',
);

export function sandboxValues(row: Sandbox, nowMs: number): Record<string, unknown> {
  const { id, name, state, wanted, autoRemove } = row;
  return {
    id,
    name,
    state,
    wanted,
    host: { id: row.hostId ?? '', name: row.hostName ?? '' },
    labels: celValue(row.labels),
    command: row.spec.command,
    createdAt: new Date(row.createdAt),
    age: ageOf(row.createdAt, nowMs),
    autoRemove,
  };
}

export const compileEventFilter = expressionsOver(
  { seq: 'int', at: timestampType, type: 'string', hostId: 'string', sandboxId: 'string', namespaceId: 'string', detail: 'dyn' },
  'FILTER_INVALID',
);

export function eventValues({ seq, at, type, hostId, sandboxId, namespaceId, detail }: Event): Record<string, unknown> {
  const refers = { hostId: hostId ?? '', sandboxId: sandboxId ?? '', namespaceId: namespaceId ?? '' };
  return { seq: BigInt(seq), at: new Date(at), type, ...refers, detail: celValue(detail) };
}

export const compileLeakFilter = expressionsOver(
  {
    rule: 'string',
    host: { id: 'string', name: 'string' },
    type: 'string',
    namespaceId: 'string',
    subject: 'string',
    open: 'bool',
    age: durationType,
    since: timestampType,
    detail: 'dyn',
  },
  'FILTER_INVALID',
);

export function leakValues(row: Leak, nowMs: number): Record<string, unknown> {
  const { rule, namespace, subject } = row;
  return {
    rule,
    host: { id: row.hostId, name: row.hostName },
    type: namespace?.type ?? '',
    namespaceId: namespace?.id ?? '',
    subject,
    open: row.clearedAt === null,
    age: ageOf(row.since, row.clearedAt === null ? nowMs : Date.parse(row.clearedAt)),
    since: new Date(row.since),
    detail: celValue(row.detail),
  };
}
