/** The agent's epoch: grows with every start, so that the controller can tell a report of an earlier life from one of this. */
import { join } from 'node:path';
import { readIfThere, writeDurably } from './durable-file.ts';

/**
 * `max(now, previous + 1)`, kept in the state directory before it is used: it grows even if the clock went back, and even if
 * the state directory was lost (as long as the clock did not go back too).
 */
export async function nextEpoch(stateDirectory: string, now: () => number = Date.now): Promise<number> {
  const path = join(stateDirectory, 'epoch');
  const previous = Number((await readIfThere(path))?.toString('utf8') ?? 0);
  const epoch = Math.max(now(), Number.isSafeInteger(previous) && previous > 0 ? previous + 1 : 1);
  await writeDurably(path, `${epoch}\n`);
  return epoch;
}
