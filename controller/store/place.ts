/** The commit of a scheduler's decision. It was made on a view that may be old: everything that it rests on is checked again here. */
import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { Decision, Sandbox } from '#shared/resources.ts';
import type { DesiredPlacement, IdRange, SandboxRequest } from '#shared/sandbox.ts';
import { faultPoint } from '../fault-points.ts';
import { finish, rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { isReady, usedSandboxes } from './host-row.ts';
import { notify } from './listen.ts';
import { sandboxOf, sandboxRows, unansweredOf } from './sandbox-row.ts';
import type { SandboxRow } from './sandbox-row.ts';
import { iso } from './time.ts';

export type PlaceWish = {
  request: SandboxRequest;
  /** The request's name, or the one that was made up. */
  name: string;
  idempotencyKey: string | null;
  /** Of the request: the same key with another hash is another request. */
  requestHash: string;
  decision: Decision;
  hostId: string;
};

export type PlaceOutcome =
  | { outcome: 'placed'; sandbox: Sandbox; desired: DesiredPlacement; row: SandboxRow }
  /** This key has made a sandbox already; `desired` where its host has not answered. */
  | { outcome: 'repeated'; sandbox: Sandbox; desired: DesiredPlacement | null }
  /** The host is not ready or has no room any more: schedule again. */
  | { outcome: 'full' };

/**
 * The work of placeSandbox in sandboxes.ts, inside its transaction; null where nothing was written, for a reason that whyNot finds. The lock
 * and all that is written under it go out together: nothing is decided here between the two.
 */
export async function placeIn(tx: Tx, wish: PlaceWish): Promise<PlaceOutcome | null> {
  // The statement after the lock sees what was committed before it was given: only then does what it counts hold.
  const locked = rowsOf(tx, 'lock host', sql`select from hosts where id = ${wish.hostId} for no key update`);
  const inserted = insert(tx, wish);
  faultPoint('create.committing');
  const [hosts, placed] = await Promise.all([locked, inserted]);
  if (hosts.length > 0) return placed;
  throw new NsfleetError('HOST_NOT_FOUND', { attempted: 'place a sandbox on host', target: wish.hostId, reason: 'it is not enrolled' });
}

/** Why placeIn has written nothing. Throws SANDBOX_NAME_TAKEN, IDEMPOTENCY_KEY_REUSED. */
export async function whyNot(tx: Tx, wish: PlaceWish): Promise<PlaceOutcome> {
  return (await repeated(tx, wish)) ?? (await refuseTakenName(tx, wish)) ?? { outcome: 'full' };
}

/**
 * True in a transaction that has locked a row. The statement is sent before it is known that there is one: should `begin` fail alone, as by
 * an administrator's cancel, it must not count what nobody keeps from changing.
 */
const holdsLock: SQL = sql`pg_current_xact_id_if_assigned() is not null`;

type Inserted = { seq: string; hostName: string; start: string | null; size: number; createdAt: string };

async function insert(tx: Tx, wish: PlaceWish): Promise<PlaceOutcome | null> {
  const sandboxId = randomUUID();
  const placementId = randomUUID();
  const { request, name, idempotencyKey, requestHash, decision, hostId } = wish;
  const [row] = await finish<Inserted>(
    tx,
    'create sandbox',
    sql`
    with ${slot(hostId)},
    sandbox as (
      insert into sandboxes (id, name, labels, auto_remove, spec, idempotency_key, request_hash)
      select ${sandboxId}, ${name}, ${JSON.stringify(request.labels)}::jsonb, ${request.autoRemove}, ${JSON.stringify(request.spec)}::jsonb,
        ${idempotencyKey}, ${requestHash}
      from slot where ${holdsLock} on conflict do nothing returning id, seq, created_at
    ),
    placement as (
      insert into placements (id, sandbox_id, host_id, id_range_start, id_range_count)
      select ${placementId}, sandbox.id, ${hostId}, slot.start, case when slot.start is not null then slot.size end
      from sandbox, slot returning id, sandbox_id, host_id
    ),
    reason as (
      insert into decisions (sandbox_id, placement_id, decision)
      select sandbox_id, id, ${JSON.stringify(decision)}::jsonb from placement
    ),
    event as (
      insert into events (type, host_id, sandbox_id, detail)
      select given.type, case when given.type = 'sandbox.placed' then p.host_id end, p.sandbox_id, jsonb_build_object('name', ${name}::text)
      from placement p, (values (1, 'sandbox.created'), (2, 'sandbox.placed')) as given (position, type) order by given.position
    )
    select sandbox.seq::text as seq, slot.name as "hostName", slot.start::text as start, slot.size, ${iso(sql`sandbox.created_at`)} as "createdAt",
      ${notify('newSandbox', sandboxId)}
    from sandbox, slot`,
  );
  if (row === undefined) return null;
  const idRange: IdRange | null = row.start === null ? null : { start: Number(row.start), count: row.size };
  const told = { placementId, name, generation: 1, wanted: 'running', idRange, spec: request.spec } as const;
  const sandbox: Sandbox = {
    ...told,
    id: sandboxId,
    state: 'placed',
    observedGeneration: 0,
    labels: request.labels,
    autoRemove: request.autoRemove,
    hostId,
    hostName: row.hostName,
    initPid: null,
    commandPid: null,
    namespaces: [],
    exit: null,
    lacks: [],
    error: null,
    decision,
    createdAt: row.createdAt,
    startedAt: null,
    endedAt: null,
  };
  const unheard = { superseded: false, stopSignal: null, stopGraceMs: null, statusSeq: 0, answeredGeneration: 0 };
  return {
    outcome: 'placed',
    sandbox,
    desired: { ...told, sandboxId },
    row: { ...sandbox, ...unheard, hostId, placementId, seq: row.seq },
  };
}

/**
 * `slot`: one row where the host is ready and has room, with the lowest free id range of its pool, or null where it needs none. The gaps
 * between the ranges in use are looked at in order, wherever these lie: the host's pool may have been moved while some of the old one are
 * in use. (A row before the first of them makes the gap before it.)
 */
export function slot(hostId: string): SQL {
  return sql`host as (
      select h.name, (h.capacity->>'idRanges')::bigint as ranges, (h.id_pool->>'start')::bigint as start, (h.id_pool->>'size')::int as size,
        least((h.id_pool->>'count')::bigint, (h.capacity->>'idRanges')::bigint) * (h.id_pool->>'size')::bigint as ids
      from hosts h join beats b on b.host_id = h.id
      where h.id = ${hostId} and ${isReady} and ${usedSandboxes} < (h.capacity->>'sandboxes')::bigint
    ),
    taken as (
      select id_range_start as first, id_range_start + id_range_count as past
      from placements where host_id = ${hostId} and state <> 'removed' and id_range_start is not null
    ),
    gap as (
      select greatest(host.start, max(t.past) over (order by t.first)) as first, lead(t.first) over (order by t.first) as next, host.*
      from host, lateral (select * from taken union all select 0, 0) t
    ),
    free as (
      select min(gap.first) as start from gap
      where gap.first + gap.size <= gap.start + gap.ids and (gap.next is null or gap.next >= gap.first + gap.size)
    ),
    slot as (
      select host.name, host.size, free.start from host, free where host.ranges = 0 or free.start is not null
    )`;
}

export async function repeated(tx: Tx, wish: Pick<PlaceWish, 'name' | 'idempotencyKey' | 'requestHash'>): Promise<PlaceOutcome | null> {
  if (wish.idempotencyKey === null) return null;
  const [first] = await rowsOf<{ id: string; hash: string }>(
    tx,
    'look for the idempotency key',
    sql`select id, request_hash as hash from sandboxes where idempotency_key = ${wish.idempotencyKey}`,
  );
  if (first === undefined) return null;
  if (first.hash !== wish.requestHash) {
    throw new NsfleetError('IDEMPOTENCY_KEY_REUSED', {
      attempted: 'create sandbox',
      target: wish.name,
      reason: `its Idempotency-Key has already made sandbox ${first.id} of another request`,
    });
  }
  const [row] = await sandboxRows(tx, 'find sandbox', sql`s.id = ${first.id} and not p.superseded`);
  return row === undefined ? null : { outcome: 'repeated', sandbox: sandboxOf(row), desired: unansweredOf(row) };
}

async function refuseTakenName(tx: Tx, wish: PlaceWish): Promise<null> {
  const [other] = await rowsOf<{ id: string }>(
    tx,
    'look for the name',
    sql`select id from sandboxes where name = ${wish.name} and removed_at is null`,
  );
  if (other === undefined) return null;
  throw new NsfleetError('SANDBOX_NAME_TAKEN', {
    attempted: 'create sandbox',
    target: wish.name,
    reason: `sandbox ${other.id} has that name`,
  });
}
