/** One `npm start` for one set of directories. */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError } from '#shared/errors.ts';

export type Lock = { [Symbol.dispose](): void };

/**
 * Takes the lock of `runtimeDir`, or fails with ALREADY_RUNNING and the holder's pid. It is a flock(2), which belongs to the open file
 * and not to the process that asks for it: flock(1) takes it on our descriptor and exits, and the kernel drops it when we end, however.
 */
export function takeLock(runtimeDir: string): Lock {
  makeDirectory(runtimeDir);
  const path = join(runtimeDir, 'lock');
  for (;;) {
    const fd = openSync(path, 'a+', 0o600);
    if (!tryLock(fd, path)) {
      closeSync(fd);
      const pid = readFileSync(path, 'utf8').trim();
      throw new NsfleetError('ALREADY_RUNNING', {
        attempted: 'start a stack in',
        target: runtimeDir,
        reason: `process ${pid} runs one there`,
      });
    }
    // The one before may have removed the file between our open and our lock: then this lock guards nothing.
    if (fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino) return held(fd, path);
    closeSync(fd);
  }
}

function held(fd: number, path: string): Lock {
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return {
    [Symbol.dispose]() {
      rmSync(path, { force: true });
      closeSync(fd);
    },
  };
}

function tryLock(fd: number, path: string): boolean {
  const result = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
  if (result.status === 0 || result.status === 1) return result.status === 0;
  throw new NsfleetError('SETUP_FAILED', {
    attempted: 'lock',
    target: path,
    reason: result.error?.message ?? (result.stderr.toString().trim() || `flock ended with ${result.status ?? result.signal}`),
    remedy: 'install util-linux (flock)',
  });
}
