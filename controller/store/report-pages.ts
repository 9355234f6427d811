/**
 * Pages of a report that is not complete. Any controller may get any page; they wait in an unlogged table and are applied with the last
 * one. Agents send them in order, one in flight, so a last page that finds others missing means that those are lost. Those of a report that
 * goes on no more are dropped (retention.ts).
 */
import { sql } from 'drizzle-orm';
import type { Report, ReportRows } from '#shared/inventory.ts';
import { rowsOf } from './client.ts';
import type { Tx } from './client.ts';

/** `staged`: there are more to come; `complete`: this is the last; `broken`: it cannot become complete any more. */
export type Staging = 'staged' | 'complete' | 'broken';

/** Keeps a page that is not the last, and drops what is left of older reports of the host. */
export async function stagePage(tx: Tx, report: Report): Promise<Staging> {
  const { hostId, bootId, epoch, seq, page, pages } = report;
  const isLast = page === pages - 1;
  await rowsOf(
    tx,
    'drop pages of older reports',
    sql`delete from report_pages where host_id = ${hostId}
      and ((boot_id, epoch) <> (${bootId}::uuid, ${epoch}::bigint) or seq < ${seq} or (seq = ${seq} and pages <> ${pages}))`,
  );
  const [there] = await rowsOf<{ same: number; newer: number }>(
    tx,
    'count the pages of a report',
    sql`select count(*) filter (where seq = ${seq} and page <> ${page})::int as same, count(*) filter (where seq > ${seq})::int as newer
      from report_pages where host_id = ${hostId}`,
  );
  if (there === undefined || there.newer > 0) return 'broken';
  if (isLast) return there.same === pages - 1 ? 'complete' : 'broken';
  await rowsOf(
    tx,
    'keep a page of a report',
    sql`insert into report_pages (host_id, boot_id, epoch, seq, page, pages, rows)
      values (${hostId}, ${bootId}, ${epoch}, ${seq}, ${page}, ${pages}, ${JSON.stringify(report.rows)}::jsonb)
      on conflict do nothing`,
  );
  return 'staged';
}

/** A page comes within seconds of the one before; an agent that is told to wait waits for seconds too. */
const staleMinutes = 10;

/** Drops the pages of hosts of which no page has come for long. */
export async function dropStalePages(tx: Tx): Promise<void> {
  await rowsOf(
    tx,
    'drop pages of reports that go on no more',
    sql`delete from report_pages where host_id in (
      select host_id from report_pages group by host_id having max(staged_at) < now() - ${staleMinutes} * interval '1 minute')`,
  );
}

/** The rows of a complete report, page by page so that only one is in memory, its own last. What was staged is dropped. */
export async function* pagesOf(tx: Tx, report: Report): AsyncGenerator<ReportRows> {
  const { hostId, bootId, epoch, seq, pages } = report;
  const which = sql`host_id = ${hostId} and boot_id = ${bootId} and epoch = ${epoch} and seq = ${seq}`;
  for (let page = 0; page < pages - 1; page += 1) {
    const [staged] = await rowsOf<{ rows: ReportRows }>(
      tx,
      'read a page of a report',
      sql`delete from report_pages where ${which} and page = ${page} returning rows`,
    );
    if (staged !== undefined) yield staged.rows;
  }
  yield report.rows;
}
