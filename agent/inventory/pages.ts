/** Rows → pages that each fit into one message. Pure. */
import { noRows } from '#shared/inventory.ts';
import type { ReportRows } from '#shared/inventory.ts';
import { messageMaxBytes } from '#shared/messages.ts';

/** What a report holds beside its rows: ids, counters, counts, field names. Measured 420 bytes with the longest values. */
const envelopeBytes = 1024;

/**
 * Cuts rows into pages whose JSON stays below `maxBytes` together with the envelope. Namespaces come before the processes that
 * refer to them. No rows give one empty page: a snapshot of nothing is still a snapshot.
 */
export function pagesOf(rows: ReportRows, maxBytes: number = messageMaxBytes): ReportRows[] {
  const roomBytes = maxBytes - envelopeBytes;
  let page = noRows();
  let usedBytes = 0;
  const pages = [page];
  const room = (bytes: number): ReportRows => {
    if (usedBytes > 0 && usedBytes + bytes > roomBytes) {
      page = noRows();
      pages.push(page);
      usedBytes = 0;
    }
    usedBytes += bytes;
    return page;
  };
  for (const row of rows.namespaces) room(jsonBytes(row)).namespaces.push(row);
  for (const row of rows.namespacesGone) room(jsonBytes(row)).namespacesGone.push(row);
  for (const row of rows.processes) room(jsonBytes(row)).processes.push(row);
  for (const row of rows.processesGone) room(jsonBytes(row)).processesGone.push(row);
  for (const row of rows.references) room(jsonBytes(row)).references.push(row);
  for (const id of rows.referencesGone) room(jsonBytes(id)).referencesGone.push(id);
  return pages;
}

/** Of a row with the comma behind it. */
function jsonBytes(row: object | string): number {
  return Buffer.byteLength(JSON.stringify(row)) + 1;
}
