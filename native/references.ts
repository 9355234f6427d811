/** Decodes the buffer that nsf_references and nsf_mounts fill. Pure. */
import type { FoundRoom } from './calls.ts';
import { nsfFound, nsfNamespace, nsfReference } from './layout.ts';
import { decodeNamespace } from './rows.ts';
import { referenceKinds } from './types.ts';
import type { NamespaceRow, ReferenceRow, References } from './types.ts';

/** enum nsf_hidden: these three times each, as EACCES, EPERM and all else … */
const byErrno = ['fd', 'thread', 'thread_fd', 'socket', 'tun', 'namespace', 'mountinfo', 'mount_namespace'] as const;
/** … then these once. */
const once = ['covered_mount', 'listns'] as const;
const hiddenNames = [...byErrno.flatMap((name) => [`${name}_eacces`, `${name}_eperm`, `${name}_other`]), ...once];
if (hiddenNames.length * 4 !== nsfFound.hidden[1]) throw new Error('the reasons of nsfleet.h have other names here');

/** What a search tells of itself, beside what it found. */
export type FoundCounts = {
  processes: number;
  /** Those of them that had not run since they were looked into. */
  idle: number;
  idleKnown: number;
  threadsPresent: number;
  threadsCounted: number;
  sockets: number;
  socketsKnown: number;
};

/** `same`: pids of processes that hold what they held at the last search. */
export type Found = { found: References; same: number[]; counts: FoundCounts };

/** NSF_SAME of enum nsf_kind. */
const sameKind = referenceKinds.length;

/** The whole of it; BUFFER must be one that nsf_references or nsf_mounts filled and answered 0 for. */
export function decodeFound(buffer: ArrayBuffer): Found {
  const view = new DataView(buffer);
  const head = (field: readonly [number, number]): number => view.getUint32(field[0], true);
  const offset = (field: readonly [number, number]): number => Number(view.getBigUint64(field[0], true));
  const namespaceAt = offset(nsfFound.namespace_offset);
  const namespaces = rows(head(nsfFound.namespace_count), (row): NamespaceRow =>
    decodeNamespace(view, namespaceAt + row * nsfNamespace.whole),
  );
  const referenceAt = offset(nsfFound.reference_offset);
  const textAt = offset(nsfFound.text_offset);
  const references: ReferenceRow[] = [];
  const same: number[] = [];
  for (let row = 0; row < head(nsfFound.reference_count); row++) {
    const at = referenceAt + row * nsfReference.whole;
    if (view.getInt32(at + nsfReference.kind[0], true) === sameKind) same.push(view.getInt32(at + nsfReference.pid[0], true));
    else references.push(decodeReference(view, at, textAt));
  }
  return {
    same,
    found: { references, namespaces, threads: head(nsfFound.threads), hidden: decodeHidden(view) },
    counts: {
      processes: head(nsfFound.processes),
      idle: head(nsfFound.idle),
      idleKnown: head(nsfFound.idle_known),
      threadsPresent: head(nsfFound.threads_present),
      threadsCounted: head(nsfFound.threads_counted),
      socketsKnown: head(nsfFound.sockets_known),
      sockets: head(nsfFound.sockets),
    },
  };
}

/** Room that would have been enough when the search said ENOSPC; 0: enough already. */
export function decodeFoundNeeded(buffer: ArrayBuffer): FoundRoom {
  const view = new DataView(buffer);
  return {
    references: view.getUint32(nsfFound.reference_needed[0], true),
    namespaces: view.getUint32(nsfFound.namespace_needed[0], true),
    textBytes: view.getUint32(nsfFound.text_needed[0], true),
  };
}

function rows<T>(count: number, decode: (row: number) => T): T[] {
  return Array.from({ length: count }, (_, row) => decode(row));
}

function decodeHidden(view: DataView): Record<string, number> {
  const hidden: Record<string, number> = {};
  for (const [index, name] of hiddenNames.entries()) {
    const count = view.getUint32(nsfFound.hidden[0] + index * 4, true);
    if (count > 0) hidden[name] = count;
  }
  return hidden;
}

function decodeReference(view: DataView, at: number, textAt: number): ReferenceRow {
  const int = (field: readonly [number, number]): number => view.getInt32(at + field[0], true);
  const kind = referenceKinds[int(nsfReference.kind)];
  if (kind === undefined) throw new RangeError('the search found a reference of an unknown kind');
  const textStart = textAt + view.getUint32(at + nsfReference.text[0], true);
  const textBytes = view.getUint32(at + nsfReference.text_bytes[0], true);
  const commAt = at + nsfReference.comm[0];
  // Copies: the buffer is used again.
  const copy = (start: number, bytes: number): Uint8Array => new Uint8Array(view.buffer.slice(start, start + bytes) as ArrayBuffer);
  return {
    kind,
    namespaceIndex: int(nsfReference.ns),
    pid: int(nsfReference.pid),
    startTicks: view.getBigUint64(at + nsfReference.start_ticks[0], true).toString(),
    tid: int(nsfReference.tid),
    fd: int(nsfReference.fd),
    uid: view.getUint32(at + nsfReference.uid[0], true),
    comm: copy(commAt, view.getUint8(at + nsfReference.comm_bytes[0])),
    mountNamespaceIndex: int(nsfReference.mount_ns),
    mountId: view.getBigUint64(at + nsfReference.mount_id[0], true).toString(),
    covered: view.getUint8(at + nsfReference.covered[0]) !== 0,
    text: copy(textStart, textBytes),
    family: int(nsfReference.family),
    socketType: int(nsfReference.socket_type),
  };
}
