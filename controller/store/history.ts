/** A namespace over time, and what is different between two moments. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { backwards, changesOf } from './changes.ts';
import type { Changes } from './changes.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';
import { changesAfter } from './namespace-changes.ts';
import { largestIdAt, thereAt } from './namespace-list.ts';
import { namespaceColumns, namespaceContext } from './namespace-row.ts';

const intervalsMax = 1000;

/** Of the same host, type and inode, of any boot, oldest first, at most 1,000: an inode names one namespace after another. */
export async function sameInode(tx: Tx, { hostId, type, inode }: Pick<Namespace, 'hostId' | 'type' | 'inode'>): Promise<Namespace[]> {
  return selected(
    tx,
    'list the namespaces of an inode',
    sql`n.host_id = ${hostId} and n.type = ${type} and n.inode = ${inode}`,
    intervalsMax,
  );
}

export type Span = { from: string; to: string; hostId?: string | undefined; type?: NamespaceType | undefined };
export type NamespaceDiff = {
  counts: { before: number; after: number; added: number; removed: number; between: number; changed: number };
  /** As they were at `to`. */
  added: Namespace[];
  /** As they were at `from`. */
  removed: Namespace[];
  changed: { namespace: Namespace; changes: Changes }[];
};

/** All are counted, at most `limit` of each listed. `from` is before `to`, both RFC 3339. */
export async function diffNamespaces(tx: Tx, span: Span, limit: number): Promise<NamespaceDiff> {
  const { from, to } = span;
  const of = scope(span);
  const at = (moment: string) => sql`${thereAt(moment)} and ${of}`;
  const came = sql`n.first_seen > ${from}::timestamptz and n.id > ${smallestIdAfter(from)}`;
  const went = sql`n.ended_at <= ${to}::timestamptz`;
  const both = sql`${at(from)} and n.ended_at > ${to}::timestamptz`;
  const changed = sql`n.changed_at > ${from}::timestamptz`;
  // One pass over all that was there at any moment of the span: each of the counts alone would be as dear.
  const count = (which: SQL) => sql`count(*) filter (where ${which})::int`;
  const [old, lasting] = [sql`n.first_seen <= ${from}::timestamptz`, sql`n.ended_at > ${to}::timestamptz`];
  const [counts] = await rowsOf<NamespaceDiff['counts']>(
    tx,
    'count what is different',
    sql`select ${count(old)} as before, ${count(lasting)} as after, ${count(sql`not ${old} and ${lasting}`)} as added,
        ${count(sql`${old} and not ${lasting}`)} as removed, ${count(sql`not ${old} and not ${lasting}`)} as between, 0 as changed
      from namespaces n where n.first_seen <= ${to}::timestamptz and n.ended_at > ${from}::timestamptz and n.id <= ${largestIdAt(to)} and ${of}`,
  );
  if (counts === undefined) throw new Error('a select without from gives one row');
  const added = await selected(tx, 'list what came', sql`${at(to)} and ${came}`, limit);
  const removed = await selected(tx, 'list what went', sql`${at(from)} and ${went}`, limit);
  const candidates = await selected(tx, 'list what changed', sql`${both} and ${changed}`, candidatesMax);
  const differing = await changedBetween(tx, candidates, from, to);
  return {
    counts: { ...counts, changed: differing.length },
    added: await asOf(tx, added, to),
    removed: await asOf(tx, removed, from),
    changed: differing.slice(0, limit),
  };
}

/** The answer of one that changed more than this between two moments is cut there; nobody reads ten thousand changes. */
const candidatesMax = 10_000;

/** Of those that are there at both moments: what is different of them, which may be nothing where a change was taken back. */
async function changedBetween(tx: Tx, rows: readonly Namespace[], from: string, to: string): Promise<NamespaceDiff['changed']> {
  const [before, after] = [await asOf(tx, rows, from), await asOf(tx, rows, to)];
  return after.flatMap((namespace, at) => {
    const old = before[at];
    const changes = old === undefined ? {} : changesOf(old, namespace);
    return Object.keys(changes).length === 0 ? [] : [{ namespace, changes }];
  });
}

async function asOf(tx: Tx, rows: readonly Namespace[], moment: string): Promise<Namespace[]> {
  if (rows.length === 0) return [];
  const changes = await changesAfter(
    tx,
    rows.map(({ id }) => id),
    moment,
  );
  return rows.map((row) => backwards(row, changes.get(row.id) ?? []));
}

function scope({ hostId, type }: Span): SQL {
  const conditions = [sql`true`];
  if (hostId !== undefined) conditions.push(sql`n.host_id = ${hostId}`);
  if (type !== undefined) conditions.push(sql`n.type = ${type}`);
  return sql.join(conditions, sql` and `);
}

/** Whatever was first seen after that moment has a larger number; see namespace_marks. */
function smallestIdAfter(at: string): SQL {
  return sql`coalesce((select last_id from namespace_marks where at <= ${at}::timestamptz - interval '1 minute' order by at desc limit 1), 0)`;
}

async function selected(tx: Tx, attempted: string, which: SQL, limit: number): Promise<Namespace[]> {
  return rowsOf<Namespace>(
    tx,
    attempted,
    sql`select ${namespaceColumns} from (select n.* from namespaces n where ${which} order by n.id limit ${limit}) n ${namespaceContext} order by n.id`,
  );
}

const examples = 5;

export type CalledNamespaces = { type: NamespaceType; by: 'name' | 'leader' | 'holders'; name: string; count: number; ids: string[] };

/** The namespaces of a host by what people call them: the best name, else the leader's comm, else what kinds of holders it has. */
export async function namesOnHost(tx: Tx, hostId: string, at: string | null, type: NamespaceType | undefined): Promise<CalledNamespaces[]> {
  const there = at === null ? sql`n.ended_at = 'infinity'` : thereAt(at);
  return rowsOf<CalledNamespaces>(
    tx,
    'name the namespaces of a host',
    sql`select type, by, name, count(*)::int, (array_agg(id::text order by id))[1:${sql.raw(String(examples))}] as ids
      from (
        select n.id, n.type,
          case when n.names <> '[]' then 'name' when n.leader_comm is not null then 'leader' else 'holders' end as by,
          case when n.names <> '[]' then (n.names -> 0 ->> 'source') || ':' || (n.names -> 0 ->> 'name')
            when n.leader_comm is not null then n.leader_comm
            else coalesce((select string_agg(distinct r.kind, ', ' order by r.kind) from reference_holders r
              where r.host_id = n.host_id and r.boot_id = n.boot_id and r.type = n.type and r.key = n.key), 'no process') end as name
        from namespaces n where n.host_id = ${hostId} and ${there} and ${type === undefined ? sql`true` : sql`n.type = ${type}`}
      ) called
      group by type, by, name order by type, by, name`,
  );
}
