import type { Calls } from './calls.ts';
import { check, errorBuffer } from './native-error.ts';
import { decodeNeeded, decodeScan } from './rows.ts';
import type { Scan } from './types.ts';

const ENOSPC = 28;
/** Rows of the first buffer: 0.5 MiB. It grows to what the host needs and stays so. */
const firstRows = { processes: 4096, namespaces: 1024 };
/** The host may grow while the scan is repeated with a larger buffer; beyond this something is wrong. */
const attemptsMax = 10;

export type Scanner = (proc: string) => Promise<Scan>;

/** A scanner that keeps its buffer between scans; scans at the same time get one each. */
export function createScanner(calls: Calls, rows: { processes: number; namespaces: number } = firstRows): Scanner {
  const limit = { ...rows };
  let idle: ArrayBuffer | undefined;
  return async (proc) => {
    const error = errorBuffer();
    let result = 0;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { processes, namespaces } = limit;
      const bytes = calls.scanBytes(processes, namespaces);
      const buffer = idle?.byteLength === bytes ? idle : new ArrayBuffer(bytes);
      idle = undefined;
      result = await calls.scan(proc, processes, namespaces, new Uint8Array(buffer), error);
      if (result === -ENOSPC) {
        const needed = decodeNeeded(buffer);
        limit.processes = Math.max(limit.processes, Math.ceil(needed.processes * 1.25));
        limit.namespaces = Math.max(limit.namespaces, needed.namespaces);
        continue;
      }
      check(result, error, 'scan', proc);
      const scan = decodeScan(buffer);
      idle = buffer;
      return scan;
    }
    check(result, error, 'scan', proc);
    throw new Error('unreachable: the last attempt failed with ENOSPC');
  };
}
