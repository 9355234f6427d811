import { availableParallelism } from 'node:os';
import type { Calls, ScanRows } from './calls.ts';
import { mergeScans } from './merge-scans.ts';
import { check, errorBuffer } from './native-error.ts';
import { decodeNeeded, decodeScan } from './rows.ts';
import type { Scan } from './types.ts';

const ENOSPC = 28;
/** Rows of the first buffer: 0.5 MiB. It grows to what the host needs and stays so. */
const firstRows = { processes: 4096, namespaces: 1024 };
/** The host may grow while the scan is repeated with a larger buffer; beyond this something is wrong. */
const attemptsMax = 10;
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
  const idle: ArrayBuffer[] = [];
  return async (proc, pids) => {
    const limit = { ...firstPidRows, processes: Math.max(firstPidRows.processes, pids.length) };
    return grow(calls, idle, limit, proc, (room, buffer, error) => calls.scanPids(proc, Int32Array.from(pids), room, buffer, error));
  };
}

/** One part of a scan. */
function createPass(calls: Calls, rows: ScanRows): (proc: string, which: { part: number; parts: number }) => Promise<Scan> {
  const limit = { ...rows };
  const idle: ArrayBuffer[] = [];
  return (proc, which) => grow(calls, idle, limit, proc, (room, buffer, error) => calls.scan(proc, which, room, buffer, error));
}

/** A scan, repeated with a larger buffer as long as the rows do not fit; `limit` keeps what was enough. */
async function grow(
  calls: Calls,
  idle: ArrayBuffer[],
  limit: ScanRows,
  proc: string,
  scan: (room: ScanRows, buffer: Uint8Array, error: Uint8Array) => Promise<number>,
): Promise<Scan> {
  const error = errorBuffer();
  let result = 0;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const room = { ...limit };
    const buffer = takeBuffer(idle, calls.scanBytes(room.processes, room.namespaces));
    result = await scan(room, new Uint8Array(buffer), error);
    if (result === -ENOSPC) {
      const needed = decodeNeeded(buffer);
      limit.processes = Math.max(limit.processes, Math.ceil(needed.processes * 1.25));
      limit.namespaces = Math.max(limit.namespaces, needed.namespaces);
      continue;
    }
    check(result, error, 'scan', proc);
    const decoded = decodeScan(buffer);
    if (idle.length < 2) idle.push(buffer);
    return decoded;
  }
  check(result, error, 'scan', proc);
  throw new Error('unreachable: the last attempt failed with ENOSPC');
}

/** An idle buffer of that size; idle ones of another size, from before it grew, are dropped. */
function takeBuffer(idle: ArrayBuffer[], bytes: number): ArrayBuffer {
  for (let buffer = idle.pop(); buffer !== undefined; buffer = idle.pop()) if (buffer.byteLength === bytes) return buffer;
  return new ArrayBuffer(bytes);
}
