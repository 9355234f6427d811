/**
 * Where a full scan comes from: a BPF task iterator where the host has one that agrees with /proc, else /proc. The iterator is
 * compared with /proc before it is believed, and again every few minutes; when they differ, it is /proc for good.
 */
import type { Native } from '#native/binding.ts';
import type { TaskIterator } from '#native/task-iterator.ts';
import type { ProcessRow, Scan, ScanCounts } from '#native/types.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { compareScans } from './compare-scans.ts';

/** Two scans of /proc, the slow kind: at 20,000 processes a second of work. */
const compareMs = 300_000;
/** A process may change and change back around one comparison; not around three. */
const attempts = 3;

export type TaskSource = Disposable & {
  readonly name: 'bpf' | 'proc';
  /** Why it is not the iterator; null where it is. */
  readonly reason: string | null;
  scan(): Promise<Scan>;
};

type Sources = Pick<Native, 'scan' | 'openTaskIterator' | 'processStart'>;

/** Loads the iterator if it can be, and compares it with /proc. Throws what a scan of /proc throws: PROC_UNAVAILABLE. */
export async function chooseTaskSource(native: Sources, log: Log): Promise<TaskSource> {
  const iterator = await native.openTaskIterator();
  if ('unavailable' in iterator) return procSource(native, `the BPF task iterator is not there: ${iterator.unavailable}`);
  const first = await judge(native, iterator);
  if (typeof first !== 'string') return iteratorSource(native, iterator, first, log);
  iterator.close();
  return procSource(native, first);
}

function procSource(native: Sources, reason: string): TaskSource {
  return { name: 'proc', reason, scan: () => native.scan(), [Symbol.dispose]: () => undefined };
}

/** What only /proc tells of, with why it tells no more; or in a sentence why the iterator is not to be believed. */
type Verdict = { hidden: ProcessRow[]; refused: keyof ScanCounts['unreadable'] } | string;

async function judge(native: Sources, iterator: TaskIterator): Promise<Verdict> {
  let sentence = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const before = await native.scan({ fresh: true });
      const scan = await iterator.scan();
      const after = await native.scan({ fresh: true });
      const { differing, unseen, hidden, compared } = compareScans(before, scan, after);
      const strange = differing[0] ?? unseen[0];
      if (strange === undefined && compared > 0) return { hidden, refused: refusedOf(after.counts) };
      sentence = `the BPF task iterator tells otherwise than /proc of ${differing.length + unseen.length} of ${compared} processes, pid ${strange?.pid ?? 0} for one`;
    } catch (error) {
      sentence = `the BPF task iterator failed: ${errorText(error)}`;
    }
  }
  return sentence;
}

function refusedOf({ unreadable }: ScanCounts): keyof ScanCounts['unreadable'] {
  if (unreadable.EACCES > 0) return 'EACCES';
  return unreadable.EPERM > 0 ? 'EPERM' : 'other';
}

function iteratorSource(native: Sources, iterator: TaskIterator, first: Exclude<Verdict, string>, log: Log): TaskSource {
  let verdict = first;
  let judgedAt = performance.now();
  let reason: string | null = null;

  const giveUp = (sentence: string): void => {
    reason = sentence;
    log.warn({ reason: sentence }, 'scans read /proc from now on');
    iterator.close();
  };
  const judgeAgain = async (): Promise<void> => {
    judgedAt = performance.now();
    const next = await judge(native, iterator);
    if (typeof next === 'string') giveUp(next);
    else verdict = next;
  };

  return {
    get name() {
      return reason === null ? 'bpf' : 'proc';
    },
    get reason() {
      return reason;
    },
    async scan() {
      if (reason === null && performance.now() - judgedAt >= compareMs) await judgeAgain();
      if (reason !== null) return native.scan();
      try {
        const scan = await iterator.scan();
        return withHidden(
          scan,
          verdict.hidden.filter((row) => isThere(native, row)),
          verdict.refused,
        );
      } catch (error) {
        giveUp(`the BPF task iterator failed: ${errorText(error)}`);
        return native.scan();
      }
    },
    [Symbol.dispose]: () => iterator.close(),
  };
}

/** Kernels exist that keep pid 1 from the iterator. It stays in the inventory as /proc tells of it: there, and unreadable. */
function withHidden(scan: Scan, hidden: ProcessRow[], refused: keyof ScanCounts['unreadable']): Scan {
  if (hidden.length === 0) return scan;
  const processes = [...hidden, ...scan.processes].toSorted((a, b) => a.pid - b.pid);
  const unreadable = { ...scan.counts.unreadable, [refused]: scan.counts.unreadable[refused] + hidden.length };
  return { ...scan, processes, counts: { ...scan.counts, processes: processes.length, unreadable } };
}

function isThere(native: Sources, { pid, startTicks }: ProcessRow): boolean {
  try {
    return native.processStart(pid).toString() === startTicks;
  } catch {
    return false;
  }
}
