/** What was heard and not yet looked at: pids, bounded. Pure. */
import { changeKinds } from '../changes/records.ts';

/** More than so many at once cost as much as looking at everything. */
const pidsMax = 4096;

const matterOfUnknown = changeKinds.new | changeKinds.namespaces | changeKinds.mount;

export type Pending = {
  /** `isKnown`: the pid is a process of the model. Of what is unknown only births, joined namespaces and mounts matter. */
  add(pid: number, kinds: number, isKnown: boolean): void;
  /** Everything must be looked at. */
  addAll(): void;
  readonly isEmpty: boolean;
  readonly isAll: boolean;
  /** Hands everything over, and is empty then. Null: all. */
  take(): Map<number, number> | null;
};

export function createPending(): Pending {
  let pids = new Map<number, number>();
  let all = false;
  return {
    add(pid, kinds, isKnown) {
      if (all) return;
      const before = pids.get(pid) ?? 0;
      if (before === 0 && !isKnown && (kinds & matterOfUnknown) === 0) return;
      // Born and gone since the last look; what it mounted may have stayed.
      if (!isKnown && kinds === changeKinds.gone && (before & changeKinds.mount) === 0) pids.delete(pid);
      else pids.set(pid, before | kinds);
      if (pids.size > pidsMax) this.addAll();
    },
    addAll() {
      all = true;
      pids.clear();
    },
    get isEmpty() {
      return !all && pids.size === 0;
    },
    get isAll() {
      return all;
    },
    take() {
      const taken = all ? null : pids;
      pids = new Map();
      all = false;
      return taken;
    },
  };
}
