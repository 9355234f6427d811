/** Postgres processes on a data directory, and the end of those that an earlier start left there. */
import { readFileSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endProcess } from './end.ts';
import { identify } from './identity.ts';
import type { Identity } from './identity.ts';
import type { Say } from './progress.ts';

/** A fast shutdown writes a checkpoint. */
export const postgresGraceMs = 30_000;
/** Measured under load: up to 0.3 s from the death of the server to that of its backends, which notice by themselves. */
const backendsGoneMs = 5000;

/** The lines of postmaster.pid: pid, data directory, start time, port, socket directory, address, shared memory, status. */
export function pidFileLines(dataDir: string): string[] {
  try {
    return readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/**
 * The server that runs on this data directory, or null. The pid in its file may meanwhile be anybody's: a Postgres process's working
 * directory is its data directory.
 */
export function serverOn(dataDir: string): Identity | null {
  const pid = Number(pidFileLines(dataDir)[0] ?? 0);
  return processesOn(dataDir).find((found) => found.pid === pid) ?? null;
}

/** Ends the server that an earlier start left, and waits for the backends of one that was killed: they still hold its shared memory. */
export async function endLeftServer(dataDir: string, say: Say): Promise<void> {
  const left = serverOn(dataDir);
  if (left !== null) {
    say(`postgres: ending server ${left.pid}, which an earlier start left`);
    await endProcess(left, 'SIGINT', postgresGraceMs);
  }
  await Promise.all(processesOn(dataDir).map((backend) => endProcess(backend, 'SIGTERM', backendsGoneMs)));
  // Postgres judges by the pid alone: where that is somebody else's process now, it would refuse for ever.
  if (identify(Number(pidFileLines(dataDir)[0] ?? 0)) !== null) rmSync(join(dataDir, 'postmaster.pid'), { force: true });
}

function processesOn(dataDir: string): Identity[] {
  const path = realpathSync(dataDir);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isWorkingDirectory(name, path))
    .flatMap((name) => identify(Number(name)) ?? []);
}

function isWorkingDirectory(pid: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === path && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres';
  } catch {
    return false;
  }
}
