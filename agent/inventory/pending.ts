/** What was heard and not yet looked at: pids, bounded. Pure. */
import { changeKinds } from '../changes/records.ts';

/** More than so many at once cost as much as looking at everything. */
const pidsMax = 4096;
/** During one look. Nearly all of them have gone when it ends. */
const strangersMax = 65_536;

const matterOfUnknown = changeKinds.new | changeKinds.namespaces | changeKinds.mount;

export type Pending = {
  /** `isKnown`: the pid is a process of the model. Of what is unknown only births, joined namespaces and mounts matter. */
  add(pid: number, kinds: number, isKnown: boolean): void;
  /** Everything must be looked at. */
  addAll(): void;
  /**
   * A look begins: it may show processes that are not known yet, so what is heard of strangers is set aside until it ends. `isKnown` is asked
   * then.
   */
  begin(): void;
  end(isKnown: (pid: number) => boolean): void;
  /** Of the pids; 0 too where it is all. */
  readonly size: number;
  readonly isAll: boolean;
  /** Hands everything over, and is empty then. Null: all. */
  take(): Map<number, number> | null;
};

export function createPending(): Pending {
  let pids = new Map<number, number>();
  let all = false;
  let strangers: Map<number, number> | null = null;
  return {
    begin() {
      strangers = new Map();
    },
    end(isKnown) {
      const aside = strangers ?? new Map<number, number>();
      strangers = null;
      for (const [pid, kinds] of aside) {
        // Born and gone meanwhile, and not seen; what it mounted may have stayed.
        const passing = (kinds & changeKinds.gone) !== 0 && (kinds & changeKinds.mount) === 0;
        if (isKnown(pid)) this.add(pid, kinds, true);
        else if (!passing) this.add(pid, kinds, false);
      }
    },
    add(pid, kinds, isKnown) {
      if (all) return;
      if (strangers !== null && !isKnown) {
        strangers.set(pid, (strangers.get(pid) ?? 0) | kinds);
        if (strangers.size > strangersMax) this.addAll();
        return;
      }
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
      strangers?.clear();
    },
    get size() {
      return pids.size;
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
