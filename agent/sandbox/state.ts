/**
 * Two files a placement, in `<state>/placements/<placement id>/`: `intent`, its first record, written once before anything is made;
 * and `state`, the newest one, replaced as a whole by rename. The first line of each carries the sha256 of all that follows, so that a
 * single flipped bit is seen: `nsfleet-placement 1 <sha256>\n<json>`.
 *
 * **What survives what.** A record is written before its status is told. A killed agent loses nothing: the page cache is the
 * kernel's. A power loss ends every sandbox, so all that must survive it is that the placement was here: `intent` and its directory
 * are fsynced (while the kernel makes the sandbox, see steps.ts) before anything is told; `state` is not, which saves 0.5 ms a change.
 * After a power loss `state` may be missing or damaged and `intent` stands in for it: `lost`, unless the shim's own fsynced exit file
 * says how it ended. `statusSeq` then continues above whatever was told.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { NsfleetError } from '#shared/errors.ts';
import { stateUnusable, syncEntry } from '../durable-file.ts';
import { PlacementRecord } from './record.ts';

const magic = 'nsfleet-placement 1 ';
const digestChars = 64;

export type StoredPlacement = {
  placementId: string;
  directory: string;
  record: PlacementRecord | null;
  /** the record is `intent`, and a newer one was there but is damaged: what the record says of the state is too old */
  outdated: boolean;
};

export type StateFiles = {
  directoryOf(placementId: string): string;
  /** Makes the directory (0700) and writes `intent`. */
  create(record: PlacementRecord): void;
  /** Replaces `state`. STATE_DIRECTORY_UNUSABLE. */
  write(record: PlacementRecord): void;
  /** The directory and `intent` survive a power loss once this resolves. */
  sync(placementId: string): Promise<void>;
  /** Everything that lies there. A record is null where there is none, or where it is damaged: then it was set aside. */
  readAll(onDamaged: (error: NsfleetError) => void): Promise<StoredPlacement[]>;
};

/** Makes `<stateDirectory>/placements`. */
export function openStateFiles(stateDirectory: string): StateFiles {
  const root = join(stateDirectory, 'placements');
  guard('make', root, () => mkdirSync(root, { recursive: true, mode: 0o700 }));
  const directoryOf = (placementId: string): string => join(root, placementId);
  const intentOf = (placementId: string): string => join(root, placementId, 'intent');
  const stateOf = (placementId: string): string => join(root, placementId, 'state');

  return {
    directoryOf,
    create(record) {
      const directory = directoryOf(record.desired.placementId);
      guard('make', directory, () => {
        mkdirSync(directory, { mode: 0o700 });
        // Half written it is damaged, and without a trace of a shim the directory is reaped: no need for a rename.
        writeFileSync(intentOf(record.desired.placementId), encodeRecord(record), { mode: 0o600, flag: 'wx' });
      });
    },
    write(record) {
      const path = stateOf(record.desired.placementId);
      guard('write', path, () => {
        writeFileSync(`${path}.tmp`, encodeRecord(record), { mode: 0o600 });
        renameSync(`${path}.tmp`, path);
      });
    },
    async sync(placementId) {
      try {
        await Promise.all([syncEntry(intentOf(placementId)), syncEntry(directoryOf(placementId)), syncEntry(root)]);
      } catch (cause) {
        throw stateUnusable('write', intentOf(placementId), cause);
      }
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
  };
}

export function encodeRecord(record: PlacementRecord): string {
  const body = JSON.stringify(record);
  return `${magic}${sha256(Buffer.from(body))}\n${body}`;
}

/** The record, or STATE_FILE_DAMAGED. */
export function decodeRecord(bytes: Buffer, path: string): PlacementRecord {
  const damaged = (reason: string, cause?: unknown) =>
    new NsfleetError('STATE_FILE_DAMAGED', { attempted: 'read', target: path, reason, cause });
  const headBytes = magic.length + digestChars + 1;
  const head = bytes.toString('latin1', 0, headBytes);
  const body = bytes.subarray(headBytes);
  if (head !== `${magic}${sha256(body)}\n`) throw damaged('its checksum does not match its content');
  try {
    return PlacementRecord.parse(JSON.parse(body.toString('utf8')));
  } catch (cause) {
    throw damaged('written by another version of the agent', cause);
  }
}

function readRecord(path: string, placementId: string, onDamaged: (error: NsfleetError) => void): PlacementRecord | null {
  if (!existsSync(path)) return null;
  try {
    const record = decodeRecord(readFileSync(path), path);
    if (record.desired.placementId === placementId) return record;
    throw new NsfleetError('STATE_FILE_DAMAGED', { attempted: 'read', target: path, reason: 'it is of another placement' });
  } catch (error) {
    if (!(error instanceof NsfleetError) || error.code !== 'STATE_FILE_DAMAGED') throw stateUnusable('read', path, error);
    renameSync(path, `${path}.damaged`);
    onDamaged(error);
    return null;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function guard(attempted: string, path: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    throw stateUnusable(attempted, path, cause);
  }
}
