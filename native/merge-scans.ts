import type { NamespaceRow, ProcessRow, Scan, ScanCounts } from './types.ts';

/**
 * Two scans of different processes of one host as one, by ascending pid. A namespace in both becomes one row; one inode
 * number with two ids stays two rows: the number passed to a new namespace between the two.
 */
export function mergeScans(first: Scan, second: Scan): Scan {
  const namespaces = first.namespaces.map((row) => ({ ...row }));
  const indexes = new Map(namespaces.map((row, index) => [identity(row), index]));
  const added: NamespaceRow[] = [];
  const moved = second.namespaces.map((row) => {
    const index = indexes.get(identity(row));
    const known = index === undefined ? undefined : namespaces[index];
    if (index !== undefined && known !== undefined) {
      addMembers(known, row);
      return index;
    }
    added.push(row);
    return namespaces.length + added.length - 1;
  });
  const move = (index: number): number => moved[index] ?? -1;
  for (const row of added) namespaces.push({ ...row, parentIndex: move(row.parentIndex), ownerIndex: move(row.ownerIndex) });
  const processes = mergeByPid(
    first.processes,
    second.processes.map((row) => ({ ...row, ns: row.ns.map(move) })),
  );
  return { processes, namespaces, counts: addCounts(first.counts, second.counts, processes.length, namespaces.length) };
}

function identity({ type, inode, id }: NamespaceRow): string {
  return `${type}:${inode}:${id}`;
}

function addMembers(to: NamespaceRow, from: NamespaceRow): void {
  to.processCount += from.processCount;
  if (from.leaderPid === 0 || (to.leaderPid !== 0 && to.leaderPid < from.leaderPid)) return;
  to.leaderPid = from.leaderPid;
  to.leaderStartTicks = from.leaderStartTicks;
}

/** Both are in ascending order, which the sort makes use of. */
function mergeByPid(first: ProcessRow[], second: ProcessRow[]): ProcessRow[] {
  return [...first, ...second].sort((a, b) => a.pid - b.pid);
}

function addCounts(a: ScanCounts, b: ScanCounts, processes: number, namespaces: number): ScanCounts {
  return {
    processes,
    namespaces,
    vanished: a.vanished + b.vanished,
    unreadable: {
      EACCES: a.unreadable.EACCES + b.unreadable.EACCES,
      EPERM: a.unreadable.EPERM + b.unreadable.EPERM,
      other: a.unreadable.other + b.unreadable.other,
    },
    unpinned: a.unpinned + b.unpinned,
  };
}
