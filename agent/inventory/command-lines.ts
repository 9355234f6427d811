/**
 * The command lines of namespaces' leaders, read once per process and program. Bounded: at most 4 KiB are read of each, and
 * what is no leader any more is forgotten.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import { rawText, rawTextMaxBytes } from '#shared/raw-text.ts';
import type { CommandOf } from './model.ts';

/** About 20 µs a leader: yield to the event loop after this many. */
const leadersPerTurn = 100;

export type CommandLines = {
  /** Reads what is new in this scan. */
  update(scan: Scan): Promise<void>;
  /** What the last `update` read. */
  of: CommandOf;
  /** Reads what is not known yet: for few processes. */
  readNow: CommandOf;
};

/** `proc` is the procfs that the scan reads. */
export function createCommandLines(proc = '/proc'): CommandLines {
  // comm is part of the key: an exec keeps pid and start time, and changes comm with the command line.
  let known = new Map<string, { comm: string; command: string }>();
  return {
    async update(scan) {
      const next: typeof known = new Map();
      let read = 0;
      for (const { pid, startTicks, comm } of leadersOf(scan)) {
        const key = `${pid} ${startTicks}`;
        if (next.has(key)) continue;
        const old = known.get(key);
        if (old?.comm === comm) {
          next.set(key, old);
          continue;
        }
        next.set(key, { comm, command: readCommandLine(proc, pid, startTicks) });
        read += 1;
        if (read % leadersPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      known = next;
    },
    of: (pid, start) => known.get(`${pid} ${start}`)?.command ?? '',
    readNow(pid, start, comm) {
      const key = `${pid} ${start}`;
      const old = known.get(key);
      if (old?.comm === comm) return old.command;
      const command = readCommandLine(proc, pid, start);
      known.set(key, { comm, command });
      return command;
    },
  };
}

function* leadersOf(scan: Scan): Generator<ProcessRow> {
  const pids = new Set(scan.namespaces.map((row: NamespaceRow) => row.leaderPid));
  for (const row of scan.processes) if (pids.has(row.pid)) yield row;
}

/** Empty for kernel threads, for what has ended, and where the pid has become another process since the scan. */
function readCommandLine(proc: string, pid: number, startTicks: string): string {
  try {
    const bytes = readStart(`${proc}/${pid}/cmdline`);
    if (startOf(readStart(`${proc}/${pid}/stat`).toString('latin1')) !== startTicks) return '';
    return commandText(bytes);
  } catch {
    return '';
  }
}

/** Arguments with spaces between them; NULs at the end go, setproctitle(3) leaves many. */
function commandText(bytes: Uint8Array): string {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return rawText(bytes.subarray(0, end).map((byte) => (byte === 0 ? 0x20 : byte)));
}

/** Field 22 of stat(5). comm, field 2, may hold spaces and parentheses: fields are counted from the last `)`. */
export function startOf(stat: string): string | undefined {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ', 20)[19];
}

function readStart(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(rawTextMaxBytes);
    return buffer.subarray(0, readSync(fd, buffer, 0, rawTextMaxBytes, 0));
  } finally {
    closeSync(fd);
  }
}
