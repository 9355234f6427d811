/**
 * A bound on the time that expressions of users take. Nodes and loops are counted when one is compiled, but what they loop over and join comes
 * from rows, which users make too: two loops over 64 labels that join 100 kB each time take 15 s for one row, and nothing else is served meanwhile.
 */
import { Script, createContext } from 'node:vm';
import { NsfleetError } from '#shared/errors.ts';

/** Of the processor, for a batch of rows, which takes a few milliseconds. */
const judgingMs = 500;

const room: { work: () => void } = { work: () => undefined };
const context = createContext(room);
const script = new Script('work()');

/**
 * What `work` returns, which waits for nothing and may be done again; the code if it takes more of the processor: V8 stops it wherever it is.
 * A machine that is busy with something else is no fault of the expression: then it is done once more, with twice the time.
 */
export function judgeInTime<T>(code: 'CONSTRAINT_INVALID' | 'FILTER_INVALID' | 'FILTER_TOO_SLOW', work: () => T, timeMs = judgingMs): T {
  let result: { value: T } | null = null;
  room.work = () => {
    result = { value: work() };
  };
  const startedMs = processorMs();
  try {
    for (let waitMs = timeMs; ; waitMs *= 2) {
      try {
        script.runInContext(context, { timeout: waitMs });
        return (result as unknown as { value: T }).value;
      } catch (error) {
        if (!isTimeout(error)) throw error;
        if (waitMs === timeMs && processorMs() - startedMs < timeMs * enough) continue;
        const what = code === 'CONSTRAINT_INVALID' ? 'constraint' : 'filter';
        throw new NsfleetError(code, { attempted: 'evaluate', target: what, reason: `it took longer than ${timeMs} ms`, cause: error });
      }
    }
  } finally {
    room.work = () => undefined;
  }
}

/** Of the bound: nothing has a processor all the time, on an idle machine neither. */
const enough = 0.8;

/** No instanceof: it is an Error of that context. */
function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}

/** What this thread has taken of the processor. */
export function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
