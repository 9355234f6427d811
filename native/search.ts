/** Runs the searches for references: buffers that grow, two threads where that pays, and what is remembered from one to the next. */
import { availableParallelism } from 'node:os';
import type { Calls, FoundRoom } from './calls.ts';
import { keepReferences, mergeReferences } from './merge-references.ts';
import type { LeftChildren } from './left-children.ts';
import { check, errorBuffer } from './native-error.ts';
import { createSearchMemory } from './search-memory.ts';
import type { Inquiry } from './search-memory.ts';
import { decodeFound, decodeFoundNeeded } from './references.ts';
import type { Found } from './references.ts';
import type { MountDoor, References } from './types.ts';

const ENOSPC = 28;
/** Room of the first buffer: about 0.2 MiB. It grows to what the host needs and stays so. */
const firstRoom: FoundRoom = { references: 512, namespaces: 1024, textBytes: 16_384 };
const attemptsMax = 10;
/** From so many processes on, two threads share a search, as with a scan. */
const sharedFrom = 256;
/** And from so many mount namespaces on. Two searches may both find one that no process is in: its mounts then have the same ids. */
const sharedMountsFrom = 64;

export type Search = {
  references(proc: string, pids?: readonly number[]): Promise<References>;
  mounts(proc: string, doors: readonly MountDoor[]): Promise<References>;
  ids(ids: readonly string[]): Promise<References>;
};

/** Searches of one kind run one after another: they share what they remember. */
export function createSearch(calls: Calls, left: LeftChildren, room: FoundRoom = firstRoom): Search {
  const parts = Array.from({ length: Math.min(2, availableParallelism()) }, () => createPart(calls, room));
  const mountRuns = parts.map(() => createRun(calls, room));
  const idRun = createRun(calls, room);
  let threads = 0;
  let pass = 1;
  let place = '';
  let last: Promise<unknown> = Promise.resolve();

  const searchProcesses = async (proc: string, pids: readonly number[] | undefined): Promise<References> => {
    if (pids?.length === 0) return { references: [], namespaces: [], threads: 0, hidden: {} };
    const searching = pids === undefined && threads >= sharedFrom ? parts : parts.slice(0, 1);
    if (pids === undefined) pass += 1;
    // Pids of another procfs are other processes.
    if (place !== proc) for (const part of parts) part.forget();
    place = proc;
    const list = Int32Array.from(pids ?? []);
    const inquiry = { parts: searching.length, pass, pids: list };
    const results = await Promise.all(searching.map((part, index) => part.search(proc, { ...inquiry, part: index })));
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
      const searching = doors.length >= sharedMountsFrom ? mountRuns : mountRuns.slice(0, 1);
      const results = await Promise.all(
        searching.map((run, part) => {
          const own = doors.filter((_, index) => index % searching.length === part);
          const flat = Int32Array.from(own.flatMap(({ pid, fd = -1 }) => [pid, fd]));
          return run((space, buffer, error) => calls.mounts(proc, flat, left.memory, space, buffer, error), proc);
        }),
      );
      const merged = results.map(({ found }) => found).reduce(mergeReferences);
      const count = left.count();
      return count > 0 ? { ...merged, hidden: { ...merged.hidden, unkillable_children: count } } : merged;
    },
    async ids(ids) {
      const list = BigUint64Array.from(ids, BigInt);
      const { found } = await idRun((space, buffer, error) => calls.openIds(list, space, buffer, error), 'by their ids');
      return found;
    },
  };
}

type Part = {
  search(proc: string, inquiry: Inquiry): Promise<Found>;
  forget(): void;
};

/** One share of the processes, with what is remembered of them. */
function createPart(calls: Calls, room: FoundRoom): Part {
  const memory = createSearchMemory(calls);
  const run = createRun(calls, room);
  let before: References | null = null;
  const forget = (): void => {
    memory.forget();
    before = null;
  };
  return {
    async search(proc, inquiry) {
      try {
        const call: Call = (space, buffer, error) => calls.references(proc, memory.inquiry(inquiry), space, buffer, error);
        const result = await run(call, proc, () => memory.forget());
        memory.learn(result.counts);
        if (inquiry.pids.length > 0) return result;
        const same = new Set(result.same);
        const found =
          before === null
            ? result.found
            : mergeReferences(
                keepReferences(before, ({ pid }) => same.has(pid)),
                result.found,
              );
        before = { ...found, threads: 0, hidden: {} };
        return { ...result, found };
      } catch (error) {
        // What the library remembers of this search has no rows here.
        forget();
        throw error;
      }
    },
    forget,
  };
}

type Call = (room: Uint32Array, buffer: Uint8Array, error: Uint8Array) => Promise<number>;

/** Repeats a call with a larger buffer as long as what it finds does not fit; `onFull` is told each time. */
function createRun(calls: Calls, first: FoundRoom): (call: Call, proc: string, onFull?: () => void) => Promise<Found> {
  const room = { ...first };
  let idle: ArrayBuffer | null = null;
  return async (call, proc, onFull) => {
    const error = errorBuffer();
    let result = 0;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const space = Uint32Array.of(room.references, room.namespaces, room.textBytes, 0);
      const bytes = calls.foundBytes(space);
      const buffer: ArrayBuffer = idle?.byteLength === bytes ? idle : new ArrayBuffer(bytes);
      idle = null;
      result = await call(space, new Uint8Array(buffer), error);
      if (result === -ENOSPC) {
        onFull?.();
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
