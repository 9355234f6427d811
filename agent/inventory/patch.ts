/**
 * Model × the rows of some processes → model. Pure: the result is what a full scan would have built, provided that nothing else changed
 * since the model (a property test).
 */
import type { ReportedNamespace, ReportedProcess } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceKey, NamespaceType } from '#shared/namespace.ts';
import { sameProcess } from './diff.ts';
import { leaderFrom, namespaceMapKey, processMapKey } from './model.ts';
import type { CommandOf, Model } from './model.ts';

/**
 * `seen` is the model of the processes in `asked` that are still there; those of `asked` that it does not have are gone. A namespace that
 * nothing in the model holds any more is gone with them. `before` itself where nothing changed.
 */
export function patchModel(before: Model, seen: Model, asked: ReadonlySet<number>, commandOf: CommandOf): Model {
  const processes = new Map<string, ReportedProcess>();
  const left: ReportedProcess[] = [];
  const come: ReportedProcess[] = [];
  for (const [key, row] of before.processes) {
    const now = asked.has(row.pid) ? seen.processes.get(key) : row;
    if (now === row || (now !== undefined && sameProcess(row, now))) {
      processes.set(key, row);
      continue;
    }
    left.push(row);
    if (now === undefined) continue;
    come.push(now);
    processes.set(key, now);
  }
  for (const [key, row] of seen.processes) {
    if (processes.has(key)) continue;
    come.push(row);
    processes.set(key, row);
  }
  if (left.length === 0 && come.length === 0) return before;

  const namespaces = new Map(before.namespaces);
  for (const [key, row] of seen.namespaces) if (!namespaces.has(key)) namespaces.set(key, { ...row, processCount: 0, leader: null });
  const references = withoutEnded(before.references, left, processes);
  const leftPids = new Set(left.map(({ pid }) => pid));
  for (const change of membersChanged(left, come).values()) {
    const row = namespaces.get(`${change.type} ${change.key}`);
    if (row !== undefined) namespaces.set(namespaceMapKey(row), recount(row, change, leftPids, processes, commandOf));
  }
  dropUnheld(namespaces, processes, references);
  return { namespaces, processes, references, counts: { ...before.counts, processes: processes.size } };
}

/** Without the namespaces that nothing in the model holds. */
export function withoutUnheld(model: Model): Model {
  const namespaces = new Map(model.namespaces);
  dropUnheld(namespaces, model.processes, model.references);
  return { ...model, namespaces };
}

type Change = { type: NamespaceType; position: number; key: NamespaceKey; delta: number; lowest: ReportedProcess | null };

/** By namespace: how many members more it has, and which of those that were looked at has the lowest pid. */
function membersChanged(left: Iterable<ReportedProcess>, come: Iterable<ReportedProcess>): Map<string, Change> {
  const changes = new Map<string, Change>();
  const each = (row: ReportedProcess, delta: number): void => {
    namespaceTypes.forEach((type, position) => {
      const key = row.namespaces[position];
      if (key === null || key === undefined) return;
      const name = `${type} ${key}`;
      const change = changes.get(name) ?? { type, position, key, delta: 0, lowest: null };
      change.delta += delta;
      if (delta > 0 && (change.lowest === null || row.pid < change.lowest.pid)) change.lowest = row;
      changes.set(name, change);
    });
  };
  for (const row of left) each(row, -1);
  for (const row of come) each(row, 1);
  return changes;
}

function recount(
  row: ReportedNamespace,
  { delta, lowest, position, key }: Change,
  leftPids: ReadonlySet<number>,
  processes: ReadonlyMap<string, ReportedProcess>,
  commandOf: CommandOf,
): ReportedNamespace {
  const processCount = row.processCount + delta;
  const old = row.leader;
  // One that did not change is still there: only somebody lower can replace it.
  if (old !== null && !leftPids.has(old.pid)) {
    const leader = lowest !== null && lowest.pid < old.pid ? leaderFrom(lowest, commandOf) : old;
    return delta === 0 && leader === old ? row : { ...row, processCount, leader };
  }
  if (processCount === 0) return { ...row, processCount, leader: null };
  // Everybody else in it is above the old one.
  let first = old === null || (lowest !== null && lowest.pid <= old.pid) ? lowest : null;
  if (first === null) {
    for (const process of processes.values()) {
      if (process.namespaces[position] === key && (first === null || process.pid < first.pid)) first = process;
    }
  }
  return { ...row, processCount, leader: first === null ? null : leaderFrom(first, commandOf) };
}

/** Descriptors, sockets and threads end with their process; what else they held is for a full scan to find. */
function withoutEnded(
  references: Model['references'],
  left: readonly ReportedProcess[],
  processes: ReadonlyMap<string, ReportedProcess>,
): Model['references'] {
  const ended = new Set(left.map(processMapKey).filter((key) => !processes.has(key)));
  if (ended.size === 0 || references.size === 0) return references;
  return new Map([...references].filter(([, { pid, start }]) => !ended.has(`${pid} ${start}`)));
}

function dropUnheld(
  namespaces: Map<string, ReportedNamespace>,
  processes: ReadonlyMap<string, ReportedProcess>,
  references: Model['references'],
): void {
  const empty = [...namespaces].filter(([, row]) => row.processCount === 0);
  if (empty.length === 0) return;
  const held = new Map<string, number>();
  const hold = (type: NamespaceType, key: NamespaceKey | null, count = 1): void => {
    if (key !== null) held.set(`${type} ${key}`, (held.get(`${type} ${key}`) ?? 0) + count);
  };
  for (const row of processes.values()) {
    const [pid = null, time = null] = row.forChildren;
    hold('pid', pid);
    hold('time', time);
  }
  for (const row of references.values()) hold(row.type, row.key);
  for (const row of namespaces.values()) holdAbove(row, hold, 1);
  // Whatever goes may have been the last that held another one.
  for (let gone = empty.filter(([name]) => !held.get(name)); gone.length > 0;) {
    for (const [name, row] of gone) {
      namespaces.delete(name);
      holdAbove(row, hold, -1);
    }
    gone = empty.filter(([name]) => namespaces.has(name) && !held.get(name));
  }
}

function holdAbove(
  row: ReportedNamespace,
  hold: (type: NamespaceType, key: NamespaceKey | null, count: number) => void,
  count: number,
): void {
  if (row.parent !== null) hold(row.type, row.parent, count);
  if (row.owner !== null) hold('user', row.owner, count);
}
