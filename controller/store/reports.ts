/** Inventory reports: one transaction each, from the rules of the sequence to the events. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { hostRowsMax } from '#shared/inventory.ts';
import type { Report, ReportReply } from '#shared/inventory.ts';
import { NsfleetError } from '#shared/errors.ts';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { insertEvents } from './events.ts';
import type { NewEvent } from './events.ts';
import { forgetOtherProcesses, forgetProcesses, writeProcesses } from './holders.ts';
import { endNamespaces, endOtherNamespaces, writeNamespaces } from './intervals.ts';
import type { EndBound, NamedNamespace } from './intervals.ts';
import { notify } from './listen.ts';
import { forgetOtherReferences, forgetReferences, lostHolders, writeReferences } from './references.ts';
import type { LostReference } from './references.ts';
import { pagesOf, stagePage } from './report-pages.ts';
import { continues, judge } from './report-sequence.ts';
import { lockSession } from './session.ts';

/**
 * Writes a report, or says why not: `resync` asks for a snapshot; `refused` comes with HOST_NOT_FOUND, REPORT_STALE, REPORT_TOO_LARGE, or INVALID_INPUT for
 * what a column cannot hold. Throws only what concerns the database; then nothing is written and the report may be sent again.
 */
export async function applyReport(store: Store, report: Report): Promise<ReportReply> {
  try {
    const { result, changed } = await transact(store, (tx) => applyIn(tx, report), 'write the inventory of a host');
    if (changed) store.notifications.tell('namespace', report.hostId);
    return { v: 1, result, seq: report.seq };
  } catch (error) {
    if (!(error instanceof NsfleetError) || error.httpStatus >= 500) throw error;
    return { v: 1, result: 'refused', seq: report.seq, code: error.code, reason: error.reason };
  }
}

type Outcome = { result: 'committed' | 'staged' | 'resync'; changed: boolean };

async function applyIn(tx: Tx, report: Report): Promise<Outcome> {
  const session = await lockSession(tx, report.hostId);
  if (session === undefined) throw refusal('HOST_NOT_FOUND', report, 'it is not enrolled');
  const verdict = judge(session, report);
  if (verdict === 'stale') throw refusal('REPORT_STALE', report, `epoch ${report.epoch} is over, that of the agent is ${session.epoch}`);
  if (verdict !== 'apply') return { result: verdict, changed: false };
  if (report.pages > 1) {
    const staging = await stagePage(tx, report);
    if (staging !== 'complete') return { result: staging === 'staged' ? 'staged' : 'resync', changed: false };
  }
  // A new agent of the same boot: what ended meanwhile, ended unseen.
  const bound = continues(session, report) ? null : session.confirmedAt;
  const events = await writeRows(tx, report, bound);
  await finish(tx, report, events);
  return { result: 'committed', changed: events.length > 0 };
}

async function writeRows(tx: Tx, report: Report, bound: EndBound): Promise<NewEvent[]> {
  const events: NewEvent[] = [];
  const namespaces: NamedNamespace[] = [];
  const pids: number[] = [];
  const references: string[] = [];
  const lost: LostReference[] = [];
  const snapshot = report.kind === 'snapshot';
  for await (const rows of pagesOf(tx, report)) {
    if (snapshot) {
      for (const { type, key } of rows.namespaces) namespaces.push({ type, key });
      for (const { pid } of rows.processes) pids.push(pid);
      for (const { id } of rows.references) references.push(id);
      refuseMore(report, { namespaces: namespaces.length, processes: pids.length, references: references.length });
    } else {
      events.push(...(await endNamespaces(tx, report, rows.namespacesGone, bound)));
      await forgetProcesses(tx, report, rows.processesGone);
      lost.push(...(await forgetReferences(tx, report, rows.referencesGone)));
    }
    events.push(...(await writeNamespaces(tx, report, rows.namespaces)));
    await writeProcesses(tx, report, rows.processes);
    lost.push(...(await writeReferences(tx, report, rows.references)));
  }
  if (!snapshot) {
    refuseMore(report, await countRows(tx, report));
    return [...events, ...(await lostHolders(tx, report, lost))];
  }
  const gone = await endOtherNamespaces(tx, report, namespaces, bound);
  await forgetOtherProcesses(tx, report, pids);
  lost.push(...(await forgetOtherReferences(tx, report, references)));
  return [...gone, ...events, ...(await lostHolders(tx, report, lost))];
}

type RowCounts = Record<keyof typeof hostRowsMax, number>;

function refuseMore(report: Report, counts: RowCounts): void {
  for (const [kind, max] of Object.entries(hostRowsMax)) {
    if (counts[kind as keyof RowCounts] > max) throw refusal('REPORT_TOO_LARGE', report, `more than ${max} ${kind}`);
  }
}

/** Of what a host has now; counted no further than is needed. Some hundred rows of indexes, or as many as the host has. */
async function countRows(tx: Tx, { hostId }: Report): Promise<RowCounts> {
  const count = (table: SQL, max: number) => sql`(select count(*)::int from (select from ${table} host_id = ${hostId} limit ${max + 1}) r)`;
  const { namespaces, processes, references } = hostRowsMax;
  const [counts] = await rowsOf<RowCounts>(
    tx,
    'count what a host has',
    sql`select ${count(sql`namespaces where ended_at = 'infinity' and`, namespaces)} as namespaces,
      ${count(sql`processes where`, processes)} as processes, ${count(sql`reference_holders where`, references)} as references`,
  );
  return counts ?? { namespaces: 0, processes: 0, references: 0 };
}

/** Last in the transaction, because the events are in it. */
async function finish(tx: Tx, report: Report, events: readonly NewEvent[]): Promise<void> {
  await rowsOf(
    tx,
    'finish a report',
    sql`with session as (
        update agent_sessions set epoch = ${report.epoch}, report_boot_id = ${report.bootId}, report_epoch = ${report.epoch},
          report_seq = ${report.seq}, reported_at = now(), confirmed_at = now(), counts = ${JSON.stringify(report.counts)}::jsonb
        where host_id = ${report.hostId}
      ), event as (${insertEvents(events)})
      select ${notify('namespace', report.hostId)} where ${events.length > 0}`,
  );
}

function refusal(code: 'HOST_NOT_FOUND' | 'REPORT_STALE' | 'REPORT_TOO_LARGE', report: Report, reason: string): NsfleetError {
  return new NsfleetError(code, { attempted: 'write the inventory of host', target: report.hostId, reason });
}
