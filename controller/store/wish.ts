/** What is wanted of a placement is written here and in place.ts only; each change is a new generation. */
import { sql } from 'drizzle-orm';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { notify } from './listen.ts';
import type { SandboxRow } from './sandbox-row.ts';

/** Writes `wanted`, how to stop, and `generation` of a row that the caller holds locked, with the event `sandbox.<wanted>-wanted`. */
export async function wish(tx: Tx, { placementId, id, hostId, wanted, generation, stopSignal, stopGraceMs }: SandboxRow): Promise<void> {
  await rowsOf(
    tx,
    'write what is wanted',
    sql`with wished as (
        update placements set wanted = ${wanted}, generation = ${generation}, stop_signal = ${stopSignal}, stop_grace_ms = ${stopGraceMs},
          wanted_at = now()
        where id = ${placementId} returning id
      ), event as (
        insert into events (type, host_id, sandbox_id, detail)
        select ${`sandbox.${wanted}-wanted`}, ${hostId}, ${id}, jsonb_build_object('generation', ${generation}::int) from wished
      )
      select ${notify('sandbox', id)}`,
  );
}
