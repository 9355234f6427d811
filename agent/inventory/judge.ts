/**
 * What a full scan finds that should have been heard of. Pure but for its memory. What a scan alone can find (descriptors, sockets,
 * mounts, what namespaces are like inside) is nobody's miss.
 */
import type { ReportedProcess } from '#shared/inventory.ts';
import { sameProcess } from './diff.ts';
import type { Model } from './model.ts';

/** kthreadd's children: a worker's name tells what it works on, which nobody announces. */
const kthreadd = 2;

/** `come`: the scan sees a process that was not known; `gone`: one that was is not there; else the fields that differ. */
export type Miss = { pid: number; comm: string; what: string };

export type Judge = {
  /** A full scan begins. What was heard and is not in the model yet, and what is heard from now on, may be in it or not. */
  begin(waiting: Iterable<number>): void;
  heard(pid: number): void;
  /** The scan's model beside the one that was kept until then. Processes that differ are missed, unless they are heard of before `settle`. */
  compare(kept: Model, scanned: Model): void;
  /** What was missed; forgets it. */
  settle(): Miss[];
};

export function createJudge(): Judge {
  let heard: Set<number> | null = null;
  let suspects: (Miss & { ppid: number })[] = [];
  return {
    begin(waiting) {
      heard = new Set(waiting);
      suspects = [];
    },
    heard(pid) {
      heard?.add(pid);
    },
    compare(kept, scanned) {
      suspects = [...differing(kept, scanned)].filter(({ ppid }) => ppid !== kthreadd);
    },
    settle() {
      const told = heard ?? new Set();
      heard = null;
      // A child that was handed to another parent is told of by the old one's end.
      return suspects.splice(0).flatMap(({ pid, ppid, comm, what }) => (told.has(pid) || told.has(ppid) ? [] : [{ pid, comm, what }]));
    },
  };
}

function* differing(kept: Model, scanned: Model): Generator<Miss & { ppid: number }> {
  const miss = ({ pid, ppid, comm }: ReportedProcess, what: string) => ({ pid, ppid, comm, what });
  for (const [key, row] of kept.processes) {
    const now = scanned.processes.get(key);
    if (now === undefined) yield miss(row, 'gone');
    else if (!sameProcess(row, now)) yield miss(row, fieldsThatDiffer(row, now));
  }
  for (const [key, row] of scanned.processes) if (!kept.processes.has(key)) yield miss(row, 'come');
}

function fieldsThatDiffer(a: ReportedProcess, b: ReportedProcess): string {
  const fields = ['ppid', 'uid', 'comm', 'namespaces', 'forChildren'] as const;
  return fields.filter((field) => String(a[field]) !== String(b[field])).join(' ');
}
