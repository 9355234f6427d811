import { availableParallelism } from 'node:os';
import type { Calls, ScanRows } from './calls.ts';
import { createGrowing } from './growing-buffer.ts';
import type { RowsCall } from './growing-buffer.ts';
import { mergeScans } from './merge-scans.ts';
import { decodeNeeded, decodeScan } from './rows.ts';
import type { Scan } from './types.ts';

/** Rows of the first buffer: 0.5 MiB. It grows to what the host needs and stays so. */
const firstRows = { processes: 4096, namespaces: 1024 };
/** From so many processes on, two threads share the scan: 44 ms became 25 at 1,000. Below, the second thread saves under 5 ms. */
const sharedFrom = 256;

export type Scanner = (proc: string) => Promise<Scan>;

/** A scanner that keeps its buffers between scans; scans at the same time get their own. */
export function createScanner(calls: Calls, rows: ScanRows = firstRows): Scanner {
  const pass = createPass(calls, rows);
  const partsMax = Math.min(2, availableParallelism());
  let seen = 0;
  return async (proc) => {
    const parts = seen >= sharedFrom ? partsMax : 1;
    const scans = await Promise.all(Array.from({ length: parts }, (_, part) => pass(proc, { part, parts })));
    const scan = scans.reduce(mergeScans);
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
    repeat({ ...scanOf(calls, proc), call: (room, buffer, error) => calls.scanPids(proc, Int32Array.from(pids), room, buffer, error) });
}

/** One part of a scan. */
function createPass(calls: Calls, rows: ScanRows): (proc: string, which: { part: number; parts: number }) => Promise<Scan> {
  const repeat = createGrowing(rows);
  return (proc, which) => repeat({ ...scanOf(calls, proc), call: (room, buffer, error) => calls.scan(proc, which, room, buffer, error) });
}

function scanOf(calls: Calls, proc: string): Omit<RowsCall<ScanRows, Scan>, 'call'> {
  return {
    bytesOf: ({ processes, namespaces }) => calls.scanBytes(processes, namespaces),
    neededOf: decodeNeeded,
    decode: decodeScan,
    attempted: 'scan',
    target: proc,
  };
}
