/**
 * Which namespace an inode number is, on kernels without namespace ids (before Linux 6.18), where it passes from one that ended to a new one. Pure.
 *
 * A namespace goes on only if somebody who held it at the last look holds it still: a process, a thread, a descriptor, a mount, or a namespace
 * below it that itself goes on. Whoever came newly to an inode number of which all holders are gone holds another namespace: a new generation.
 * So two are never taken for one, unless the same process left the one and joined the other, made meanwhile with the same number, between two looks.
 * The price: one whose holders were all replaced between two looks counts as two.
 */
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import type { Discovery } from './discover.ts';

/** Per inode. `holders` are those of the last look that saw it. */
export type Generation = { generation: number; present: boolean; holders: ReadonlySet<string> };
/** Bounded by the most inodes in use at once: the kernel reuses them. */
export type Generations = ReadonlyMap<number, Generation>;

/**
 * The generations after a look. `asked`: the processes that were looked at, null for all; of the others and of references, which only a look at all
 * sees, nothing is known to have ended. The same object where no namespace is without an id.
 */
export function nextGenerations(scan: Scan & Partial<Discovery>, before: Generations, asked: ReadonlySet<number> | null): Generations {
  const withoutId = scan.namespaces.filter((row) => row.id === null);
  if (withoutId.length === 0 && (asked !== null || before.size === 0)) return before;
  const holders = holdersOf(scan);
  const goesOn = continuity(scan, holders, before, asked);
  const next = new Map([...before].map(([inode, seen]) => [inode, asked === null ? { ...seen, present: false } : seen]));
  for (const { inode } of withoutId) {
    const seen = before.get(inode);
    const now = holders.get(inode) ?? new Set();
    if (seen === undefined) next.set(inode, { generation: 0, present: true, holders: now });
    else if (!goesOn(inode)) next.set(inode, { generation: seen.generation + 1, present: true, holders: now });
    else next.set(inode, { ...seen, present: true, holders: asked === null ? now : joined(seen.holders, now) });
  }
  return next;
}

/** So many witnesses are enough until the next look at all, which replaces them: every process of the host is one of eight namespaces'. */
const witnessesMax = 64;

function joined(before: ReadonlySet<string>, now: ReadonlySet<string>): ReadonlySet<string> {
  return before.size >= witnessesMax ? before : new Set([...before, ...now]);
}

/** A holder as text: what it is, so that the same text is the same holder, and the pid first where it has one. */
const processHolder = ({ pid, startTicks }: Pick<ProcessRow, 'pid' | 'startTicks'>): string => `${pid} ${startTicks}`;
const namespaceHolder = (inode: number): string => `below ${inode}`;
const pidOf = (holder: string): number => Number(holder.slice(0, holder.indexOf(' ')));

function holdersOf(scan: Scan & Partial<Discovery>): Map<number, Set<string>> {
  const holders = new Map<number, Set<string>>();
  const row = (index: number | undefined): NamespaceRow | undefined => (index === undefined ? undefined : scan.namespaces[index]);
  const hold = (held: NamespaceRow | undefined, holder: string): void => {
    if (held === undefined || held.id !== null) return;
    const known = holders.get(held.inode);
    if (known === undefined) holders.set(held.inode, new Set([holder]));
    else known.add(holder);
  };
  for (const process of scan.processes) {
    const holder = processHolder(process);
    for (const index of process.ns) hold(row(index), holder);
  }
  for (const reference of scan.references ?? []) {
    const { kind, tid, fd, mountId } = reference;
    if (kind === 'mount') hold(row(reference.namespaceIndex), `mount ${row(reference.mountNamespaceIndex)?.inode} ${mountId}`);
    else hold(row(reference.namespaceIndex), `${processHolder(reference)} ${kind} ${tid} ${fd}`);
  }
  for (const below of scan.namespaces) {
    hold(row(below.parentIndex), namespaceHolder(below.inode));
    hold(row(below.ownerIndex), namespaceHolder(below.inode));
  }
  return holders;
}

/** Whether an inode is the namespace that it was. */
function continuity(
  scan: Scan,
  now: ReadonlyMap<number, ReadonlySet<string>>,
  before: Generations,
  asked: ReadonlySet<number> | null,
): (inode: number) => boolean {
  const answers = new Map<number, boolean>();
  const alive = new Set(scan.processes.map(processHolder));
  const holdsStill = (holder: string, inode: number): boolean => {
    if (holder.startsWith('below ')) {
      return (asked !== null || now.get(inode)?.has(holder) === true) && goesOn(Number(holder.slice('below '.length)));
    }
    if (now.get(inode)?.has(holder) === true) return true;
    if (asked === null || holder.startsWith('mount ') || !asked.has(pidOf(holder))) return asked !== null;
    // Looked at and there: it has left, if it was in it itself; what it has open is not looked at in part.
    const [pid, start, ...rest] = holder.split(' ');
    return rest.length > 0 && alive.has(`${pid} ${start}`);
  };
  const goesOn = (inode: number): boolean => {
    const known = answers.get(inode);
    if (known !== undefined) return known;
    // Of namespaces below each other none is its own: this is for what a hostile file of generations might hold.
    answers.set(inode, false);
    const seen = before.get(inode);
    const answer = seen?.present === true && [...seen.holders].some((holder) => holdsStill(holder, inode));
    answers.set(inode, answer);
    return answer;
  };
  return goesOn;
}
