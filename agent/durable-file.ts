/** Files that are whole after a power loss: a temporary file, fsync, rename, fsync of the directory. */
import { closeSync, fdatasync, fsync, openSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NsfleetError } from '#shared/errors.ts';

/** Replaces `path`, mode 0600. After it resolves a power loss keeps the new content; before, the old or the new one. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncEntry(dirname(path));
  } catch (cause) {
    throw stateUnusable('write', path, cause);
  }
}

/** fsync of a file's content, or of a directory's entries: one way to a worker thread and back, since opening waits for nothing. */
export async function syncEntry(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await syncFile(fd);
  } finally {
    closeSync(fd);
  }
}

/** fdatasync(2): enough where only bytes within a file changed that was synced as a whole before. */
export function syncData(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error === null ? resolve() : reject(error))));
}

/** fsync(2) of what is open there. */
export function syncFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fsync(fd, (error) => (error === null ? resolve() : reject(error))));
}

/** The content, or null if there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw stateUnusable('read', path, cause);
  }
}

/** STATE_DIRECTORY_UNUSABLE with the errno's name: ENOSPC, EROFS, EACCES, EMFILE… */
export function stateUnusable(attempted: string, path: string, cause: unknown): NsfleetError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new NsfleetError('STATE_DIRECTORY_UNUSABLE', { attempted, target: path, reason: code ?? message, cause });
}
