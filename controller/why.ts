/** Why a namespace is alive, in sentences. Pure. What a process chose (comm, path) stands in them as it is: escape it for a terminal. */
import type { Holder, NamespaceDetail } from '#shared/resources.ts';

/** include/linux/proc_ns.h: inodes of the namespaces that the kernel makes at boot, from MNT (0xEFFFFFF8, 6.18) to IPC (0xEFFFFFFF). */
const firstInode = 0xeffffff8;
const lastInode = 0xefffffff;
/** Holders of a kind that are told one by one; of the others the number. */
const toldMax = 10;

/** `hidden`: what the last scan of its host could not see, by reason. */
export function why(namespace: NamespaceDetail, hidden: Readonly<Record<string, number>>): { alive: boolean; sentences: string[] } {
  if (!namespace.current) return { alive: false, sentences: [gone(namespace)] };
  const { holders, inode } = namespace;
  const sentences = [...Map.groupBy(holders, ({ kind }) => kind).values()].flatMap(ofKind);
  if (inode >= firstInode && inode <= lastInode) {
    sentences.push('It is the first of its type, made by the kernel at boot: it stays until the host goes down, whatever holds it.');
  } else if (holders.length === 0) {
    sentences.push(
      'Nothing that can be seen holds it: a descriptor in flight between two processes (SCM_RIGHTS), a process that is just ending, or something that the agent may not see.',
    );
  } else if (holders.length === 1 && holders[0] !== undefined) {
    sentences.push(`Nothing else that can be seen holds it: it goes when ${endOf(holders[0])}.`);
  } else {
    sentences.push('It goes when all of these are gone.');
  }
  if (namespace.partial) sentences.push(partial(hidden));
  return { alive: true, sentences };
}

/** `process 7 (sh) has it open as descriptor 3, since …`: one holder, without a full stop. */
export function holderText(holder: Holder): string {
  const { kind, namespace, path, detail, mountNamespace, fd, tid } = holder;
  const since = holder.since === null || namespace !== null ? '' : `, since ${holder.since}`;
  switch (kind) {
    case 'process':
      return `process ${who(holder)} lives in it`;
    case 'thread':
      return `thread ${tid} of process ${who(holder)} is in it, elsewhere than its process${since}`;
    case 'pid_for_children':
    case 'time_for_children':
      return `the next children of process ${who(holder)} will be in it (${kind})`;
    case 'fd':
      return `process ${who(holder)} has it open as descriptor ${fd}${since}`;
    case 'thread_fd':
      return `thread ${tid} of process ${who(holder)} has it open as descriptor ${fd} in a table of its own${since}`;
    case 'socket':
      return `a socket${detail === null ? '' : ` (${detail})`} that process ${who(holder)} has as descriptor ${fd} was made in it${since}`;
    case 'tun':
      return `process ${who(holder)} has a tun device${detail === null ? '' : ` (${detail})`} of it as descriptor ${fd}${since}`;
    case 'mount':
      return `it is bind-mounted on ${path ?? 'a path that is not known'}${place(mountNamespace)}${detail === null ? '' : ` (${detail})`}${since}`;
    case 'parent':
      return `namespace ${named(namespace)} is below it`;
    case 'owner':
      return `it owns namespace ${named(namespace)}`;
  }
}

function ofKind(holders: readonly Holder[]): string[] {
  const told = holders.slice(0, toldMax).map((holder) => sentence(holderText(holder)));
  const [first] = holders;
  const more = holders.length - told.length;
  if (more === 0 || first === undefined) return told;
  return [...told, `${more} more hold it in the same way (${first.kind}).`];
}

function endOf(holder: Holder): string {
  switch (holder.kind) {
    case 'process':
      return `process ${who(holder)} ends`;
    case 'thread':
      return `that thread ends or goes elsewhere`;
    case 'pid_for_children':
    case 'time_for_children':
      return `process ${who(holder)} ends or chooses another for its children`;
    case 'fd':
    case 'socket':
    case 'tun':
    case 'thread_fd':
      return `that descriptor is closed, at the latest when process ${who(holder)} ends`;
    case 'mount':
      return `${holder.path ?? 'the mount'} is unmounted, or its mount namespace goes`;
    case 'parent':
    case 'owner':
      return `namespace ${named(holder.namespace)} goes`;
  }
}

function gone({ lastSeen, endUnseen }: NamespaceDetail): string {
  return endUnseen
    ? `It is gone. Nobody watched when it ended; it was last known to be there at ${lastSeen}.`
    : `It is gone since ${lastSeen}.`;
}

function partial(hidden: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(hidden).map(([reason, count]) => `${reason}: ${count}`);
  return `The last scan of its host could not see everything${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}, so there may be more holders.`;
}

function who({ pid, comm }: Holder): string {
  return comm === null ? String(pid) : `${pid} (${comm})`;
}

function named(namespace: Holder['namespace']): string {
  return namespace === null ? 'that has just gone' : `${namespace.id} (${namespace.type} ${namespace.key})`;
}

function place(mountNamespace: string | null): string {
  return mountNamespace === null ? '' : ` in mount namespace ${mountNamespace}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
