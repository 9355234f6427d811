/**
 * Two files a placement, in `<state>/placements/<placement id>/`: `intent`, its first record, written once before anything of it runs;
 * and `state`, the newest one, replaced as a whole by rename where there is one. The first line of each carries the sha256 of all that
 * follows, so that a single flipped bit is seen: `nsfleet-placement 1 <sha256>\n<json>`. An empty `state` is none.
 *
 * **What survives what.** A record is written before its status is told. A killed agent loses nothing: the page cache is the
 * kernel's. A power loss ends every sandbox, so all that must survive it is that the placement was here: `intent` and its directory
 * are fsynced (while the kernel makes the sandbox, see steps.ts) before anything is told; `state` is not, which saves 0.5 ms a change.
 * A directory that was a spare one may lie in `<state>/spare` again after it, and goes back to its place (spare-directories.ts).
 * After a power loss `state` may be missing or damaged and `intent` stands in for it: `lost`, unless the shim's own fsynced exit file
 * says how it ended. `statusSeq` then continues above whatever was told.
 */
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Fd } from '#native/handles.ts';
import { NsfleetError } from '#shared/errors.ts';
import { stateUnusable, syncEntry } from '../durable-file.ts';
import { PlacementRecord } from './record.ts';
import { clearSpareRoot, intentBytes, makeSpareDirectory } from './spare-directories.ts';
import type { SpareDirectory } from './spare-directories.ts';

const magic = 'nsfleet-placement 1 ';
const digestChars = 64;
const headBytes = magic.length + digestChars + 1;

export type StoredPlacement = {
  placementId: string;
  directory: string;
  record: PlacementRecord | null;
  /** the record is `intent`, and a newer one was there but is damaged: what the record says of the state is too old */
  outdated: boolean;
};

export type StateFiles = {
  directoryOf(placementId: string): string;
  /** One in `<state>/spare`. STATE_DIRECTORY_UNUSABLE. */
  makeSpare(): Promise<SpareDirectory>;
  /**
   * Makes the directory (0700), or takes the spare one for it, and writes `intent`: a killed agent finds both from now on. A power loss
   * leaves them once `synced` resolves. STATE_DIRECTORY_UNUSABLE from both.
   */
  create(record: PlacementRecord, spare: SpareDirectory | null): { synced: Promise<void> };
  /** Resolves when what `create` made survives a power loss. STATE_DIRECTORY_UNUSABLE. */
  sync(placementId: string): Promise<void>;
  /** Replaces `state`. STATE_DIRECTORY_UNUSABLE. */
  write(record: PlacementRecord): void;
  /** Everything that lies there. A record is null where there is none, or where it is damaged: then it was set aside. */
  readAll(onDamaged: (error: NsfleetError) => void): Promise<StoredPlacement[]>;
  close(): void;
};

