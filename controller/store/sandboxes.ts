/** Sandboxes: what users ask for. What hosts tell of them is in placements.ts. */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { Resources } from '#shared/cgroup.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { DesiredPlacement, SandboxState } from '#shared/sandbox.ts';
import type { SignalName } from '#shared/signal.ts';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { findHost } from './hosts.ts';
import { placeIn, whyNot } from './place.ts';
import type { PlaceOutcome, PlaceWish } from './place.ts';
import { desiredOf, sandboxOf, sandboxRows } from './sandbox-row.ts';
import type { SandboxRow } from './sandbox-row.ts';
import { wish } from './wish.ts';

/**
 * Makes the sandbox and its placement in one transaction, or nothing. Repeated with the same idempotency key it is made once. Throws
 * SANDBOX_NAME_TAKEN, IDEMPOTENCY_KEY_REUSED, HOST_NOT_FOUND.
 */
export async function placeSandbox(store: Store, wished: PlaceWish): Promise<PlaceOutcome> {
  const placed = await transact(store, (tx) => placeIn(tx, wished), 'create sandbox');
  if (placed?.outcome === 'placed') store.recent.put(placed.row);
  return placed ?? whyNot(store.db, wished);
}

export type SandboxQuery = {
  limit: number;
  cursor?: string | null | undefined;
  /** id or name */
  host?: string | undefined;
  state?: SandboxState | undefined;
  /** `key` or `key=value` */
  label?: string | undefined;
  /** ended and removed ones too; a `state` that is asked for is always shown */
  all: boolean;
};

/** Newest first. */
export async function listSandboxes(tx: Tx, query: SandboxQuery): Promise<{ sandboxes: Sandbox[]; nextCursor: string | null }> {
  const attempted = 'list sandboxes';
  const conditions: SQL[] = [sql`not p.superseded`];
  if (query.host !== undefined) conditions.push(sql`p.host_id = ${(await findHost(tx, query.host)).id}`);
  if (query.label !== undefined) conditions.push(labelled(query.label));
  if (query.state !== undefined) conditions.push(sql`p.state = ${query.state}`);
  else if (!query.all) conditions.push(sql`p.state in ('placed', 'running', 'paused', 'stopping')`);
  if (typeof query.cursor === 'string') conditions.push(sql`s.seq < ${numberCursor(query.cursor, attempted)}::bigint`);
  const rows = await sandboxRows(tx, attempted, sql`${sql.join(conditions, sql` and `)} order by s.seq desc limit ${query.limit + 1}`);
  const page = rows.slice(0, query.limit);
  return { sandboxes: page.map(sandboxOf), nextCursor: rows.length > query.limit ? (page.at(-1)?.seq ?? null) : null };
}

function labelled(label: string): SQL {
  const at = label.indexOf('=');
  return at === -1 ? sql`s.labels ? ${label}` : sql`s.labels->>${label.slice(0, at)}::text = ${label.slice(at + 1)}`;
}

/** By id, else by the name of one that is not removed, else by a unique prefix of an id, 4 or more digits. SANDBOX_NOT_FOUND. */
export async function findSandbox(tx: Tx, idOrPrefixOrName: string): Promise<Sandbox> {
  const text = idOrPrefixOrName;
  const rows = await sandboxRows(
    tx,
    'find sandbox',
    sql`not p.superseded and ((s.name = ${text} and s.removed_at is null)${idCondition(text)}) order by s.seq desc limit 6`,
  );
  const exact = rows.find((row) => row.id === text.toLowerCase()) ?? rows.find((row) => row.name === text && row.state !== 'removed');
  const found = exact ?? (rows.length === 1 ? rows[0] : undefined);
  if (found !== undefined) return sandboxOf(found);
  throw notFound(
    text,
    rows.length === 0
      ? 'none that is not removed has that id, prefix or name'
      : `several begin so: ${rows.map((row) => row.id).join(', ')}`,
  );
}

/** A prefix as a range of ids, which the primary key's index answers. */
function idCondition(text: string): SQL {
  if (!/^[0-9a-f-]{4,36}$/i.test(text)) return sql``;
  const digits = text.replaceAll('-', '');
  if (digits.length < 4 || digits.length > 32) return sql``;
  return sql` or s.id between ${digits.padEnd(32, '0')}::uuid and ${digits.padEnd(32, 'f')}::uuid`;
}

