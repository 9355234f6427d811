/** Placements: what hosts tell of them, and what hosts are to be told. */
import { sql } from 'drizzle-orm';
import type { StatusMessage, StatusReply } from '#shared/messages.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { z } from 'zod';
import { finish, rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { isRetryable } from './database-error.ts';
import type { NewEvent } from './events.ts';
import { isReady } from './host-row.ts';
import { advance } from './placement-status.ts';
import { desiredOf, sandboxOf, sandboxRows } from './sandbox-row.ts';
import type { SandboxRow } from './sandbox-row.ts';
import { writeStatuses } from './status-write.ts';

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
  const { known, rows, followUps } =
    (await applyExpected(store, hostId, inOrder)) ??
    (await transact(store, (tx) => applyIn(tx, store, hostId, inOrder), 'write the status of sandboxes'));
  const changed = rows.filter((row) => !row.superseded).map(sandboxOf);
  for (const sandbox of changed) store.notifications.tell('sandbox', sandbox.id, sandbox);
  const results = statuses.map(({ placementId, statusSeq }) => ({ placementId, statusSeq, known: known.has(placementId) }));
  return { results, changed, followUps: followUps.map(desiredOf) };
}

type Applied = { known: ReadonlySet<string>; rows: SandboxRow[]; followUps: SandboxRow[]; events: NewEvent[] };

/**
 * The host's first word about what this process has just placed, in one trip: the row is not asked for, only whether it still is as it was
 * written. Null where it is not, or where it is not known here: then nothing was written.
 */
async function applyExpected(store: Store, hostId: string, statuses: Statuses): Promise<Applied | null> {
  const [status, ...others] = statuses;
  const row = status === undefined || others.length > 0 ? undefined : store.recent.take(status.placementId);
  if (row === undefined || row.hostId !== hostId) return null;
  const applied = decide(store, [row], statuses);
  if (applied.rows.length === 0) return null;
  const statement = writeStatuses(hostId, [row], applied.rows, applied.events);
  const moved = await rowsOf(store.db, 'write the status of a sandbox', statement).catch((error: unknown) => {
    if (!isRetryable(error)) throw error;
    return [];
  });
  return moved.length === 0 ? null : applied;
}

async function applyIn(tx: Tx, store: Store, hostId: string, statuses: Statuses): Promise<Applied> {
  const ids = statuses.map((status) => status.placementId);
  const before = await sandboxRows(
    tx,
    'find the placements',
    sql`p.id = any(${sql.param(ids)}::uuid[]) and p.host_id = ${hostId} order by p.id for no key update of p`,
  );
  const applied = decide(store, before, statuses);
  if (applied.rows.length > 0)
    await finish(tx, 'write the status of sandboxes', writeStatuses(hostId, before, applied.rows, applied.events));
  return applied;
}

/** What the statuses make of the rows `before`. */
function decide({ log }: Store, before: readonly SandboxRow[], statuses: Statuses): Applied {
  const now = new Map(before.map((row) => [row.placementId, row]));
  const changed = new Set<string>();
  const events: NewEvent[] = [];
  for (const status of statuses) {
    const row = now.get(status.placementId);
    const next = row === undefined ? null : advance(row, status);
    if (row === undefined || next === null) continue;
    if (next.illegal) {
      const { hostId, placementId, state } = row;
      log.warn({ hostId, placementId, from: state, to: status.state }, 'a host told of an illegal transition');
    }
    now.set(row.placementId, next.row);
    changed.add(row.placementId);
    events.push(...next.events);
  }
  const rows = [...now.values()].filter((row) => changed.has(row.placementId));
  const wished = new Set(before.filter((row) => now.get(row.placementId)?.generation !== row.generation).map((row) => row.placementId));
  return { known: new Set(now.keys()), rows, followUps: rows.filter((row) => wished.has(row.placementId)), events };
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
