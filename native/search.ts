/** Runs the searches for references: buffers that grow, two threads where that pays, and what is remembered from one to the next. */
import { availableParallelism } from 'node:os';
import type { Calls, FoundRoom } from './calls.ts';
import { mergeReferences } from './merge-references.ts';
import { check, errorBuffer } from './native-error.ts';
import { createSearchMemory } from './search-memory.ts';
import { decodeFound, decodeFoundNeeded } from './references.ts';
import type { FoundCounts } from './references.ts';
import type { MountDoor, References } from './types.ts';

const ENOSPC = 28;
/** Room of the first buffer: about 0.2 MiB. It grows to what the host needs and stays so. */
const firstRoom: FoundRoom = { references: 512, namespaces: 1024, textBytes: 16_384 };
const attemptsMax = 10;
/** From so many processes on, two threads share a search, as with a scan. */
const sharedFrom = 256;

export type Search = {
  references(proc: string, pids?: readonly number[]): Promise<References>;
  mounts(proc: string, doors: readonly MountDoor[]): Promise<References>;
};

/** Searches of one kind run one after another: they share what they remember. */
export function createSearch(calls: Calls, room: FoundRoom = firstRoom): Search {
  const partsMax = Math.min(2, availableParallelism());
  const memories = Array.from({ length: partsMax }, () => createSearchMemory(calls));
  const passes = memories.map(() => createRun(calls, room));
  const mountPass = createRun(calls, room);
  let threads = 0;
  let pass = 1;
  let last: Promise<unknown> = Promise.resolve();

  const searchProcesses = async (proc: string, pids: readonly number[] | undefined): Promise<References> => {
    if (pids?.length === 0) return { references: [], namespaces: [], threads: 0, hidden: {} };
    const parts = pids === undefined && threads >= sharedFrom ? partsMax : 1;
    if (pids === undefined) pass += 1;
    const list = Int32Array.from(pids ?? []);
    const results = await Promise.all(
      Array.from({ length: parts }, async (_, part) => {
        const memory = memories[part];
        const run = passes[part];
        if (memory === undefined || run === undefined) throw new RangeError('more parts than memories');
        const inquiry = memory.inquiry({ part, parts, pass, pids: list });
        const result = await run((space, buffer, error) => calls.references(proc, inquiry, space, buffer, error), proc);
        memory.learn(result.counts);
        return result;
      }),
    );
    const counts = results.map((result) => result.counts);
    const present = counts.reduce((sum, { threadsPresent }) => sum + threadsPresent, 0);
    if (pids === undefined) threads = present;
    const merged = results.map(({ found }) => found).reduce(mergeReferences);
    const invisible = Math.max(...counts.map(({ threadsCounted }) => threadsCounted)) - present;
    return invisible > 0 ? { ...merged, hidden: { ...merged.hidden, invisible_threads: invisible } } : merged;
  };

  return {
    references(proc, pids) {
      const search = last.then(() => searchProcesses(proc, pids));
      last = search.catch(() => undefined);
      return search;
    },
    async mounts(proc, doors) {
      const flat = Int32Array.from(doors.flatMap(({ pid, fd = -1 }) => [pid, fd]));
      const { found } = await mountPass((space, buffer, error) => calls.mounts(proc, flat, space, buffer, error), proc);
      return found;
    },
  };
}

type Call = (room: Uint32Array, buffer: Uint8Array, error: Uint8Array) => Promise<number>;

/** Repeats a call with a larger buffer as long as what it finds does not fit. */
function createRun(calls: Calls, first: FoundRoom): (call: Call, proc: string) => Promise<{ found: References; counts: FoundCounts }> {
  const room = { ...first };
  let idle: ArrayBuffer | null = null;
  return async (call, proc) => {
    const error = errorBuffer();
    let result = 0;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const space = Uint32Array.of(room.references, room.namespaces, room.textBytes, 0);
      const bytes = calls.foundBytes(space);
      const buffer: ArrayBuffer = idle?.byteLength === bytes ? idle : new ArrayBuffer(bytes);
      idle = null;
      result = await call(space, new Uint8Array(buffer), error);
      if (result === -ENOSPC) {
        const needed = decodeFoundNeeded(buffer);
        room.references = Math.max(room.references, Math.ceil(needed.references * 1.25));
        room.namespaces = Math.max(room.namespaces, needed.namespaces);
        room.textBytes = Math.max(room.textBytes, Math.ceil(needed.textBytes * 1.25));
        continue;
      }
      check(result, error, 'search for holders of namespaces', proc);
      const decoded = decodeFound(buffer);
      idle = buffer;
      return decoded;
    }
    check(result, error, 'search for holders of namespaces', proc);
    throw new Error('unreachable: the last attempt failed with ENOSPC');
  };
}
