/**
 * The tables, as drizzle sees them. `drizzle-kit generate` makes the SQL; what drizzle cannot say was added by hand in the migration:
 * - `namespaces` is partitioned by `ended_at`: what is current (`infinity`) lies in one small leaf, what is past in others, so that
 *   retention can drop whole leaves. The one current row of (host, boot, type, key) is held by a unique index on that leaf.
 * - `events` is partitioned by `at`, for the same reason; `events_default` takes what no day's leaf does. The leaves are made and dropped
 *   by retention.ts.
 * - `report_pages` is UNLOGGED: what a crash of the server takes from it, the agent sends again.
 * - `events.seq` comes from `next_event_seq()`, see events.ts.
 * - the view `holders`, and the views of the schema `nsfleet_views`, which are for anybody's SQL (docs/sql-views.md).
 *
 * 64-bit kernel ids are text (`key`); inodes and uids, which pass 2^31, are bigint. Times are the database's, never a host's,
 * except `started_at` and `ended_at` of placements, which the agent tells and nothing is decided by.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import type { Capacity, HostFacts, HostHello, Labels } from '#shared/host.ts';
import type { ReferenceKind, ReportRows, ScanCounts } from '#shared/inventory.ts';
import type { NamespaceDetails, NamespaceName } from '#shared/namespace-details.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Decision } from '#shared/resources.ts';
import type { Lack } from '#shared/lack.ts';
import type { SandboxObserved } from '#shared/observed.ts';
import type { ExitStatus, SandboxSpec, SandboxState, Wanted, WireError } from '#shared/sandbox.ts';
import type { SignalName } from '#shared/signal.ts';

const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
const number = (name: string) => bigint(name, { mode: 'number' });

/** Who a host is and what it can take: written by enrolment and hello only. A placement locks this row. */
export const hosts = pgTable(
  'hosts',
  {
    id: text().primaryKey(),
    name: text().notNull(),
    publicKey: text('public_key').notNull().unique(),
    labels: jsonb().$type<Labels>().notNull().default({}),
    capacity: jsonb().$type<Capacity>().notNull().default({ sandboxes: 0, idRanges: 0 }),
    idPool: jsonb('id_pool').$type<HostHello['idPool']>().notNull().default({ start: 0, count: 0, size: 65_536 }),
    facts: jsonb().$type<HostFacts>(),
    enrolledAt: time('enrolled_at').notNull().defaultNow(),
  },
  (t) => [index('hosts_by_name').on(t.name, t.id)],
);

/**
 * The agent that speaks for a host: its session (boot, epoch) by its last hello, and how far its reports are committed. Reports and
 * hellos of a host take turns on this row, so that a large report does not hold up a placement.
 */
export const agentSessions = pgTable('agent_sessions', {
  hostId: text('host_id')
    .primaryKey()
    .references(() => hosts.id),
  bootId: uuid('boot_id'),
  epoch: number('epoch'),
  reportBootId: uuid('report_boot_id'),
  reportEpoch: number('report_epoch'),
  reportSeq: number('report_seq'),
  reportedAt: time('reported_at'),
  /** until when the committed inventory is known to have held: the bound of what ended while the agent was away */
  confirmedAt: time('confirmed_at'),
  counts: jsonb().$type<ScanCounts>(),
});

/** Liveness: narrow, because every host writes its row every few seconds, and without an index that would stop HOT updates. */
export const beats = pgTable('beats', {
  hostId: text('host_id')
    .primaryKey()
    .references(() => hosts.id),
  at: time('at'),
  load1: doublePrecision('load1'),
});

/** A namespace over its life: from `first_seen` to `ended_at`. */
export const namespaces = pgTable(
  'namespaces',
  {
    id: bigserial({ mode: 'bigint' }).notNull(),
    hostId: text('host_id').notNull(),
    bootId: uuid('boot_id').notNull(),
    type: text().$type<NamespaceType>().notNull(),
    key: text().notNull(),
    inode: number('inode').notNull(),
    parent: text(),
    owner: text(),
    ownerUid: number('owner_uid'),
    processCount: integer('process_count').notNull(),
    leaderPid: integer('leader_pid'),
    leaderUid: number('leader_uid'),
    leaderComm: text('leader_comm'),
    leaderCommand: text('leader_command'),
    /** names that people know, best first */
    names: jsonb().$type<NamespaceName[]>().notNull().default([]),
    details: jsonb().$type<NamespaceDetails>(),
    /** of the newest namespace.changed event: before that it looked otherwise; null: never changed */
    changedAt: time('changed_at'),
    firstSeen: time('first_seen').notNull().defaultNow(),
    endedAt: time('ended_at').notNull().default('infinity'),
    /** true: nobody watched when it ended; `ended_at` is when it was last known to be there */
    endIsBound: boolean('end_is_bound').notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.id, t.endedAt] }),
    index('namespaces_by_host').on(t.hostId, t.id),
    index('namespaces_changed')
      .on(t.changedAt)
      .where(sql`changed_at is not null`),
  ],
);

