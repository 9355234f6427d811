/** Model × model → the rows of a report. Pure: applying the rows to the old model gives the new one (a property test). */
import type { ReportRows, ReportedNamespace, ReportedProcess } from '#shared/inventory.ts';
import type { Model } from './model.ts';

/** What changed from `before` to `after`. */
export function diffModels(before: Model, after: Model): ReportRows {
  return {
    namespaces: changed(before.namespaces, after.namespaces, sameNamespace),
    namespacesGone: gone(before.namespaces, after.namespaces).map(({ type, key }) => ({ type, key })),
    processes: changed(before.processes, after.processes, sameProcess),
    processesGone: gone(before.processes, after.processes).map(({ pid, start }) => ({ pid, start })),
  };
}

/** All of a model, as the rows of a snapshot. */
export function allRows(model: Model): ReportRows {
  return { namespaces: [...model.namespaces.values()], namespacesGone: [], processes: [...model.processes.values()], processesGone: [] };
}

export function rowCount(rows: ReportRows): number {
  return rows.namespaces.length + rows.namespacesGone.length + rows.processes.length + rows.processesGone.length;
}

function changed<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>, same: (a: T, b: T) => boolean): T[] {
  const rows: T[] = [];
  for (const [key, row] of after) {
    const old = before.get(key);
    if (old === undefined || !same(old, row)) rows.push(row);
  }
  return rows;
}

function gone<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): T[] {
  const rows: T[] = [];
  for (const [key, row] of before) if (!after.has(key)) rows.push(row);
  return rows;
}

function sameNamespace(a: ReportedNamespace, b: ReportedNamespace): boolean {
  return (
    a.inode === b.inode &&
    a.parent === b.parent &&
    a.owner === b.owner &&
    a.ownerUid === b.ownerUid &&
    a.processCount === b.processCount &&
    a.leader?.pid === b.leader?.pid &&
    a.leader?.uid === b.leader?.uid &&
    a.leader?.comm === b.leader?.comm &&
    a.leader?.command === b.leader?.command
  );
}

function sameProcess(a: ReportedProcess, b: ReportedProcess): boolean {
  return (
    a.ppid === b.ppid &&
    a.uid === b.uid &&
    a.comm === b.comm &&
    sameList(a.namespaces, b.namespaces) &&
    sameList(a.forChildren, b.forChildren)
  );
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
