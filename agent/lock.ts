/** One agent for one state directory. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { NsfleetError } from '#shared/errors.ts';
import { stateUnusable } from './durable-file.ts';
import { makeDirectory } from './make-directory.ts';

/**
 * Makes the state directory (0700) and takes its lock, or fails with ALREADY_RUNNING and the holder's pid. It is a flock(2), which
 * belongs to the open file: flock(1) takes it on our descriptor and exits, and the kernel drops it when this process ends, however.
 */
export function lockStateDirectory(stateDirectory: string): Disposable {
  const path = join(stateDirectory, 'lock');
  const fd = openLock(stateDirectory, path);
  const result = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
  if (result.status === 0) {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
    return { [Symbol.dispose]: () => closeSync(fd) };
  }
  closeSync(fd);
  if (result.status !== 1) {
    throw new NsfleetError('SETUP_FAILED', {
      attempted: 'lock',
      target: path,
      reason: result.error?.message ?? `flock ended with ${result.status ?? result.signal}: ${result.stderr.toString().trim()}`,
      remedy: 'install util-linux (flock)',
    });
  }
  throw new NsfleetError('ALREADY_RUNNING', {
    attempted: 'start an agent on',
    target: stateDirectory,
    reason: `process ${readFileSync(path, 'utf8').trim()} is the agent of this directory`,
    remedy: 'stop that agent first, or give this one another directory with NSFLEET_AGENT_STATE',
  });
}

function openLock(stateDirectory: string, path: string): number {
  try {
    makeDirectory(stateDirectory);
    return openSync(path, 'a+', 0o600);
  } catch (cause) {
    throw stateUnusable('open', path, cause);
  }
}
