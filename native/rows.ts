/** Decodes the buffer that nsf_scan fills. Pure; typed arrays, because koffi's structs cost 20 times more a row. */
import { namespaceTypes } from '#shared/namespace.ts';
import { nsfNamespace, nsfProcess, nsfScan, nsfTasks, nsfThread } from './layout.ts';
import { namespaceLinks } from './types.ts';
import type { NamespaceRow, ProcessRow, Scan, TaskScan, ThreadRow } from './types.ts';

const OWN_FILES = 1;

/** The whole scan; BUFFER must be one that nsf_scan filled and answered 0 for. */
export function decodeScan(buffer: ArrayBuffer): Scan {
  const view = new DataView(buffer);
  const head = (field: readonly [number, number]): number => view.getUint32(field[0], true);
  const processAt = Number(view.getBigUint64(nsfScan.process_offset[0], true));
  const namespaceAt = Number(view.getBigUint64(nsfScan.namespace_offset[0], true));
  const processes = decodeProcesses(buffer, processAt, head(nsfScan.process_count));
  const namespaces = Array.from({ length: head(nsfScan.namespace_count) }, (_, row) =>
    decodeNamespace(view, namespaceAt + row * nsfNamespace.whole),
  );
  const counts = {
    processes: processes.length,
    namespaces: namespaces.length,
    vanished: head(nsfScan.vanished),
    unreadable: { EACCES: head(nsfScan.unreadable_eacces), EPERM: head(nsfScan.unreadable_eperm), other: head(nsfScan.unreadable_other) },
    unpinned: head(nsfScan.unpinned),
  };
  return { processes, namespaces, counts };
}

/** Rows that would have been enough when the scan said ENOSPC; 0: enough already. */
export function decodeNeeded(buffer: ArrayBuffer): { processes: number; namespaces: number } {
  const view = new DataView(buffer);
  return { processes: view.getUint32(nsfScan.process_needed[0], true), namespaces: view.getUint32(nsfScan.namespace_needed[0], true) };
}

/** The whole task pass; as decodeScan, of nsf_tasks. */
export function decodeTasks(buffer: ArrayBuffer): TaskScan {
  const view = new DataView(buffer);
  const threadAt = Number(view.getBigUint64(nsfTasks.thread_offset[0], true));
  const count = view.getUint32(nsfTasks.thread_count[0], true);
  const threadRows = Array.from({ length: count }, (_, row) => decodeThread(view, threadAt + row * nsfThread.whole));
  return { ...decodeScan(buffer), threadRows };
}

export function decodeTasksNeeded(buffer: ArrayBuffer): { processes: number; namespaces: number; threads: number } {
  return { ...decodeNeeded(buffer), threads: new DataView(buffer).getUint32(nsfTasks.thread_needed[0], true) };
}

function decodeThread(view: DataView, at: number): ThreadRow {
  return {
    pid: view.getInt32(at + nsfThread.pid[0], true),
    tid: view.getInt32(at + nsfThread.tid[0], true),
    startTicks: decimalAt(view, at + nsfThread.start_ticks[0]),
    ownFiles: (view.getUint32(at + nsfThread.flags[0], true) & OWN_FILES) !== 0,
    ns: namespaceLinks.map((_, link) => view.getInt32(at + nsfThread.ns[0] + link * 4, true)),
  };
}

function decodeProcesses(buffer: ArrayBuffer, offset: number, count: number): ProcessRow[] {
  const rows: ProcessRow[] = [];
  const words = new Int32Array(buffer, offset, (count * nsfProcess.whole) / 4);
  const bytes = Buffer.from(buffer, offset, count * nsfProcess.whole);
  for (let row = 0; row < count; row++) {
    const byte = row * nsfProcess.whole;
    const word = byte / 4;
    const at = (index: number): number => words[word + index] ?? 0;
    const commAt = byte + nsfProcess.comm[0];
    rows.push({
      pid: at(nsfProcess.pid[0] / 4),
      ppid: at(nsfProcess.ppid[0] / 4),
      // Two halves and no BigInt: exact below 2^53 ticks, which is three million years.
      startTicks: String((at(1) >>> 0) * 0x1_0000_0000 + (at(0) >>> 0)),
      uid: at(nsfProcess.uid[0] / 4) >>> 0,
      state: String.fromCharCode(bytes[byte + nsfProcess.state[0]] ?? 0),
      comm: bytes.toString('latin1', commAt, commAt + (bytes[byte + nsfProcess.comm_bytes[0]] ?? 0)),
      ns: Array.from(words.subarray(word + nsfProcess.ns[0] / 4, word + nsfProcess.ns[0] / 4 + namespaceLinks.length)),
    });
  }
  return rows;
}

/** One row of struct nsf_namespace. */
export function decodeNamespace(view: DataView, at: number): NamespaceRow {
  const type = namespaceTypes[view.getInt32(at + nsfNamespace.type[0], true)];
  if (type === undefined) throw new RangeError('the scan holds a namespace of an unknown type');
  const ownerUid = view.getInt32(at + nsfNamespace.owner_uid[0] + 4, true) < 0 ? null : numberAt(view, at + nsfNamespace.owner_uid[0]);
  return {
    type,
    inode: numberAt(view, at + nsfNamespace.inode[0]),
    dev: numberAt(view, at + nsfNamespace.dev[0]),
    id: decodeId(view, at + nsfNamespace.id[0]),
    parentIndex: view.getInt32(at + nsfNamespace.parent[0], true),
    ownerIndex: view.getInt32(at + nsfNamespace.owner[0], true),
    ownerUid,
    processCount: view.getUint32(at + nsfNamespace.process_count[0], true),
    leaderPid: view.getInt32(at + nsfNamespace.leader_pid[0], true),
    leaderStartTicks: decimalAt(view, at + nsfNamespace.leader_start_ticks[0]),
  };
}

/** A 64-bit namespace id as decimal text; null for 0, which is "the kernel has none". */
export function decodeId(view: DataView, at: number): string | null {
  const id = decimalAt(view, at);
  return id === '0' ? null : id;
}

/** An unsigned number of 64 bits as decimal text. A BigInt only beyond 2^53: it costs ten times as much. */
function decimalAt(view: DataView, at: number): string {
  const high = view.getUint32(at + 4, true);
  return high < 0x20_0000 ? String(high * 0x1_0000_0000 + view.getUint32(at, true)) : view.getBigUint64(at, true).toString();
}

/** Likewise as a number, which must be below 2^53. */
function numberAt(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
