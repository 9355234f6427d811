/** Model × model → the rows of a report. Pure: applying the rows to the old model gives the new one (a property test). */
import { isDeepStrictEqual } from 'node:util';
import { noRows } from '#shared/inventory.ts';
import type { ReportRows, ReportedNamespace, ReportedProcess } from '#shared/inventory.ts';
import type { Model } from './model.ts';

/** What changed from `before` to `after`. */
export function diffModels(before: Model, after: Model): ReportRows {
  return {
    namespaces: changed(before.namespaces, after.namespaces, sameNamespace),
    namespacesGone: gone(before.namespaces, after.namespaces).map(({ type, key }) => ({ type, key })),
    processes: changed(before.processes, after.processes, sameProcess),
    processesGone: gone(before.processes, after.processes).map(({ pid, start }) => ({ pid, start })),
    references: changed(before.references, after.references, isDeepStrictEqual),
    referencesGone: gone(before.references, after.references).map(({ id }) => id),
  };
}

/** All of a model, as the rows of a snapshot. */
export function allRows(model: Model): ReportRows {
  return {
    ...noRows(),
    namespaces: [...model.namespaces.values()],
    processes: [...model.processes.values()],
    references: [...model.references.values()],
  };
}

export function rowCount(rows: ReportRows): number {
  return Object.values(rows).reduce((sum, list) => sum + list.length, 0);
}

function changed<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>, same: (a: T, b: T) => boolean): T[] {
  const rows: T[] = [];
  for (const [key, row] of after) {
    const old = before.get(key);
    if (old !== row && (old === undefined || !same(old, row))) rows.push(row);
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
    a.leader?.command === b.leader?.command &&
    isDeepStrictEqual(a.names, b.names) &&
    isDeepStrictEqual(a.details, b.details)
  );
}

/** Whether two rows of the same pid and start say the same. */
export function sameProcess(a: ReportedProcess, b: ReportedProcess): boolean {
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
