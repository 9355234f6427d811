/** Ending processes: ask, wait, and kill what did not listen. */
import { sleep } from '#shared/async.ts';
import { isAlive, signalProcess } from './identity.ts';
import type { Identity } from './identity.ts';

const pollMs = 10;
/** SIGKILL is certain but not immediate: a process in uninterruptible sleep ends when its I/O does. */
const killWaitMs = 5000;

/**
 * Sends `signal`, waits up to `graceMs` for the end, then SIGKILL. `hasten` aborting cuts the grace short. Returns how it went;
 * `stuck` means that even SIGKILL has not ended it in 5 s.
 */
export async function endProcess(
  target: Identity,
  signal: NodeJS.Signals,
  graceMs: number,
  hasten?: AbortSignal,
): Promise<'gone' | 'ended' | 'killed' | 'stuck'> {
  if (!signalProcess(target, signal)) return 'gone';
  if (await isGoneWithin(target, graceMs, hasten)) return 'ended';
  signalProcess(target, 'SIGKILL');
  return (await isGoneWithin(target, killWaitMs)) ? 'killed' : 'stuck';
}

async function isGoneWithin(target: Identity, ms: number, hasten?: AbortSignal): Promise<boolean> {
  const end = performance.now() + ms;
  while (isAlive(target)) {
    if (performance.now() >= end || hasten?.aborted) return false;
    await sleep(pollMs);
  }
  return true;
}