/** A process that lives now, and the keys of the namespaces that it holds. A pid is one process at a time, so it is the key. */
export const processes = pgTable(
  'processes',
  {
    hostId: text('host_id').notNull(),
    pid: integer().notNull(),
    bootId: uuid('boot_id').notNull(),
    start: text().notNull(),
    ppid: integer().notNull(),
    uid: number('uid').notNull(),
    comm: text().notNull(),
    /** in the order of namespaceTypes; null where it could not be read */
    namespaces: text().array().notNull(),
    /** pid_for_children, time_for_children; null where not different */
    forChildren: text('for_children').array().notNull(),
  },
  (t) => [primaryKey({ columns: [t.hostId, t.pid] })],
);

/** A thread, descriptor, socket, tun device or mount that holds a namespace now. `id` is the agent's, see inventory.ts. */
export const referenceHolders = pgTable(
  'reference_holders',
  {
    hostId: text('host_id').notNull(),
    id: text().notNull(),
    bootId: uuid('boot_id').notNull(),
    kind: text().$type<ReferenceKind>().notNull(),
    /** the namespace that it holds */
    type: text().$type<NamespaceType>().notNull(),
    key: text().notNull(),
    pid: integer(),
    start: text(),
    tid: integer(),
    fd: integer(),
    uid: number('uid'),
    comm: text(),
    cgroup: text(),
    path: text(),
    mountNamespace: text('mount_namespace'),
    detail: text(),
    /** since when it is known to hold that namespace */
    since: time('since').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.hostId, t.id] }), index('reference_holders_by_key').on(t.hostId, t.type, t.key)],
);

/**
 * At a moment, the newest number of a namespace: whatever was first seen some minutes before has a smaller one. Where an old list ends by
 * number. One a minute; a missing one costs time, never a row.
 */
export const namespaceMarks = pgTable('namespace_marks', {
  at: time('at').primaryKey().defaultNow(),
  lastId: bigint('last_id', { mode: 'bigint' }).notNull(),
});

/** One row: events up to that number were dropped, so nobody can resume before it. */
export const eventsDropped = pgTable(
  'events_dropped',
  { one: boolean().primaryKey().default(true), seq: bigint({ mode: 'bigint' }).notNull() },
  () => [check('events_dropped_one', sql`one`)],
);

/** What a rule found wrong with a namespace, and until when. */
export const leaks = pgTable(
  'leaks',
  {
    id: bigserial({ mode: 'bigint' }).primaryKey(),
    rule: text().notNull(),
    hostId: text('host_id').notNull(),
    /** null: it is about the host */
    namespaceId: bigint('namespace_id', { mode: 'bigint' }),
    /** what of the namespace or host it is about, where a rule finds several: a process */
    subject: text().notNull().default(''),
    /** since when it is so, as far as known */
    since: time('since').notNull(),
    foundAt: time('found_at').notNull().defaultNow(),
    clearedAt: time('cleared_at'),
    detail: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (t) => [
    uniqueIndex('leaks_open')
      .on(t.hostId, t.rule, sql`coalesce(namespace_id, 0)`, t.subject)
      .where(sql`cleared_at is null`),
    index('leaks_cleared').on(t.clearedAt),
    index('leaks_of_namespace').on(t.namespaceId),
  ],
);

/** Pages of a report that is not complete yet. */
export const reportPages = pgTable(
  'report_pages',
  {
    hostId: text('host_id').notNull(),
    bootId: uuid('boot_id').notNull(),
    epoch: number('epoch').notNull(),
    seq: number('seq').notNull(),
    page: integer().notNull(),
    pages: integer().notNull(),
    stagedAt: time('staged_at').notNull().defaultNow(),
    rows: jsonb().$type<ReportRows>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.hostId, t.bootId, t.epoch, t.seq, t.page] })],
);

/** What a user asked for. Its state is that of its placement that is not superseded. */
export const sandboxes = pgTable(
  'sandboxes',
  {
    id: uuid().primaryKey(),
    seq: bigserial({ mode: 'bigint' }).notNull(),
    name: text().notNull(),
    labels: jsonb().$type<Labels>().notNull(),
    autoRemove: boolean('auto_remove').notNull(),
    spec: jsonb().$type<SandboxSpec>().notNull(),
    idempotencyKey: text('idempotency_key').unique(),
    requestHash: text('request_hash').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    removedAt: time('removed_at'),
  },
  (t) => [
    uniqueIndex('sandboxes_by_seq').on(t.seq),
    uniqueIndex('sandboxes_name')
      .on(t.name)
      .where(sql`removed_at is null`),
  ],
);