/** Makes `<stateDirectory>/placements` and `<stateDirectory>/spare`. */
export function openStateFiles(stateDirectory: string): StateFiles {
  const root = join(stateDirectory, 'placements');
  const spareRoot = join(stateDirectory, 'spare');
  guard('make', root, () => mkdirSync(root, { recursive: true, mode: 0o700 }));
  /** Still empty, of placements that have taken a spare directory. */
  const firstStates = new Map<string, Fd>();
  const directoryOf = (placementId: string): string => join(root, placementId);
  const intentOf = (placementId: string): string => join(root, placementId, 'intent');
  const stateOf = (placementId: string): string => join(root, placementId, 'state');

  guard('empty', spareRoot, () => {
    clearSpareRoot(spareRoot, (intent) => {
      const placementId = placementIdOf(intent);
      return placementId === null || existsSync(directoryOf(placementId)) ? null : directoryOf(placementId);
    });
  });

  const sync = async (placementId: string): Promise<void> => {
    try {
      await Promise.all([syncEntry(intentOf(placementId)), syncEntry(directoryOf(placementId)), syncEntry(root)]);
    } catch (cause) {
      throw stateUnusable('write', intentOf(placementId), cause);
    }
  };

  return {
    directoryOf,
    makeSpare: () => makeSpareDirectory(spareRoot),
    create(record, spare) {
      const { placementId } = record.desired;
      const directory = directoryOf(placementId);
      return guard('make', directory, () => {
        if (spare === null) {
          mkdirSync(directory, { mode: 0o700 });
          // Half written it is damaged, and without a trace of a shim the directory is reaped: no need for a rename.
          writeFileSync(intentOf(placementId), encodeRecord(record), { mode: 0o600, flag: 'wx' });
          return { synced: sync(placementId) };
        }
        const { state, synced } = spare.become(directory, Buffer.from(encodeRecord(record, intentBytes)));
        firstStates.set(placementId, state);
        return {
          synced: synced.catch((cause: unknown) => {
            throw stateUnusable('write', intentOf(placementId), cause);
          }),
        };
      });
    },
    sync,
    write(record) {
      const { placementId } = record.desired;
      const path = stateOf(placementId);
      guard('write', path, () => {
        using first = firstStates.get(placementId);
        firstStates.delete(placementId);
        // Half written it is damaged, and `intent` stands in for it, as it did before.
        if (first !== undefined) return writeFileSync(first.number, encodeRecord(record));
        writeFileSync(`${path}.tmp`, encodeRecord(record), { mode: 0o600 });
        renameSync(`${path}.tmp`, path);
      });
    },
    async readAll(onDamaged) {
      const stored: StoredPlacement[] = [];
      for (const entry of await readdir(root, { withFileTypes: true })) {
        if (!entry.isDirectory() || !z.uuid().safeParse(entry.name).success) continue;
        const placementId = entry.name;
        const state = readRecord(stateOf(placementId), placementId, onDamaged);
        const record = state ?? readRecord(intentOf(placementId), placementId, onDamaged);
        const outdated = state === null && existsSync(`${stateOf(placementId)}.damaged`);
        stored.push({ placementId, directory: directoryOf(placementId), record, outdated });
      }
      return stored;
    },
    close() {
      for (const state of firstStates.values()) state.close();
      firstStates.clear();
    },
  };
}

/** Of at least so many bytes: JSON may end in blanks. */
export function encodeRecord(record: PlacementRecord, bytesMin = 0): string {
  const body = JSON.stringify(record).padEnd(bytesMin - headBytes);
  return `${magic}${sha256(body)}\n${body}`;
}

/** The record, or STATE_FILE_DAMAGED. */
export function decodeRecord(bytes: Buffer, path: string): PlacementRecord {
  const damaged = (reason: string, cause?: unknown) =>
    new NsfleetError('STATE_FILE_DAMAGED', { attempted: 'read', target: path, reason, cause });
  const head = bytes.toString('latin1', 0, headBytes);
  const body = bytes.subarray(headBytes);
  if (head !== `${magic}${sha256(body)}\n`) throw damaged('its checksum does not match its content');
  try {
    return PlacementRecord.parse(JSON.parse(body.toString('utf8')));
  } catch (cause) {
    throw damaged('written by another version of the agent', cause);
  }
}

/** Of the record in `intent`; null where there is none, or none that is whole. */
function placementIdOf(intent: string): string | null {
  try {
    return decodeRecord(readFileSync(intent), intent).desired.placementId;
  } catch {
    return null;
  }
}

function readRecord(path: string, placementId: string, onDamaged: (error: NsfleetError) => void): PlacementRecord | null {
  if (!existsSync(path)) return null;
  try {
    const bytes = readFileSync(path);
    if (bytes.length === 0) return null;
    const record = decodeRecord(bytes, path);
    if (record.desired.placementId === placementId) return record;
    throw new NsfleetError('STATE_FILE_DAMAGED', { attempted: 'read', target: path, reason: 'it is of another placement' });
  } catch (error) {
    if (!(error instanceof NsfleetError) || error.code !== 'STATE_FILE_DAMAGED') throw stateUnusable('read', path, error);
    renameSync(path, `${path}.damaged`);
    onDamaged(error);
    return null;
  }
}

function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes);
}

function guard<T>(attempted: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw stateUnusable(attempted, path, cause);
  }
}
