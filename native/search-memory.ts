/** What one part of a search keeps from one call to the next: tables that the library fills, and that grow with the host. */
import type { Calls } from './calls.ts';
import { nsfIdleProcess, nsfInquiry, nsfKnownSocket } from './layout.ts';
import type { FoundCounts } from './references.ts';

/** 16 and 32 bytes each. */
const firstSlots = 1024;
/** How many more there are than entries when a table is made anew. */
const slotsPerEntry = 4;

/** `pids` empty: all. A search of some asks whatever is remembered of idle processes, and leaves that as it is. */
export type Inquiry = { part: number; parts: number; pass: number; pids: Int32Array };

export type SearchMemory = {
  /** For the next call; the same bytes each time. What it points to lives until `learn`. */
  inquiry(what: Inquiry): Uint8Array;
  learn(counts: FoundCounts): void;
  /** Everything is asked for again. */
  forget(): void;
};

export function createSearchMemory(calls: Pick<Calls, 'addressOf'>): SearchMemory {
  const bytes = new Uint8Array(nsfInquiry.whole);
  const view = new DataView(bytes.buffer);
  const sockets = createTable(nsfKnownSocket.whole);
  const idle = createTable(nsfIdleProcess.whole);
  // Only its address goes along: this keeps the garbage collector from it.
  let held: Int32Array | null = null;
  const nobody = new Uint8Array(0);
  const set = (field: readonly [number, number], value: number): void => view.setUint32(field[0], value, true);
  const point = (field: readonly [number, number], memory: ArrayBufferView): void =>
    view.setBigUint64(field[0], memory.byteLength === 0 ? 0n : calls.addressOf(memory), true);
  return {
    inquiry({ part, parts, pass, pids }) {
      held = pids;
      set(nsfInquiry.part, part);
      set(nsfInquiry.parts, parts);
      set(nsfInquiry.pass, pass);
      set(nsfInquiry.pid_count, held.length);
      point(nsfInquiry.pids, held);
      point(nsfInquiry.sockets, sockets.memory);
      set(nsfInquiry.socket_slots, sockets.slots);
      set(nsfInquiry.sockets_known, sockets.known);
      point(nsfInquiry.idle, held.length === 0 ? idle.memory : nobody);
      set(nsfInquiry.idle_slots, idle.slots);
      set(nsfInquiry.idle_known, idle.known);
      return bytes;
    },
    learn(counts) {
      held = null;
      sockets.learn(counts.socketsKnown, counts.sockets);
      // 0 of a search of some processes, which was not given it.
      if (counts.idleKnown > 0) idle.learn(counts.idleKnown, counts.processes);
    },
    forget() {
      held = null;
      sockets.renew(0);
      idle.renew(0);
    },
  };
}

type Table = {
  readonly memory: Uint8Array;
  readonly slots: number;
  readonly known: number;
  learn(known: number, present: number): void;
  /** Empty, with room for so many entries. */
  renew(entries: number): void;
};

function createTable(slotBytes: number): Table {
  let slots = 0;
  let known = 0;
  let memory = new Uint8Array(0);
  const renew = (entries: number): void => {
    slots = 2 ** Math.ceil(Math.log2(Math.max(firstSlots, entries * slotsPerEntry)));
    known = 0;
    memory = new Uint8Array(slots * slotBytes);
  };
  renew(0);
  return {
    get memory() {
      return memory;
    },
    get slots() {
      return slots;
    },
    get known() {
      return known;
    },
    learn(nowKnown, present) {
      known = nowKnown;
      // Half full, of what lives or of what has ended: from anew, which costs one search without it.
      if (known * 2 >= slots) renew(present);
    },
    renew,
  };
}
