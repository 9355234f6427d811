/** Whether two sources tell the same of one host. Pure. */
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';

export type Comparison = {
  /** Processes that both tell of, but differently. */
  differing: ProcessRow[];
  /** Processes that only /proc tells of. */
  unseen: ProcessRow[];
  /** As `unseen`, but /proc itself may not read a namespace of theirs: nothing is lost but that they are there. */
  hidden: ProcessRow[];
  /** Processes that were compared: those that /proc told the same of before and after. */
  compared: number;
};

/**
 * Compares `scan` with what /proc told before and after it. What changed meanwhile is not compared, so any difference is one of the
 * sources. Namespaces that /proc may not read, and the names of kernel threads, which /proc alone knows in full, do not count.
 */
export function compareScans(before: Scan, scan: Scan, after: Scan): Comparison {
  const later = new Map(after.processes.map((row) => [row.pid, row]));
  const found = new Map(scan.processes.map((row) => [row.pid, row]));
  const result: Comparison = { differing: [], unseen: [], hidden: [], compared: 0 };
  for (const row of before.processes) {
    const again = later.get(row.pid);
    if (again === undefined || told(before, row) !== told(after, again)) continue;
    result.compared += 1;
    const other = found.get(row.pid);
    if (other !== undefined) {
      if (!agrees(before, row, scan, other)) result.differing.push(row);
    } else if (row.state !== 'Z' && row.ns.every((index) => index < 0)) result.hidden.push(row);
    else result.unseen.push(row);
  }
  return result;
}

function told(scan: Scan, row: ProcessRow): string {
  return `${identity(row)} ${row.comm} ${row.ns.map((index) => nameOf(scan.namespaces[index])).join()}`;
}

function identity({ pid, startTicks, ppid, uid }: ProcessRow): string {
  return `${pid} ${startTicks} ${ppid} ${uid}`;
}

function agrees(proc: Scan, row: ProcessRow, scan: Scan, other: ProcessRow): boolean {
  return (
    identity(row) === identity(other) &&
    row.ns.every((index, link) => index < 0 || nameOf(proc.namespaces[index]) === nameOf(scan.namespaces[other.ns[link] ?? -1]))
  );
}

function nameOf(row: NamespaceRow | undefined): string {
  return row === undefined ? '' : `${row.type}:${row.dev}:${row.inode}:${row.id}`;
}
