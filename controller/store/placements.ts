/** Placements: what hosts tell of them, and what hosts are to be told. */
import { sql } from 'drizzle-orm';
import type { StatusMessage, StatusReply } from '#shared/messages.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { z } from 'zod';
import { finish, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { insertEvents } from './events.ts';
import type { NewEvent } from './events.ts';
import { isReady } from './host-row.ts';
import { notify } from './listen.ts';
import { advance } from './placement-status.ts';
import { desiredOf, sandboxOf, sandboxRows } from './sandbox-row.ts';
import type { SandboxRow } from './sandbox-row.ts';

type Statuses = StatusMessage['statuses'];

export type StatusOutcome = {
  /** For the reply: a placement of another host, or of none, is not `known`. */
  results: z.output<typeof StatusReply>['results'];
  /** Sandboxes whose row changed, as they are now. */
  changed: Sandbox[];
  /** What the host is to be told in turn: the removal of what was to be removed when it ended. */
  followUps: DesiredPlacement[];
};

/**
 * Writes what a host tells, in one transaction. A status that is not newer than the last one of its placement changes nothing, and one
 * that is no legal transition changes no state; both count as heard, so that the host does not repeat them for ever.
 */
export async function applyStatuses(store: Store, hostId: string, statuses: Statuses): Promise<StatusOutcome> {
  const inOrder = statuses.toSorted((a, b) => a.statusSeq - b.statusSeq);
  const { known, rows, followUps } = await transact(store, (tx) => applyIn(tx, store, hostId, inOrder), 'write the status of sandboxes');
  const changed = rows.filter((row) => !row.superseded).map(sandboxOf);
  for (const sandbox of changed) store.notifications.tell('sandbox', sandbox.id, sandbox);
  const results = statuses.map(({ placementId, statusSeq }) => ({ placementId, statusSeq, known: known.has(placementId) }));
  return { results, changed, followUps: followUps.map(desiredOf) };
}

type Applied = { known: ReadonlySet<string>; rows: SandboxRow[]; followUps: SandboxRow[] };

async function applyIn(tx: Tx, store: Store, hostId: string, statuses: Statuses): Promise<Applied> {
  const ids = statuses.map((status) => status.placementId);
  const before = await sandboxRows(
    tx,
    'find the placements',
    sql`p.id = any(${sql.param(ids)}::uuid[]) and p.host_id = ${hostId} order by p.id for no key update of p`,
  );
  const now = new Map(before.map((row) => [row.placementId, row]));
  const changed = new Set<string>();
  const events: NewEvent[] = [];
  for (const status of statuses) {
    const row = now.get(status.placementId);
    const next = row === undefined ? null : advance(row, status);
    if (row === undefined || next === null) continue;
    if (next.illegal) {
      store.log.warn({ hostId, placementId: row.placementId, from: row.state, to: status.state }, 'a host told of an illegal transition');
    }
    now.set(row.placementId, next.row);
    changed.add(row.placementId);
    events.push(...next.events);
  }
  const rows = [...now.values()].filter((row) => changed.has(row.placementId));
  if (rows.length > 0) await write(tx, hostId, rows, events);
  const wished = new Set(before.filter((row) => now.get(row.placementId)?.generation !== row.generation).map((row) => row.placementId));
  return { known: new Set(now.keys()), rows, followUps: rows.filter((row) => wished.has(row.placementId)) };
}

/** The one place that sets a placement's state; ends the transaction. */
async function write(tx: Tx, hostId: string, rows: readonly SandboxRow[], events: readonly NewEvent[]): Promise<void> {
  await finish(
    tx,
    'write the status of sandboxes',
    sql`
    with told as (
      select * from jsonb_to_recordset(${JSON.stringify(rows.map(columnsOf))}::jsonb) as told (
        id uuid, sandbox_id uuid, superseded boolean, state text, status_seq bigint, answered_generation int, wanted text, generation int,
        init_pid int, command_pid int, exit_code int, exit_signal int, error jsonb, started_at timestamptz, ended_at timestamptz,
        namespaces jsonb)
    ),
    moved as (
      update placements p set state = told.state, status_seq = told.status_seq, answered_generation = told.answered_generation,
        wanted = told.wanted, generation = told.generation,
        wanted_at = case when told.generation > p.generation then now() else p.wanted_at end,
        init_pid = told.init_pid, command_pid = told.command_pid, exit_code = told.exit_code, exit_signal = told.exit_signal,
        error = told.error, started_at = told.started_at, ended_at = told.ended_at
      from told where p.id = told.id
    ),
    given as (
      insert into placement_namespaces as g (placement_id, type, host_id, boot_id, key, inode)
      select told.id, n.type, ${hostId}, a.boot_id, n.key, n.inode
      from told, lateral jsonb_to_recordset(told.namespaces) as n (type text, key text, inode bigint), agent_sessions a
      where told.state in ('running', 'stopping') and a.host_id = ${hostId} and a.boot_id is not null
      on conflict (placement_id, type) do update set boot_id = excluded.boot_id, key = excluded.key, inode = excluded.inode
        where (g.boot_id, g.key, g.inode) is distinct from (excluded.boot_id, excluded.key, excluded.inode)
    ),
    freed as (
      update sandboxes s set removed_at = now()
      from told where s.id = told.sandbox_id and told.state = 'removed' and not told.superseded and s.removed_at is null
    ),
    event as (${insertEvents(events)})
    select ${notify('sandbox', sql`told.sandbox_id`)} from told`,
  );
}

function columnsOf(row: SandboxRow): Record<string, unknown> {
  return {
    id: row.placementId,
    sandbox_id: row.id,
    superseded: row.superseded,
    state: row.state,
    status_seq: row.statusSeq,
    answered_generation: row.answeredGeneration,
    wanted: row.wanted,
    generation: row.generation,
    init_pid: row.initPid,
    command_pid: row.commandPid,
    exit_code: row.exit?.code ?? null,
    exit_signal: row.exit?.signal ?? null,
    error: row.error,
    started_at: row.startedAt,
    ended_at: row.endedAt,
    namespaces: row.namespaces,
  };
}

/** All that a host is to have: everything that is not removed. */
export async function desiredForHost(tx: Tx, hostId: string): Promise<DesiredPlacement[]> {
  const rows = await sandboxRows(tx, 'list what a host is to do', sql`p.host_id = ${hostId} and p.state <> 'removed' order by s.seq`);
  return rows.map(desiredOf);
}

/** Most placements that `unconfirmed` gives at once: the rest is older next time. */
const unconfirmedMax = 1000;

/** What ready hosts were to be told at least `olderThanMs` ago and have not answered: to be sent again. Oldest first. */
export async function unconfirmed(tx: Tx, olderThanMs: number): Promise<{ hostId: string; desired: DesiredPlacement }[]> {
  const rows = await sandboxRows(
    tx,
    'list what hosts have not answered',
    sql`p.answered_generation < p.generation and p.state <> 'removed' and p.wanted_at <= now() - ${olderThanMs} * interval '1 millisecond'
      and exists (select from beats b where b.host_id = p.host_id and ${isReady})
      order by p.wanted_at limit ${unconfirmedMax}`,
  );
  return rows.map((row) => ({ hostId: row.hostId, desired: desiredOf(row) }));
}
