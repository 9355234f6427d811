/** Where a namespace of the model can be opened: through a member, or else through what refers to it. */
import type { ReportedNamespace, ReportedReference } from '#shared/inventory.ts';
import { rawBytes } from '#shared/raw-text.ts';
import type { Model } from '../model.ts';

/** `member` is /proc/<pid> of a process that lives in it; null where none does. Whoever opens `path` checks what it has got. */
export type Way = { namespace: ReportedNamespace; path: string | Buffer; member: string | null };

export type WayTo = (namespace: ReportedNamespace) => Way | null;

/** `ownMountInode`: of this process's mount namespace, the only one whose mount points are paths here. */
export function waysOf(model: Model, proc: string, ownMountInode: number): WayTo {
  const references = new Map<string, ReportedReference[]>();
  for (const reference of model.references.values()) {
    const key = `${reference.type} ${reference.key}`;
    references.set(key, [...(references.get(key) ?? []), reference]);
  }
  return (namespace) => {
    const { leader, type, key } = namespace;
    if (leader !== null) return { namespace, path: `${proc}/${leader.pid}/ns/${type}`, member: `${proc}/${leader.pid}` };
    for (const reference of references.get(`${type} ${key}`) ?? []) {
      const path = pathOf(reference, model, proc, ownMountInode);
      if (path !== null) return { namespace, path, member: null };
    }
    return null;
  };
}

function pathOf(reference: ReportedReference, model: Model, proc: string, ownMountInode: number): string | Buffer | null {
  const { kind, pid, tid, fd, type, path, mountNamespace, detail } = reference;
  switch (kind) {
    case 'fd':
      return `${proc}/${pid}/fd/${fd}`;
    case 'thread':
      return `${proc}/${pid}/task/${tid}/ns/${type}`;
    case 'thread_fd':
      return `${proc}/${pid}/task/${tid}/fd/${fd}`;
    case 'mount': {
      // A path of another mount namespace may be a device here, which opening would set off. Over-mounted ones show something else.
      const here = model.namespaces.get(`mnt ${mountNamespace}`)?.inode === ownMountInode;
      return here && detail === null && path !== null ? Buffer.from(rawBytes(path)) : null;
    }
    default:
      return null;
  }
}
