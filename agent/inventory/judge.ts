/**
 * What a full scan finds that should have been heard of. Pure but for its memory. What a scan alone can find (descriptors, sockets,
 * mounts, what namespaces are like inside) is nobody's miss.
 */
import type { ReportedProcess } from '#shared/inventory.ts';
import { sameProcess } from './diff.ts';
import type { Model } from './model.ts';

/** kthreadd's children: a worker's name tells what it works on, which nobody announces. */
const kthreadd = 2;

export type Judge = {
  /** A full scan begins: what is heard from now on may be in it or not. */
  begin(): void;
  heard(pid: number): void;
  /** The scan's model beside the one that was kept until then. Processes that differ are missed, unless they are heard of before `settle`. */
  compare(kept: Model, scanned: Model): void;
  /** The pids that were missed; forgets them. */
  settle(): number[];
};

export function createJudge(): Judge {
  let heard: Set<number> | null = null;
  let suspects: { pid: number; ppid: number }[] = [];
  return {
    begin() {
      heard = new Set();
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
      return suspects.splice(0).flatMap(({ pid, ppid }) => (told.has(pid) || told.has(ppid) ? [] : [pid]));
    },
  };
}

function* differing(kept: Model, scanned: Model): Generator<ReportedProcess> {
  for (const [key, row] of kept.processes) {
    const now = scanned.processes.get(key);
    if (now === undefined || !sameProcess(row, now)) yield row;
  }
  for (const [key, row] of scanned.processes) if (!kept.processes.has(key)) yield row;
}
