/**
 * A bound on the time that expressions of users take. Nodes and loops are counted when one is compiled, but what they loop over and join comes
 * from rows, which users make too: two loops over 64 labels that join 100 kB each time take 15 s for one row, and nothing else is served meanwhile.
 */
import { Script, createContext } from 'node:vm';
import { NsfleetError } from '#shared/errors.ts';

/** For a batch of rows, which takes a few milliseconds; a machine that is busy needs more. */
const judgingMs = 500;

const room: { work: () => void } = { work: () => undefined };
const context = createContext(room);
const script = new Script('work()');

/** What `work`, which waits for nothing, returns; FILTER_INVALID or CONSTRAINT_INVALID if it takes longer: V8 stops it wherever it is. */
export function judgeInTime<T>(code: 'CONSTRAINT_INVALID' | 'FILTER_INVALID', work: () => T, timeMs: number = judgingMs): T {
  let result: { value: T } | null = null;
  room.work = () => {
    result = { value: work() };
  };
  try {
    script.runInContext(context, { timeout: timeMs });
  } catch (error) {
    // No instanceof: it is an Error of that context.
    const tooLong = typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    if (!tooLong) throw error;
    const what = code === 'FILTER_INVALID' ? 'filter' : 'constraint';
    throw new NsfleetError(code, { attempted: 'evaluate', target: what, reason: `it took longer than ${timeMs} ms`, cause: error });
  } finally {
    room.work = () => undefined;
  }
  return (result as unknown as { value: T }).value;
}
