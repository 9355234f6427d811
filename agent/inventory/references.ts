/** References as the native library finds them → rows of the report. Pure. */
import type { NamespaceRow, ReferenceRow } from '#native/types.ts';
import type { ReportedReference } from '#shared/inventory.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import { rawText } from '#shared/raw-text.ts';
import { socketText } from './socket-text.ts';

export type Keyed = { row: NamespaceRow; key: NamespaceKey };

/** `at` gives the namespace of an index; a reference to one that is not there is left out (null). */
export function reportReference(reference: ReferenceRow, at: (index: number) => Keyed | null): ReportedReference | null {
  const held = at(reference.namespaceIndex);
  if (held === null) return null;
  const { kind } = reference;
  const mount = kind === 'mount' ? at(reference.mountNamespaceIndex) : null;
  if (kind === 'mount' && mount === null) return null;
  return {
    id: referenceId(reference, held.key, mount?.key ?? null),
    kind,
    type: held.row.type,
    key: held.key,
    pid: kind === 'mount' ? null : reference.pid,
    start: kind === 'mount' ? null : reference.startTicks,
    tid: reference.tid === 0 ? null : reference.tid,
    fd: reference.fd < 0 ? null : reference.fd,
    uid: kind === 'mount' ? null : reference.uid,
    comm: kind === 'mount' ? null : rawText(reference.comm),
    cgroup: null,
    path: kind === 'mount' ? rawText(reference.text) : null,
    mountNamespace: mount?.key ?? null,
    detail: detailOf(reference),
  };
}

/** The place, not the content: a descriptor that is another namespace's by now is the same reference, changed. At most about 100 characters. */
function referenceId(reference: ReferenceRow, key: NamespaceKey, mountNamespace: NamespaceKey | null): string {
  const { kind, pid, startTicks, tid, fd } = reference;
  if (kind === 'mount') return `mount ${mountNamespace} ${reference.mountId}`;
  // A thread has up to eight places that have no other name than what is in them.
  if (kind === 'thread') return `thread ${pid} ${startTicks} ${tid} ${key}`;
  return tid === 0 ? `${kind} ${pid} ${startTicks} ${fd}` : `${kind} ${pid} ${startTicks} ${tid} ${fd}`;
}

function detailOf({ kind, text, family, socketType, covered }: ReferenceRow): string | null {
  if (kind === 'socket') return socketText(family, socketType, text);
  if (kind === 'tun') return text.byteLength === 0 ? null : rawText(text);
  return covered ? 'over-mounted' : null;
}
