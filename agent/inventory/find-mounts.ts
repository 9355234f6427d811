/** Mounts of every mount namespace of the host: who still holds this device or path? Read when asked, because tables are long and change often. */
import { readFileSync } from 'node:fs';
import type { ReportedNamespace } from '#shared/inventory.ts';
import { messageMaxBytes } from '#shared/messages.ts';
import type { Mount, MountQuery } from '#shared/mount.ts';
import type { Model } from './model.ts';
import { parseMountinfo, propagationText } from './mount-table.ts';
import type { MountRow } from './mount-table.ts';

/** Half a message: the rest is for what JSON writes longer. */
const answerMaxBytes = messageMaxBytes / 2;
/** A table of 2,000 mounts takes about 5 ms: let others have a turn after each. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export type FoundMounts = {
  mounts: Mount[];
  /** true: there are more than were asked for, or than an answer holds */
  truncated: boolean;
  /** mount namespaces whose table could not be read: no process lives there, or reading is refused */
  unread: number;
};

/** Rows of `model`'s mount namespaces that match, namespace by namespace. */
export async function findMounts(model: Model, query: MountQuery, proc = '/proc'): Promise<FoundMounts> {
  const found: FoundMounts = { mounts: [], truncated: false, unread: 0 };
  let bytes = 0;
  for (const namespace of model.namespaces.values()) {
    if (namespace.type !== 'mnt') continue;
    const table = readTable(namespace, proc);
    if (table === null) {
      found.unread += 1;
      continue;
    }
    for (const row of table) {
      if (!matches(row, query)) continue;
      const mount = mountOf(row, namespace);
      bytes += Buffer.byteLength(JSON.stringify(mount));
      if (found.mounts.length >= query.limit || bytes > answerMaxBytes) return { ...found, truncated: true };
      found.mounts.push(mount);
    }
    await turn();
  }
  return found;
}

function readTable({ leader }: ReportedNamespace, proc: string): MountRow[] | null {
  if (leader === null) return null;
  try {
    return parseMountinfo(readFileSync(`${proc}/${leader.pid}/mountinfo`));
  } catch {
    return null;
  }
}

/** See MountQuery; pure. */
export function matches(row: MountRow, { source, target, fsType }: MountQuery): boolean {
  if (source !== undefined && row.source !== source && row.device !== source) return false;
  if (target !== undefined && row.target !== target && !row.target.startsWith(target.endsWith('/') ? target : `${target}/`)) return false;
  return fsType === undefined || (fsType.endsWith('.') ? row.fsType.startsWith(fsType) : row.fsType === fsType);
}

function mountOf(row: MountRow, { key, leader }: ReportedNamespace): Mount {
  const { mountId, device, root, target, source, fsType, options, propagation } = row;
  return {
    namespace: key,
    mountId,
    device,
    root,
    target,
    source,
    fsType,
    options,
    propagation: propagationText(propagation),
    pid: leader?.pid ?? 1,
    comm: leader?.comm ?? '',
  };
}
