/** A crowd of idle processes, for the scan to walk over: children of one shell in a session of its own, ended by that session's id. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { sleep } from '#shared/async.ts';

export type Crowd = AsyncDisposable & { readonly processes: number };

/** How many processes /proc shows now. */
export function countProcesses(): number {
  return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length;
}

/** Fills the machine up to `total` processes and waits until they are there. */
export async function gather(total: number): Promise<Crowd> {
  const missing = Math.max(0, total - countProcesses() - 1);
  const shell = spawn('/bin/sh', ['-c', `i=0; while [ $i -lt ${missing} ]; do sleep 86400 & i=$((i+1)); done; echo ready; wait`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (shell.stdout === null) throw new Error('no stdout of the crowd’s shell');
  await once(shell.stdout, 'data');
  return { processes: countProcesses(), [Symbol.asyncDispose]: () => disperse(shell) };
}

async function disperse(shell: ChildProcess): Promise<void> {
  if (shell.pid === undefined || shell.exitCode !== null) return;
  const gone = once(shell, 'exit');
  process.kill(-shell.pid, 'SIGKILL');
  await gone;
  // The others are orphans now; until their new parent has reaped them they still stand in /proc.
  while (groupExists(shell.pid)) await sleep(20);
}

function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}
