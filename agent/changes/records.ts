/** What `shim watch` writes: 8 bytes a record, a pid and what happened to it (native/shim/watch.h). Pure. */

export const changeKinds = {
  /** born */
  new: 1,
  /** runs another program, or has another name or other ids */
  change: 2,
  /** about to leave its namespaces; a zombie then */
  exit: 4,
  /** no pid any more */
  gone: 8,
  /** joined or made namespaces; the pid may be a thread's */
  namespaces: 16,
  /** mounted, moved or unmounted something */
  mount: 32,
} as const;

const lost = 1 << 16;
const ready = 1 << 17;
const failed = 1 << 18;
const recordBytes = 8;

export type WatcherWord =
  | { type: 'change'; pid: number; kinds: number }
  /** Events are missing before this one. */
  | { type: 'lost' }
  | { type: 'ready' }
  | { type: 'failed'; errnum: number };

/** Decodes a stream that may be cut anywhere. */
export function createRecordReader(onWord: (word: WatcherWord) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const whole = all.length - (all.length % recordBytes);
    for (let at = 0; at < whole; at += recordBytes) onWord(wordOf(all.readUInt32LE(at), all.readUInt32LE(at + 4)));
    rest = Buffer.from(all.subarray(whole));
  };
}

function wordOf(pid: number, kinds: number): WatcherWord {
  if ((kinds & lost) !== 0) return { type: 'lost' };
  if ((kinds & ready) !== 0) return { type: 'ready' };
  if ((kinds & failed) !== 0) return { type: 'failed', errnum: pid };
  return { type: 'change', pid, kinds };
}
