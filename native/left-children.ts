/** Children of ours that a file system which never answers keeps from ending; see nsf_left_child in nsfleet.h. */
import { nsfLeftChild } from './layout.ts';

/** NSF_LEFT_CHILDREN of nsfleet.h. */
const rows = 12;
const left = 2;

export type LeftChildren = {
  /** For the calls that send children, and for as long as the library is used. */
  readonly memory: Uint8Array;
  /** Those that had not ended when the last call looked. */
  count(): number;
};

export function createLeftChildren(): LeftChildren {
  const memory = new Uint8Array(rows * nsfLeftChild.whole);
  const view = new DataView(memory.buffer);
  const stateAt = (row: number): number => view.getInt32(row * nsfLeftChild.whole + nsfLeftChild.state[0], true);
  return { memory, count: () => Array.from({ length: rows }, (_, row) => stateAt(row)).filter((state) => state === left).length };
}
