/** A page of a list of which only some rows are wanted: read on until it is full. */
import { setImmediate as turn } from 'node:timers/promises';
import { judgeInTime } from './bounded.ts';
import type { Expression } from './cel.ts';

/** So many rows are judged for one request at most; then the page is as short as it is, with a cursor to go on from. */
const judgedMax = 50_000;
const batchMin = 1000;
/** Judged at a stretch; then others have their turn. */
const stretchRows = 250;

type Page<Row> = { rows: Row[]; nextCursor: string | null };

export type Source<Row> = {
  read: (cursor: string | undefined, limit: number) => Promise<Page<Row>>;
  values: (row: Row) => Readonly<Record<string, unknown>>;
  /** The cursor after a row; without it no batch is larger than what the page still takes. */
  cursorOf?: (row: Row) => string;
};

/** At most `limit` rows of which the filter is true, and where to read on. Without a filter: the list's own page. */
export async function filteredPage<Row>(
  { read, values, cursorOf }: Source<Row>,
  filter: Expression | null,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  signal?: AbortSignal,
): Promise<Page<Row>> {
  if (filter === null) return read(cursor, limit);
  const rows: Row[] = [];
  let at = cursor;
  for (let judged = 0; judged < judgedMax;) {
    signal?.throwIfAborted();
    const page = await read(at, cursorOf === undefined ? limit - rows.length : Math.max(limit, batchMin));
    judged += page.rows.length;
    for (const row of await judge(page.rows, (candidate) => filter.refuse(values(candidate)) === null)) {
      const last = rows.at(-1);
      if (rows.length === limit && last !== undefined) return { rows, nextCursor: cursorOf?.(last) ?? page.nextCursor };
      rows.push(row);
    }
    if (page.nextCursor === null) return { rows, nextCursor: null };
    at = page.nextCursor;
    if (rows.length === limit) break;
  }
  return { rows, nextCursor: at ?? null };
}

async function judge<Row>(rows: readonly Row[], wanted: (row: Row) => boolean): Promise<Row[]> {
  const found: Row[] = [];
  for (let from = 0; from < rows.length; from += stretchRows) {
    if (from > 0) await turn();
    found.push(...judgeInTime('FILTER_INVALID', () => rows.slice(from, from + stretchRows).filter(wanted)));
  }
  return found;
}
