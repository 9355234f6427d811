/**
 * A crowd of idle processes, for the scan to walk over, five to a set of namespaces: below one program in a session of its own, ended by
 * that session's id.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler, run as compile } from '#native/compiler.mjs';
import { sleep } from '#shared/async.ts';

export type Crowd = AsyncDisposable & { readonly processes: number };

/** Path of a C program beside this file, compiled into native/build, where nothing that is checked in is. */
export async function compileBench(file: string): Promise<string> {
  const work = fileURLToPath(new URL('../../native/build/', import.meta.url));
  const compiler = await findCompiler({ work, log: () => undefined });
  const output = join(work, file.replace(/\.c$/, '-bench'));
  const source = fileURLToPath(new URL(file, import.meta.url));
  await compile([...compiler.command, ...compiler.target('library'), '-O2', source, '-o', output], { what: `compile ${file}` });
  return output;
}

/** How many processes /proc shows now. */
export function countProcesses(): number {
  return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length;
}

/** Fills the machine up to `total` processes and waits until they are there. With `sockets` each holds one of another network namespace. */
export async function gather(total: number, { sockets = false } = {}): Promise<Crowd> {
  const missing = Math.max(0, total - countProcesses() - 1);
  const words = [String(missing), ...(sockets ? ['sockets'] : [])];
  const shell = spawn(await compileBench('crowd.c'), words, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  if (shell.stdout === null) throw new Error('no stdout of the crowd');
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
