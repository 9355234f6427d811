/**
 * What one part of a scan keeps from one pass to the next: the buffer of the last one, by which the library knows what has not run since. Such a
 * process has the row that it had, but for its parent, which may have ended.
 */
import { nsfProcess, nsfScan } from './layout.ts';
import type { ProcessRow, Scan } from './types.ts';

/** The slow scan is the judge of what was missed: it must not go by its own memory for ever. */
const passesMax = 16;
const REMEMBERED = 2;

export type ScanMemory = {
  /** What the next pass over `proc` is to be given. */
  before(proc: string): Uint8Array;
  /** No pass may be relied on: every process is read again. */
  forget(): void;
  /** The pass that was given `before` has filled BUFFER. Returns a buffer that nothing reads any more. */
  keep(buffer: ArrayBuffer, proc: string): ArrayBuffer | null;
  /** The pass that was given `before` has failed. */
  drop(): void;
};

export function createScanMemory(): ScanMemory {
  /** A head that counts no rows. */
  const nothing = new ArrayBuffer(nsfScan.whole);
  let last = nothing;
  let place = '';
  let passes = 0;
  let reading = 0;
  return {
    before(proc) {
      // Pids of another procfs are other processes.
      if (place !== proc || passes >= passesMax) this.forget();
      reading += 1;
      return new Uint8Array(last);
    },
    forget() {
      last = nothing;
      passes = 0;
    },
    keep(buffer, proc) {
      reading -= 1;
      const free = reading > 0 || last === nothing ? null : last;
      passes += 1;
      last = buffer;
      place = proc;
      return free;
    },
    drop() {
      reading -= 1;
    },
  };
}

/** One part as it was decoded, its buffer, and which of its rows were not read again. */
export type RememberedScan = { scan: Scan; remembered: readonly number[]; buffer: ArrayBuffer };

/** Indexes of the rows in BUFFER, which nsf_scan filled, that are as an earlier pass read them. */
export function decodeRemembered(buffer: ArrayBuffer): number[] {
  const view = new DataView(buffer);
  const start = rowsAt(view);
  const rows: number[] = [];
  for (let row = 0; row < view.getUint32(nsfScan.process_count[0], true); row++) {
    if ((view.getUint16(start + row * nsfProcess.whole + nsfProcess.flags[0], true) & REMEMBERED) !== 0) rows.push(row);
  }
  return rows;
}

/**
 * Gives remembered rows of the parts of one scan another parent where theirs may have ended. `read` reads single processes. The kernel gives a
 * process another parent when that ends, also where it stays a zombie for some time.
 */
export async function correctParents(parts: readonly RememberedScan[], read: (pids: readonly number[]) => Promise<Scan>): Promise<void> {
  const byPid = new Map(parts.flatMap(({ scan }) => scan.processes.map((row) => [row.pid, row] as const)));
  const same = new Set(parts.flatMap(({ scan, remembered }) => remembered.map((index) => scan.processes[index])));
  const isParent = (parent: ProcessRow | undefined, { ppid, startTicks }: ProcessRow): boolean => {
    if (ppid === 0) return true;
    if (parent === undefined || parent.state === 'Z' || parent.state === 'X') return false;
    // What began after its child, or in the same tick, may be another process of the parent's pid, unless it is known to be the same.
    const earlier = Number(startTicks) - Number(parent.startTicks);
    return earlier > 0 || (earlier === 0 && same.has(parent));
  };
  const orphans = parts.flatMap((part) =>
    part.remembered.flatMap((index) => {
      const row = part.scan.processes[index];
      return row === undefined || isParent(byPid.get(row.ppid), row) ? [] : [{ row, index, buffer: part.buffer }];
    }),
  );
  if (orphans.length === 0) return;
  const { processes } = await read(orphans.map(({ row }) => row.pid));
  const fresh = new Map(processes.map((row) => [row.pid, row]));
  for (const { row, index, buffer } of orphans) {
    const now = fresh.get(row.pid);
    if (now?.startTicks !== row.startTicks) continue;
    row.ppid = now.ppid;
    // In the memory, too, or it would be asked for each time.
    const view = new DataView(buffer);
    view.setInt32(rowsAt(view) + index * nsfProcess.whole + nsfProcess.ppid[0], now.ppid, true);
  }
}

function rowsAt(view: DataView): number {
  return Number(view.getBigUint64(nsfScan.process_offset[0], true));
}
