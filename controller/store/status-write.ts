/** What hosts told, as one statement. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { insertEvents } from './events.ts';
import type { NewEvent } from './events.ts';
import { notify } from './listen.ts';
import type { SandboxRow } from './sandbox-row.ts';

/**
 * The one place that sets a placement's state: `rows` is what became of `before`. Every change of a placement changes its generation, its
 * statusSeq or what was answered: where these are as in `before`, it still is the row that was decided on; where not, nothing of it is written.
 * Gives a row for each that was.
 */
export function writeStatuses(
  hostId: string,
  before: readonly SandboxRow[],
  rows: readonly SandboxRow[],
  events: readonly NewEvent[],
): SQL {
  const beforeOf = new Map(before.map((row) => [row.placementId, row]));
  const told = rows.map((row) => ({ ...columnsOf(row), ...expectedOf(beforeOf.get(row.placementId) ?? row) }));
  return sql`
    with told as (
      select * from jsonb_to_recordset(${JSON.stringify(told)}::jsonb) as told (
        id uuid, sandbox_id uuid, superseded boolean, state text, status_seq bigint, answered_generation int, wanted text, generation int,
        init_pid int, command_pid int, exit_code int, exit_signal int, oom_kills int, ended_by text, error jsonb, lacks jsonb, observed jsonb, started_at timestamptz, ended_at timestamptz,
        namespaces jsonb, was_generation int, was_status_seq bigint,
        was_answered_generation int)
    ),
    moved as (
      update placements p set state = told.state, status_seq = told.status_seq, answered_generation = told.answered_generation,
        wanted = told.wanted, generation = told.generation,
        wanted_at = case when told.generation > p.generation then now() else p.wanted_at end,
        init_pid = told.init_pid, command_pid = told.command_pid, exit_code = told.exit_code, exit_signal = told.exit_signal, oom_kills = told.oom_kills, ended_by = told.ended_by,
        error = told.error, lacks = coalesce(told.lacks, p.lacks), observed = coalesce(told.observed, p.observed), started_at = told.started_at, ended_at = told.ended_at
      from told where p.id = told.id and p.generation = told.was_generation and p.status_seq = told.was_status_seq
        and p.answered_generation = told.was_answered_generation and p.superseded = told.superseded
      returning told.*
    ),
    given as (
      insert into placement_namespaces as g (placement_id, type, host_id, boot_id, key, inode)
      select moved.id, n.type, ${hostId}, a.boot_id, n.key, n.inode
      from moved, lateral jsonb_to_recordset(moved.namespaces) as n (type text, key text, inode bigint), agent_sessions a
      where moved.state in ('running', 'paused', 'stopping') and a.host_id = ${hostId} and a.boot_id is not null
      on conflict (placement_id, type) do update set boot_id = excluded.boot_id, key = excluded.key, inode = excluded.inode
        where (g.boot_id, g.key, g.inode) is distinct from (excluded.boot_id, excluded.key, excluded.inode)
    ),
    freed as (
      update sandboxes s set removed_at = now()
      from moved where s.id = moved.sandbox_id and moved.state = 'removed' and not moved.superseded and s.removed_at is null
    ),
    event as (${insertEvents(events)} where exists (select from moved))
    select ${notify('sandbox', sql`moved.sandbox_id`)} from moved`;
}

function expectedOf({ generation, statusSeq, answeredGeneration }: SandboxRow): Record<string, unknown> {
  return { was_generation: generation, was_status_seq: statusSeq, was_answered_generation: answeredGeneration };
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
    oom_kills: row.exit?.oomKills ?? null,
    ended_by: row.exit?.endedBy ?? null,
    error: row.error,
    lacks: row.lacks.length === 0 ? null : row.lacks,
    observed: row.observed ?? null,
    started_at: row.startedAt,
    ended_at: row.endedAt,
    namespaces: row.namespaces,
  };
}
