/**
 * All sources of namespaces joined: the scan of processes, the search of processes for descriptors, sockets and threads, and the search of mount
 * namespaces, whose doors the two others find. The expensive ones run when asked for; between, what they found last is kept as long as
 * its holders live.
 */
import type { Native } from '#native/binding.ts';
import { keepReferences, mergeReferences } from '#native/merge-references.ts';
import type { MountDoor, NamespaceRow, References, Scan } from '#native/types.ts';

/** A scan and the references that belong to it, whose indexes are into its namespaces. */
export type Discovery = Scan & Pick<References, 'references' | 'threads' | 'hidden'>;

export type DiscoverOptions = {
  /** Which processes to look into for descriptors, sockets and threads; default `all`. The others' are as they were found last. */
  processes?: 'all' | 'none' | readonly number[];
  /** Whether to look for bind mounts; default true. */
  mounts?: boolean;
};

export type Discover = {
  /** The processes, and the references that OPTIONS ask for. Throws PROC_UNAVAILABLE. */
  discover(options?: DiscoverOptions): Promise<Discovery>;
};

/** Without the last two a namespace that no place shows stays unseen. */
type Sources = Pick<Native, 'scan' | 'references' | 'mounts'> & Partial<Pick<Native, 'listNamespaces' | 'openNamespaces'>>;

const nothing: References = { references: [], namespaces: [], threads: 0, hidden: {} };

/** Opens nothing. `proc` is the procfs to read. */
export function createDiscovery(native: Sources, proc = '/proc'): Discover {
  let inProcesses = nothing;
  let inMounts = nothing;

  const searchProcesses = async (which: 'all' | 'none' | readonly number[]): Promise<void> => {
    if (which === 'none') return;
    if (which === 'all') {
      inProcesses = await native.references({ proc });
      return;
    }
    const fresh = await native.references({ proc, pids: which });
    const looked = new Set(which);
    const rest = inProcesses.references.filter(({ pid }) => !looked.has(pid));
    // What is hidden is counted by whole searches only: a part cannot take its own share away again.
    inProcesses = {
      ...mergeReferences({ ...inProcesses, references: rest }, fresh),
      hidden: inProcesses.hidden,
      threads: inProcesses.threads,
    };
  };

  return {
    async discover({ processes = 'all', mounts = true } = {}) {
      // Before everything else: what is made meanwhile is found where it is, and what has ended cannot be opened.
      const listed = native.listNamespaces?.() ?? null;
      // Two at the same time: on two cores they take as long as the longer one.
      const [scan] = await Promise.all([native.scan({ proc }), searchProcesses(processes)]);
      inProcesses = pruned(inProcesses, scan);
      if (mounts) inMounts = await native.mounts(doorsOf(scan, inProcesses), { proc });
      const found = mergeReferences(inProcesses, inMounts);
      const known = new Set([...scan.namespaces, ...found.namespaces].map(({ id }) => id));
      const unseen = listed?.filter((id) => !known.has(id)) ?? [];
      if (unseen.length === 0 || native.openNamespaces === undefined) return join(scan, found);
      return join(scan, mergeReferences(found, await native.openNamespaces(unseen)));
    },
  };
}

function join(scan: Scan, { references, threads, hidden, namespaces }: References): Discovery {
  const joined = mergeReferences(
    { references: [], threads: 0, hidden: {}, namespaces: scan.namespaces },
    { references, threads, hidden, namespaces },
  );
  return { ...scan, ...joined, counts: { ...scan.counts, namespaces: joined.namespaces.length } };
}

/** One door for every mount namespace that is known so far: a process or thread in it, or else a descriptor of it. */
export function doorsOf(scan: Scan, found: References): MountDoor[] {
  const doors = new Map<string, MountDoor>();
  const add = ({ type, inode, id }: NamespaceRow, door: MountDoor): void => {
    const name = `${inode} ${id}`;
    if (type === 'mnt' && !doors.has(name)) doors.set(name, door);
  };
  for (const row of scan.namespaces) if (row.leaderPid > 0) add(row, { pid: row.leaderPid });
  const ofKind = (kind: string): References['references'] => found.references.filter((reference) => reference.kind === kind);
  for (const { namespaceIndex, tid } of ofKind('thread')) {
    const row = found.namespaces[namespaceIndex];
    if (row !== undefined) add(row, { pid: tid });
  }
  for (const { namespaceIndex, pid, tid, fd } of [...ofKind('fd'), ...ofKind('thread_fd')]) {
    const row = found.namespaces[namespaceIndex];
    if (row !== undefined) add(row, { pid: tid > 0 ? tid : pid, fd });
  }
  return [...doors.values()];
}

/** Without the references of processes that have ended, and without the namespaces that nothing of what is left refers to. */
function pruned(found: References, { processes }: Pick<Scan, 'processes'>): References {
  const living = new Map(processes.map(({ pid, startTicks }) => [pid, startTicks]));
  return keepReferences(found, ({ pid, startTicks }) => living.get(pid) === startTicks);
}
