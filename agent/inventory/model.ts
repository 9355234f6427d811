/**
 * Scan rows → the keyed model that reports are made from. Pure.
 */
import type { ProcessRow, Scan } from '#native/types.ts';
import type { ReportedNamespace, ReportedProcess, ReportedReference, ScanCounts } from '#shared/inventory.ts';
import { namespaceKey, namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import { rawText } from '#shared/raw-text.ts';
import type { Discovery } from './discover.ts';
import { nextGenerations } from './generation-rule.ts';
import type { Generations } from './generation-rule.ts';
import { reportReference } from './references.ts';
import type { Keyed } from './references.ts';

export type Model = {
  /** by `type key` */
  namespaces: ReadonlyMap<string, ReportedNamespace>;
  /** by `pid start` */
  processes: ReadonlyMap<string, ReportedProcess>;
  /** by id */
  references: ReadonlyMap<string, ReportedReference>;
  counts: ScanCounts;
};

export const emptyModel: Model = {
  namespaces: new Map(),
  processes: new Map(),
  references: new Map(),
  counts: { processes: 0, threads: 0, unreadable: 0, vanished: 0, hidden: {}, partial: false, durationMicros: 0 },
};

export const namespaceMapKey = (row: { type: string; key: NamespaceKey }): string => `${row.type} ${row.key}`;
export const processMapKey = (row: { pid: number; start: string }): string => `${row.pid} ${row.start}`;

export type CommandOf = (pid: number, start: string, comm: string) => string;

/**
 * `commandOf` gives a leader's command line, already cut, as raw text; `durationMicros` is how long the scan took. `asked`: the scan is of
 * these processes only, so what else it does not show is not absent.
 */
export function buildModel(
  scan: Scan & Partial<Discovery>,
  generations: Generations,
  commandOf: CommandOf,
  durationMicros: number,
  asked: ReadonlySet<number> | null = null,
): { model: Model; generations: Generations } {
  const next = nextGenerations(scan, generations, asked);
  const keys = scan.namespaces.map((row) => namespaceKey(row.inode, row.id, row.id === null ? (next.get(row.inode)?.generation ?? 0) : 0));
  const keyAt = (index: number | undefined): NamespaceKey | null => (index === undefined ? null : (keys[index] ?? null));
  const byPid = new Map(scan.processes.map((row) => [row.pid, row]));

  const namespaces = new Map<string, ReportedNamespace>();
  scan.namespaces.forEach((row, index) => {
    const key = keys[index];
    if (key === undefined) return;
    const reported: ReportedNamespace = {
      type: row.type,
      key,
      inode: row.inode,
      parent: keyAt(row.parentIndex),
      owner: keyAt(row.ownerIndex),
      ownerUid: row.ownerUid,
      processCount: row.processCount,
      leader: leaderOf(byPid.get(row.leaderPid), commandOf),
      names: [],
      details: null,
    };
    namespaces.set(namespaceMapKey(reported), reported);
  });

  const processes = new Map<string, ReportedProcess>();
  for (const row of scan.processes) {
    const reported: ReportedProcess = {
      pid: row.pid,
      start: row.startTicks,
      ppid: row.ppid,
      uid: row.uid,
      comm: commText(row),
      namespaces: namespaceTypes.map((_, position) => keyAt(row.ns[position])),
      forChildren: [forChildren(row, pidPosition, pidForChildren, keyAt), forChildren(row, timePosition, timeForChildren, keyAt)],
    };
    processes.set(processMapKey(reported), reported);
  }
  const references = new Map<string, ReportedReference>();
  const keyedAt = (index: number): Keyed | null => {
    const row = scan.namespaces[index];
    const key = keys[index];
    return row === undefined || key === undefined ? null : { row, key };
  };
  for (const row of scan.references ?? []) {
    const reported = reportReference(row, keyedAt);
    if (reported !== null) references.set(reported.id, reported);
  }

  const hidden = scan.hidden ?? {};
  const { EACCES, EPERM, other } = scan.counts.unreadable;
  const unreadable = EACCES + EPERM + other;
  const counts: ScanCounts = {
    processes: scan.processes.length,
    threads: scan.threads ?? 0,
    unreadable,
    vanished: scan.counts.vanished,
    hidden,
    partial: unreadable > 0 || Object.keys(hidden).length > 0,
    durationMicros,
  };
  return { model: { namespaces, processes, references, counts }, generations: next };
}

const pidPosition = namespaceTypes.indexOf('pid');
const timePosition = namespaceTypes.indexOf('time');
const pidForChildren = namespaceTypes.length;
const timeForChildren = namespaceTypes.length + 1;

/** The kernel's bytes come one character each. */
function commText({ comm }: ProcessRow): string {
  return rawText(Buffer.from(comm, 'latin1'));
}

function forChildren(
  row: ProcessRow,
  own: number,
  children: number,
  keyAt: (index: number | undefined) => NamespaceKey | null,
): NamespaceKey | null {
  return row.ns[children] === row.ns[own] ? null : keyAt(row.ns[children]);
}

function leaderOf(row: ProcessRow | undefined, commandOf: CommandOf): ReportedNamespace['leader'] {
  if (row === undefined) return null;
  return { pid: row.pid, uid: row.uid, comm: commText(row), command: commandOf(row.pid, row.startTicks, commText(row)) };
}

/** A namespace's leader from its row of the model. */
export function leaderFrom({ pid, uid, comm, start }: ReportedProcess, commandOf: CommandOf): ReportedNamespace['leader'] {
  return { pid, uid, comm, command: commandOf(pid, start, comm) };
}

/** After a patch: the inodes of namespaces that went with it are free for others. */
export function withoutEnded(generations: Generations, before: Model, after: Model): Generations {
  if (generations.size === 0) return generations;
  const next = new Map(generations);
  for (const [key, { inode }] of before.namespaces) {
    const seen = next.get(inode);
    if (seen !== undefined && !after.namespaces.has(key)) next.set(inode, { ...seen, present: false });
  }
  return next;
}
