/** A sandbox as the API shows it, and as its host is told of it: both from one row. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { SandboxObserved } from '#shared/observed.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { SignalName } from '#shared/signal.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { iso } from './time.ts';

/** `s` the sandbox, `p` its placement, `h` the host. */
export const sandboxTables: SQL = sql`sandboxes s join placements p on p.sandbox_id = s.id join hosts h on h.id = p.host_id`;

export const sandboxColumns: SQL = sql`s.id, s.seq::text as seq, s.name, s.labels, s.spec, s.auto_remove as "autoRemove",
  p.state, p.wanted, p.generation, p.host_id as "hostId", h.name as "hostName", p.id as "placementId", p.superseded,
  case when p.id_range_start is not null then json_build_object('start', p.id_range_start, 'count', p.id_range_count) end as "idRange",
  p.init_pid as "initPid", p.command_pid as "commandPid", p.error, coalesce(p.lacks, '[]') as lacks, p.stop_signal as "stopSignal", p.stop_grace_ms as "stopGraceMs",
  p.status_seq::float8 as "statusSeq", p.answered_generation as "answeredGeneration",
  case when num_nonnulls(p.exit_code, p.exit_signal) > 0 then jsonb_build_object('code', p.exit_code, 'signal', p.exit_signal)
    || case when p.oom_kills > 0 then jsonb_build_object('oomKills', p.oom_kills) else '{}' end
    || case when p.ended_by is not null then jsonb_build_object('endedBy', p.ended_by) else '{}' end end as exit,
  (select coalesce(json_agg(json_build_object('type', g.type, 'key', g.key, 'inode', g.inode)
      order by array_position(array['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'], g.type)), '[]')
    from placement_namespaces g where g.placement_id = p.id) as namespaces,
  (select d.decision from decisions d where d.sandbox_id = s.id order by d.seq desc limit 1) as decision,
  ${iso(sql`s.created_at`)} as "createdAt", ${iso(sql`p.started_at`)} as "startedAt", ${iso(sql`p.ended_at`)} as "endedAt"`;

/** A placed sandbox: the placement's columns are never null here. */
export type SandboxRow = Omit<Sandbox, 'observedGeneration'> & {
  hostId: string;
  placementId: string;
  seq: string;
  superseded: boolean;
  stopSignal: SignalName | null;
  stopGraceMs: number | null;
  statusSeq: number;
  answeredGeneration: number;
  /** What was just told, to be written: no query reads it with the row. */
  observed?: SandboxObserved | null;
};

/** The rows that `condition` (over s, p, h) selects; `order` and what follows it is the caller's. */
export async function sandboxRows(tx: Tx, attempted: string, condition: SQL): Promise<SandboxRow[]> {
  return rowsOf<SandboxRow>(tx, attempted, sql`select ${sandboxColumns} from ${sandboxTables} where ${condition}`);
}

export function sandboxOf(row: SandboxRow): Sandbox {
  const { seq: _1, superseded: _2, stopSignal: _3, stopGraceMs: _4, statusSeq: _5, answeredGeneration, observed: _6, ...sandbox } = row;
  return { ...sandbox, observedGeneration: answeredGeneration };
}

export function desiredOf(row: SandboxRow): DesiredPlacement {
  const { placementId, id: sandboxId, name, generation, wanted, stopSignal, stopGraceMs, idRange, spec } = row;
  return {
    placementId,
    sandboxId,
    name,
    generation,
    wanted,
    ...(stopSignal === null ? {} : { stopSignal }),
    ...(stopGraceMs === null ? {} : { stopGraceMs }),
    idRange,
    spec,
  };
}

/** What the host has not answered yet, to be sent (again); null where it has, or where nothing is left to be told. */
export function unansweredOf(row: SandboxRow): DesiredPlacement | null {
  return row.state !== 'removed' && row.answeredGeneration < row.generation ? desiredOf(row) : null;
}

/** What the sandbox's placement really got; null: not told, or there is none. */
export async function observedOf(tx: Tx, placementId: string | null): Promise<SandboxObserved | null> {
  if (placementId === null) return null;
  const rows = await rowsOf<{ observed: SandboxObserved | null }>(
    tx,
    'read what the sandbox got',
    sql`select observed from placements where id = ${placementId}::uuid`,
  );
  return rows[0]?.observed ?? null;
}
