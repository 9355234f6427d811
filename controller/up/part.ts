/**
 * A **part** is a process of the stack: Postgres, nats-server, a controller, an agent. Each runs in a session of its own, so that a
 * Ctrl-C in the terminal reaches only `npm start`, which then stops the parts in order.
 */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError } from '#shared/errors.ts';
import { identify } from './identity.ts';
import type { Identity } from './identity.ts';

export type PartName = 'postgres' | 'nats' | 'controller' | 'agent';

export type Part = Identity & {
  name: PartName;
  logFile: string;
  /** where in the log this start begins, in bytes */
  logFrom: number;
  /** Resolves when it has ended, however: `code 1`, `SIGKILL`. */
  ended: Promise<string>;
};

/** A log is set aside (one old one is kept) when a start finds it larger than this. */
const logMaxBytes = 8 * 1024 * 1024;

export type PartCommand = { file: string; args: readonly string[]; env: NodeJS.ProcessEnv; cwd?: string };

/** Starts it with its output appended to `<logDir>/<name>.log` (mode 0600). CHILD_DIED where it cannot even be started. */
export async function startPart(name: PartName, command: PartCommand, logDir: string): Promise<Part> {
  const logFile = openLog(logDir, name);
  const fd = openSync(logFile, 'a', 0o600);
  const logFrom = fstatSync(fd).size;
  try {
    const child = spawn(command.file, command.args, {
      cwd: command.cwd ?? '/',
      env: command.env,
      detached: true,
      stdio: ['ignore', fd, fd],
    });
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => {
        reject(new NsfleetError('CHILD_DIED', { attempted: 'start', target: name, reason: `${command.file}: ${cause.message}`, cause }));
      });
    });
    const pid = child.pid ?? 0;
    // A child that died already is a zombie until its exit event: it has no identity any more, and `ended` tells the rest.
    return { name, logFile, logFrom, ended, pid, start: identify(pid)?.start ?? '0' };
  } finally {
    closeSync(fd);
  }
}

/** The last 12 lines that a part has written since it was started, for an error message. */
export function logTail({ logFile, logFrom }: Part): string {
  try {
    return readFileSync(logFile).subarray(logFrom).toString('utf8').trimEnd().split('\n').slice(-12).join('\n');
  } catch {
    return '';
  }
}

function openLog(logDir: string, name: PartName): string {
  makeDirectory(logDir);
  const logFile = join(logDir, `${name}.log`);
  if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > logMaxBytes) renameSync(logFile, `${logFile}.1`);
  return logFile;
}
