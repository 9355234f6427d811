/**
 * Directories of placements to come, one with each ready shim, which has its logs and its socket in it from the start: a new placement then
 * takes two writes and a rename. Making files costs a tenth of a millisecond each, and three where the disk is synced meanwhile.
 *
 * `intent` has its blocks already, so that the disk need not write its journal for the first record: half the time, and seldom more. Then a
 * power loss may take the rename back, but not the record: who has one is a placement, wherever it lies.
 */
import { randomUUID } from 'node:crypto';
import { constants, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Fd } from '#native/handles.ts';
import { stateUnusable, syncData, syncEntry, syncFile } from '../durable-file.ts';

/** Of `intent`: a record with a short command takes less than a kilobyte. */
export const intentBytes = 4096;

export type SpareDirectory = {
  /** Until it becomes something. */
  readonly directory: Fd;
  /**
   * Writes the first record, of at least `intentBytes`, to `intent`, and moves all to `path`. From then on `state`, an empty file, is the
   * caller's. Throws what the file system says, and then nothing moved. The record survives a power loss once `synced` resolves.
   */
  become(path: string, record: Uint8Array): { state: Fd; synced: Promise<void> };
  /** Removes it, where it has not become anything. */
  discard(): Promise<void>;
};

/**
 * Empties `root` of what an earlier life left: `placeOf` tells by the path of an `intent` where a directory with a record belongs, or null where
 * it has none; then the shim in it has had no word to start.
 */
export function clearSpareRoot(root: string, placeOf: (intent: string) => string | null): void {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const place = placeOf(join(path, 'intent'));
    if (place === null) tryRemove(path);
    else renameSync(path, place);
  }
}

/** Its shim may be about to leave it, and take its own files along. What stays is tried again by the next life. */
function tryRemove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // it is in nobody's way
  }
}

/** One in `root`, synced. STATE_DIRECTORY_UNUSABLE. */
export async function makeSpareDirectory(root: string): Promise<SpareDirectory> {
  const path = join(root, randomUUID());
  const opened: Fd[] = [];
  const open = (name: string, flags: number): Fd => {
    const fd = new Fd(openSync(join(path, name), flags, 0o600));
    opened.push(fd);
    return fd;
  };
  let gone = false;
  const discard = async (): Promise<void> => {
    if (gone) return;
    gone = true;
    for (const fd of opened) fd.close();
    await rm(path, { recursive: true, force: true });
  };
  try {
    await mkdir(path, { mode: 0o700 });
    const { O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants;
    const intent = open('intent', O_WRONLY | O_CREAT | O_EXCL);
    writeAll(intent, new Uint8Array(intentBytes));
    await syncFile(intent.number);
    const state = open('state', O_WRONLY | O_CREAT | O_EXCL);
    const directory = open('', O_DIRECTORY | O_NOFOLLOW);
    await syncEntry(path);
    await syncEntry(root);
    return {
      directory,
      become(target, record) {
        writeAll(intent, record);
        renameSync(path, target);
        gone = true;
        directory.close();
        const sync = record.length > intentBytes ? syncFile : syncData;
        return { state, synced: sync(intent.number).finally(() => intent.close()) };
      },
      discard,
    };
  } catch (cause) {
    await discard().catch(() => undefined);
    throw stateUnusable('make', path, cause);
  }
}

function writeAll(file: Fd, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file.number, bytes, at, bytes.length - at, at);
}
