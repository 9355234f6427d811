/**
 * Who a process is: a pid alone may belong to another one a moment later. Pid, start time and boot id together are the identity, and
 * they are compared immediately before anything is signalled.
 */
import { readFileSync } from 'node:fs';

export type Identity = { pid: number; start: string };

/** /proc/sys/kernel/random/boot_id */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The process `pid` as it is now, or null where there is none. A zombie is none: it can neither act nor be signalled. */
export function identify(pid: number): Identity | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // proc(5): comm, field 2, is in parentheses and may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  return start === undefined || state === 'Z' || state === 'X' ? null : { pid, start };
}

export function isAlive(process: Identity): boolean {
  return identify(process.pid)?.start === process.start;
}

/** Sends `signal` if the process is still the same one. False: it is gone. */
export function signalProcess(process_: Identity, signal: NodeJS.Signals): boolean {
  if (!isAlive(process_)) return false;
  try {
    process.kill(process_.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
