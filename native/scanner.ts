import { availableParallelism } from 'node:os';
import type { Calls, ScanRows } from './calls.ts';
import { createGrowing } from './growing-buffer.ts';
import type { RowsCall } from './growing-buffer.ts';
import { mergeScans } from './merge-scans.ts';
import { decodeNeeded, decodeScan } from './rows.ts';
import { correctParents, createScanMemory, decodeRemembered } from './scan-memory.ts';
import type { RememberedScan } from './scan-memory.ts';
import type { Scan } from './types.ts';

/** Rows of the first buffer: 0.6 MiB. It grows to what the host needs and stays so. */
const firstRows = { processes: 4096, namespaces: 1024 };
/** From so many processes on, two threads share the scan: 44 ms became 25 at 1,000. Below, the second thread saves under 5 ms. */
const sharedFrom = 256;
const ESTALE = 116;

export type Scanner = (proc: string, fresh?: boolean) => Promise<Scan>;

/**
 * A scanner that keeps its buffers between scans, and what has not run since the last one is not read again. `fresh`: everything is read, and
 * nothing remembered. Scans at the same time get their own buffers.
 */
export function createScanner(calls: Calls, rows: ScanRows = firstRows): Scanner {
  const passes = Array.from({ length: Math.min(2, availableParallelism()) }, () => createPass(calls, rows));
  const readSome = createPidScanner(calls);
  let seen = 0;
  return async (proc, fresh = false) => {
    const sharing = seen >= sharedFrom ? passes : passes.slice(0, 1);
    const parts = await Promise.all(sharing.map((pass, part) => pass(proc, { part, parts: sharing.length }, fresh)));
    await correctParents(parts, (pids) => readSome(proc, pids));
    const scan = parts.map((part) => part.scan).reduce(mergeScans);
    seen = scan.processes.length;
    return scan;
  };
}

/** Enough for the few processes of a usual change, with their namespaces and those above them: 40 KiB. */
const firstPidRows = { processes: 64, namespaces: 256 };

export type PidScanner = (proc: string, pids: readonly number[]) => Promise<Scan>;

/** Reads single processes. See `Native.scanPids`. */
export function createPidScanner(calls: Calls): PidScanner {
  const repeat = createGrowing(firstPidRows);
  return (proc, pids) =>
    repeat({
      ...rowsOf(calls, proc),
      decode: decodeScan,
      call: (room, buffer, error) => calls.scanPids(proc, Int32Array.from(pids), room, buffer, error),
    });
}

type Pass = (proc: string, which: { part: number; parts: number }, fresh: boolean) => Promise<RememberedScan>;

/** One part of a scan. */
function createPass(calls: Calls, rows: ScanRows): Pass {
  const repeat = createGrowing(rows);
  const memory = createScanMemory();
  return async (proc, which, fresh) => {
    const about = {
      ...rowsOf(calls, proc),
      decode: (buffer: ArrayBuffer): RememberedScan => ({ scan: decodeScan(buffer), remembered: decodeRemembered(buffer), buffer }),
    };
    if (fresh) return repeat({ ...about, call: (room, buffer, error) => calls.scan(proc, which, null, room, buffer, error) });
    let before = memory.before(proc);
    try {
      return await repeat({
        ...about,
        call: async (room, buffer, error) => {
          const result = await calls.scan(proc, which, before, room, buffer, error);
          if (result !== -ESTALE) return result;
          memory.forget();
          memory.drop();
          before = memory.before(proc);
          return calls.scan(proc, which, before, room, buffer, error);
        },
        free: (buffer) => memory.keep(buffer, proc),
      });
    } catch (error) {
      memory.drop();
      throw error;
    }
  };
}

function rowsOf(calls: Calls, proc: string): Pick<RowsCall<ScanRows, Scan>, 'bytesOf' | 'neededOf' | 'attempted' | 'target'> {
  return {
    bytesOf: ({ processes, namespaces }) => calls.scanBytes(processes, namespaces),
    neededOf: decodeNeeded,
    attempted: 'scan',
    target: proc,
  };
}
