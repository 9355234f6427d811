/** One limited look: which processes must be read again after what was heard, and what only a full scan can tell. */
import { readFileSync } from 'node:fs';
import type { Native } from '#native/binding.ts';
import type { Scan } from '#native/types.ts';
import { changeKinds } from '../changes/records.ts';
import { processMapKey } from './model.ts';
import type { Model } from './model.ts';

/** An exit is heard at its beginning. A process with much memory takes a while to leave its namespaces. */
const exitAgainMs = [50, 200, 800, 2000];

export type Round = {
  /** Reads the processes. `asked` are those that were read; the ones without a row are gone. */
  look(model: Model, heard: ReadonlyMap<number, number>): Promise<{ rows: Scan; asked: ReadonlySet<number>; wantsFull: boolean }>;
  close(): void;
};

export type RoundParts = { native: Pick<Native, 'scanPids'>; again: (pid: number, kinds: number) => void };

export function createRound({ native, again }: RoundParts): Round {
  const exiting = new Map<number, number>();
  const timers = new Set<NodeJS.Timeout>();

  /** What still lives after its exit was heard is asked for again, some times; then the full scan sees to it. */
  const followExits = (heard: ReadonlyMap<number, number>, rows: Scan): void => {
    const states = new Map(rows.processes.map(({ pid, state }) => [pid, state]));
    for (const [pid, kinds] of heard) {
      const state = states.get(pid);
      if ((kinds & changeKinds.exit) === 0 || state === undefined || state === 'Z' || state === 'X') {
        exiting.delete(pid);
        continue;
      }
      const attempt = exiting.get(pid) ?? 0;
      const waitMs = exitAgainMs[attempt];
      if (waitMs === undefined) {
        exiting.delete(pid);
        continue;
      }
      exiting.set(pid, attempt + 1);
      const timer = setTimeout(() => {
        timers.delete(timer);
        again(pid, changeKinds.exit);
      }, waitMs);
      timers.add(timer);
    }
  };

  return {
    async look(model, heard) {
      const { pids, wantsFull } = whom(model, heard);
      const rows = await native.scanPids([...pids]);
      followExits(heard, rows);
      const hidden = hiddenFrom(rows, model);
      if (hidden.size === 0) return { rows, asked: pids, wantsFull };
      for (const pid of hidden) pids.delete(pid);
      return { rows: { ...rows, processes: rows.processes.filter(({ pid }) => !hidden.has(pid)) }, asked: pids, wantsFull: true };
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

/** A task iterator sees what /proc refuses: of such a process what is known stays until the next full scan. */
function hiddenFrom(rows: Scan, model: Model): Set<number> {
  const hidden = new Set<number>();
  for (const { pid, startTicks, state, ns } of rows.processes) {
    if (state === 'Z' || state === 'X') continue;
    const known = model.processes.get(processMapKey({ pid, start: startTicks }));
    if (known?.namespaces.some((key, position) => key !== null && ns[position] === -1) === true) hidden.add(pid);
  }
  return hidden;
}

function whom(model: Model, heard: ReadonlyMap<number, number>): { pids: Set<number>; wantsFull: boolean } {
  const pids = new Set<number>();
  const ended = new Set<number>();
  let wantsFull = false;
  for (const [pid, kinds] of heard) {
    pids.add(pid);
    if ((kinds & changeKinds.mount) !== 0) wantsFull = true;
    if ((kinds & (changeKinds.exit | changeKinds.gone)) !== 0) ended.add(pid);
    // A thread that went elsewhere than its process is for a full scan to find.
    if (kinds === changeKinds.namespaces && isThread(pid)) wantsFull = true;
  }
  // Children of what ended have another parent now.
  if (ended.size > 0) for (const { pid, ppid } of model.processes.values()) if (ended.has(ppid)) pids.add(pid);
  return { pids, wantsFull };
}

function isThread(tid: number): boolean {
  try {
    const process = /\nTgid:\t(\d+)\n/.exec(readFileSync(`/proc/${tid}/status`, 'latin1'))?.[1];
    return process !== undefined && Number(process) !== tid;
  } catch {
    return false;
  }
}