/** `desired` is what its host is to be sent, null where it has nothing to do. */
export type WishOutcome = { sandbox: Sandbox; desired: DesiredPlacement | null };

/** Asks for its end. One that has ended stays as it is; the same wish again is the same generation, sent again. */
export async function requestStop(
  store: Store,
  sandboxId: string,
  { signal, graceMs }: { signal?: SignalName | undefined; graceMs?: number | undefined },
): Promise<WishOutcome> {
  const stopSignal = signal ?? null;
  const stopGraceMs = graceMs ?? null;
  return change(store, sandboxId, 'stop sandbox', (row) => {
    if (isEnded(row.state)) return { row, send: false };
    if (row.wanted === 'removed') return { row, send: true };
    if (row.wanted === 'stopped' && row.stopSignal === stopSignal && row.stopGraceMs === stopGraceMs) return { row, send: true };
    return { row: { ...row, wanted: 'stopped', stopSignal, stopGraceMs, generation: row.generation + 1 }, send: true };
  });
}

/** Asks for its removal. Throws SANDBOX_STILL_RUNNING without `force` where it has not ended. */
export async function requestRemove(store: Store, sandboxId: string, { force }: { force: boolean }): Promise<WishOutcome> {
  return change(store, sandboxId, 'remove sandbox', (row) => {
    if (row.state === 'removed') return { row, send: false };
    if (row.wanted === 'removed') return { row, send: true };
    if (!isEnded(row.state) && !force) {
      throw new NsfleetError('SANDBOX_STILL_RUNNING', { attempted: 'remove sandbox', target: row.name, reason: `it is ${row.state}` });
    }
    return { row: { ...row, wanted: 'removed', generation: row.generation + 1 }, send: true };
  });
}

/** Asks for other limits. ILLEGAL_TRANSITION where it does not run, or is to stop. */
export async function requestLimits(store: Store, sandboxId: string, resources: Resources): Promise<WishOutcome> {
  return change(store, sandboxId, 'limit sandbox', (row) => {
    requireAlive(row, 'limit sandbox');
    if (isDeepStrictEqual(row.spec.resources, resources)) return { row, send: true };
    return { row: { ...row, spec: { ...row.spec, resources }, generation: row.generation + 1 }, send: true };
  });
}

/** Asks that it be frozen, or run again. ILLEGAL_TRANSITION where it does not run, or is to stop. */
export async function requestPause(store: Store, sandboxId: string, wanted: 'paused' | 'running'): Promise<WishOutcome> {
  const attempted = wanted === 'paused' ? 'pause sandbox' : 'resume sandbox';
  return change(store, sandboxId, attempted, (row) => {
    requireAlive(row, attempted);
    return { row: row.wanted === wanted ? row : { ...row, wanted, generation: row.generation + 1 }, send: true };
  });
}

function requireAlive({ state, wanted, name }: SandboxRow, attempted: string): void {
  const alive = state === 'running' || state === 'paused';
  if (alive && wanted !== 'stopped' && wanted !== 'removed') return;
  const reason = alive ? `it is to be ${wanted}` : `it is ${state}`;
  throw new NsfleetError('ILLEGAL_TRANSITION', { attempted, target: name, reason });
}

async function writeSpec(tx: Tx, { id, spec }: SandboxRow): Promise<void> {
  await rowsOf(tx, 'write the spec', sql`update sandboxes set spec = ${JSON.stringify(spec)}::jsonb where id = ${id}::uuid`);
}

async function change(
  store: Store,
  sandboxId: string,
  attempted: string,
  decide: (row: SandboxRow) => { row: SandboxRow; send: boolean },
): Promise<WishOutcome> {
  const { row, send } = await transact(
    store,
    async (tx) => {
      const [before] = await sandboxRows(tx, attempted, sql`s.id = ${sandboxId}::uuid and not p.superseded for no key update of p`);
      if (before === undefined) throw notFound(sandboxId, 'there is none of that id');
      const decided = decide(before);
      if (decided.row.spec !== before.spec) await writeSpec(tx, decided.row);
      if (decided.row.generation !== before.generation) await wish(tx, decided.row);
      return decided;
    },
    attempted,
  );
  const sandbox = sandboxOf(row);
  store.notifications.tell('sandbox', sandbox.id, sandbox);
  return { sandbox, desired: send ? desiredOf(row) : null };
}

function notFound(target: string, reason: string): NsfleetError {
  return new NsfleetError('SANDBOX_NOT_FOUND', { attempted: 'find sandbox', target, reason });
}
