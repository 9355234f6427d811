/** The session of a host's agent, and how far its reports are committed: one row, on which hellos and reports of a host take turns. */
import { sql } from 'drizzle-orm';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { isReady } from './host-row.ts';

export type Session = {
  /** By the last hello; null before the first. */
  bootId: string | null;
  epoch: number | null;
  ready: boolean;
  /** Of the last committed report; null before the first of a boot. */
  reportBootId: string | null;
  reportEpoch: number | null;
  reportSeq: number | null;
  /** Until when the committed inventory is known to have held: heartbeats of the agent that reported it confirm it. */
  confirmedAt: string | null;
};

/** The row of a host, locked until the transaction ends; undefined for a host that was never enrolled. */
export async function lockSession(tx: Tx, hostId: string): Promise<Session | undefined> {
  const rows = await rowsOf<Session>(
    tx,
    'lock the session of a host',
    sql`select a.boot_id as "bootId", a.epoch::float8 as epoch, ${isReady} as ready, a.report_boot_id as "reportBootId",
        a.report_epoch::float8 as "reportEpoch", a.report_seq::float8 as "reportSeq",
        (case when a.report_boot_id = a.boot_id and a.report_epoch = a.epoch then greatest(a.confirmed_at, b.at)
          else a.confirmed_at end)::text as "confirmedAt"
      from agent_sessions a join beats b on b.host_id = a.host_id
      where a.host_id = ${hostId} for no key update of a`,
  );
  return rows[0];
}