/** One sandbox on one host, once. `wanted` and `generation` are ours; the rest is what the host told. */
export const placements = pgTable(
  'placements',
  {
    id: uuid().primaryKey(),
    sandboxId: uuid('sandbox_id')
      .notNull()
      .references(() => sandboxes.id),
    hostId: text('host_id')
      .notNull()
      .references(() => hosts.id),
    superseded: boolean().notNull().default(false),
    wanted: text().$type<Wanted>().notNull().default('running'),
    generation: integer().notNull().default(1),
    stopSignal: text('stop_signal').$type<SignalName>(),
    stopGraceMs: integer('stop_grace_ms'),
    /** when wanted last changed */
    wantedAt: time('wanted_at').notNull().defaultNow(),
    idRangeStart: number('id_range_start'),
    idRangeCount: integer('id_range_count'),
    state: text().$type<SandboxState>().notNull().default('placed'),
    statusSeq: number('status_seq').notNull().default(0),
    answeredGeneration: integer('answered_generation').notNull().default(0),
    initPid: integer('init_pid'),
    commandPid: integer('command_pid'),
    exitCode: integer('exit_code'),
    exitSignal: integer('exit_signal'),
    oomKills: integer('oom_kills'),
    endedBy: text('ended_by').$type<ExitStatus['endedBy']>(),
    error: jsonb().$type<WireError>(),
    /** what the host could not give and the spec allows to go without */
    lacks: jsonb().$type<Lack[]>(),
    /** what it really got; large, and read by `sandbox show` only */
    observed: jsonb().$type<SandboxObserved>(),
    startedAt: time('started_at'),
    endedAt: time('ended_at'),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    uniqueIndex('placements_current')
      .on(t.sandboxId)
      .where(sql`not superseded`),
    index('placements_of_sandbox').on(t.sandboxId),
    index('placements_of_host')
      .on(t.hostId)
      .where(sql`state <> 'removed'`),
    index('placements_unanswered')
      .on(t.wantedAt)
      .where(sql`answered_generation < generation and state <> 'removed'`),
    // The guard of the id pool: the choice is made under the host's lock, and a mistake there cannot become a shared range.
    uniqueIndex('placements_id_range')
      .on(t.hostId, t.idRangeStart)
      .where(sql`state <> 'removed' and id_range_start is not null`),
    check('placements_state', sql`state in ('placed', 'running', 'paused', 'stopping', 'stopped', 'failed', 'lost', 'removed')`),
    check('placements_wanted', sql`wanted in ('running', 'paused', 'stopped', 'removed')`),
  ],
);

/** The namespaces that a placement was given, read back from the kernel: what joins a sandbox to the inventory. */
export const placementNamespaces = pgTable(
  'placement_namespaces',
  {
    placementId: uuid('placement_id')
      .notNull()
      .references(() => placements.id),
    type: text().$type<NamespaceType>().notNull(),
    hostId: text('host_id').notNull(),
    bootId: uuid('boot_id').notNull(),
    key: text().notNull(),
    inode: number('inode').notNull(),
  },
  (t) => [primaryKey({ columns: [t.placementId, t.type] }), index('placement_namespaces_by_key').on(t.hostId, t.bootId, t.type, t.key)],
);

/** Why a placement is where it is. */
export const decisions = pgTable(
  'decisions',
  {
    seq: bigserial({ mode: 'bigint' }).primaryKey(),
    sandboxId: uuid('sandbox_id')
      .notNull()
      .references(() => sandboxes.id),
    placementId: uuid('placement_id').references(() => placements.id),
    at: time('at').notNull().defaultNow(),
    decision: jsonb().$type<Decision>().notNull(),
  },
  (t) => [index('decisions_of_sandbox').on(t.sandboxId, t.seq)],
);

/** What happened, in the order in which it was committed. References nothing: history outlives what it tells of. */
export const events = pgTable(
  'events',
  {
    seq: bigint({ mode: 'bigint' })
      .notNull()
      .default(sql`next_event_seq()`),
    at: time('at')
      .notNull()
      .default(sql`clock_timestamp()`),
    type: text().notNull(),
    hostId: text('host_id'),
    sandboxId: uuid('sandbox_id'),
    namespaceId: bigint('namespace_id', { mode: 'bigint' }),
    detail: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.seq, t.at] }),
    index('events_of_host').on(t.hostId, t.seq),
    index('events_of_namespace')
      .on(t.namespaceId, t.seq)
      .where(sql`namespace_id is not null`),
    index('events_of_sandbox')
      .on(t.sandboxId, t.seq)
      .where(sql`sandbox_id is not null`),
  ],
);
