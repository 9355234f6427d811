/** What rules found: found leaks are rows that stay, with when they were cleared. Written by leaks/, which decides. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { Leak, LeakRule } from '#shared/resources.ts';
import type { Finding } from '../leaks/picture.ts';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { numberCursor } from './cursor.ts';
import { insertEvents } from './events.ts';
import type { NewEvent } from './events.ts';
import { findHost } from './hosts.ts';
import { notify } from './listen.ts';
import { iso } from './time.ts';

export type LeakQuery = {
  limit: number;
  cursor?: string | undefined;
  host?: string | undefined;
  rule?: LeakRule | undefined;
  /** those that were cleared too */
  all: boolean;
};

/** Newest first. */
export async function listLeaks(tx: Tx, query: LeakQuery): Promise<{ rows: Leak[]; nextCursor: string | null }> {
  const attempted = 'list leaks';
  const conditions: SQL[] = [query.all ? sql`true` : sql`l.cleared_at is null`];
  if (query.host !== undefined) conditions.push(sql`l.host_id = ${(await findHost(tx, query.host)).id}`);
  if (query.rule !== undefined) conditions.push(sql`l.rule = ${query.rule}`);
  if (query.cursor !== undefined) conditions.push(sql`l.id < ${numberCursor(query.cursor, attempted)}::bigint`);
  const found = await rowsOf<Leak>(
    tx,
    attempted,
    sql`select l.id::text, l.rule, l.host_id as "hostId", h.name as "hostName", l.subject, ${iso(sql`l.since`)} as since,
        ${iso(sql`l.found_at`)} as "foundAt", ${iso(sql`l.cleared_at`)} as "clearedAt",
        l.detail ->> 'reason' as reason, l.detail -> 'pins' as pins, l.detail - 'reason' - 'pins' - 'namespace' as detail,
        case when l.namespace_id is not null then l.detail -> 'namespace' || jsonb_build_object('id', l.namespace_id::text) end as namespace
      from leaks l join hosts h on h.id = l.host_id
      where ${sql.join(conditions, sql` and `)} order by l.id desc limit ${query.limit + 1}`,
  );
  const rows = found.slice(0, query.limit);
  return { rows, nextCursor: found.length > query.limit ? (rows.at(-1)?.id ?? null) : null };
}

/**
 * Makes the open leaks of a host what was found: in one transaction with the reading, so that the events tell what became of it. Null where
 * another controller is at it.
 */
export async function syncLeaks(
  store: Store,
  hostId: string,
  find: (tx: Tx) => Promise<readonly Finding[] | null>,
): Promise<{ found: number; cleared: number } | null> {
  const outcome = await transact(
    store,
    async (tx) => {
      const [lock] = await rowsOf<{ got: boolean }>(
        tx,
        'look for leaks',
        sql`select pg_try_advisory_xact_lock(7234151, hashtext(${hostId})) as got`,
      );
      const findings = lock?.got === true ? await find(tx) : null;
      return findings === null ? null : sync(tx, hostId, findings);
    },
    'look for leaks',
  );
  if (outcome !== null && outcome.found + outcome.cleared > 0) store.notifications.tell('leak', hostId);
  return outcome;
}

type Open = { id: string; rule: LeakRule; namespaceId: string | null; subject: string; since: string; detail: string };

async function sync(tx: Tx, hostId: string, findings: readonly Finding[]): Promise<{ found: number; cleared: number }> {
  const open = await rowsOf<Open>(
    tx,
    'read open leaks',
    sql`select id::text, rule, namespace_id::text as "namespaceId", subject, ${iso(sql`since`)} as since, detail::text
      from leaks where host_id = ${hostId} and cleared_at is null`,
  );
  const known = new Map(open.map((leak) => [identity(leak.rule, leak.namespaceId, leak.subject), leak]));
  const events: NewEvent[] = [];
  let found = 0;
  for (const finding of findings) {
    const namespaceId = finding.namespace?.id ?? null;
    const key = identity(finding.rule, namespaceId, finding.subject);
    const detail = detailOf(finding);
    const before = known.get(key);
    known.delete(key);
    if (before === undefined) {
      found += 1;
      await rowsOf(
        tx,
        'write a leak',
        sql`insert into leaks (rule, host_id, namespace_id, subject, since, detail)
          values (${finding.rule}, ${hostId}, ${namespaceId}::bigint, ${finding.subject}, ${finding.since}, ${JSON.stringify(detail)}::jsonb)`,
      );
      const { namespace: _namespace, ...shown } = detail;
      events.push({
        type: 'leak.found',
        hostId,
        namespaceId,
        detail: { rule: finding.rule, since: finding.since, ...aboutOf(finding), ...shown },
      });
    } else {
      // Who pins it may change; no row is written where nothing did.
      await rowsOf(
        tx,
        'write a leak',
        sql`update leaks set detail = ${JSON.stringify(detail)}::jsonb where id = ${before.id}::bigint and detail <> ${JSON.stringify(detail)}::jsonb`,
      );
    }
  }
  const cleared = [...known.values()];
  if (cleared.length > 0) {
    await rowsOf(
      tx,
      'clear leaks',
      sql`update leaks set cleared_at = now() where id = any(${sql.param(cleared.map(({ id }) => id))}::bigint[])`,
    );
    for (const { rule, namespaceId, since } of cleared) events.push({ type: 'leak.cleared', hostId, namespaceId, detail: { rule, since } });
  }
  if (events.length > 0) await rowsOf(tx, 'tell of leaks', sql`with told as (${insertEvents(events)}) select ${notify('leak', hostId)}`);
  return { found, cleared: cleared.length };
}

function identity(rule: string, namespaceId: string | null, subject: string): string {
  return JSON.stringify([rule, namespaceId, subject]);
}

function aboutOf({ namespace }: Finding): Record<string, unknown> {
  return namespace === null ? {} : { type: namespace.type, key: namespace.key, inode: namespace.inode };
}

function detailOf(finding: Finding): Record<string, unknown> {
  const { namespace, reason, pins, detail } = finding;
  return { reason, pins, ...detail, ...(namespace === null ? {} : { namespace: aboutOf(finding) }) };
}
