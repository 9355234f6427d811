/**
 * Namespaces that lost the last holder that the model knows. They may be gone, or held by what only a search finds: a descriptor, a socket, a
 * bind mount made a moment ago. Until that is known they stay in the model, without a process, so that none ends that goes on.
 */
import type { Native } from '#native/binding.ts';
import type { ReportedNamespace } from '#shared/inventory.ts';
import type { Model } from './model.ts';

/** The kernel takes a namespace down in a moment, or in seconds where many end at once. Then only a search can tell. */
const askAgainMs = [60, 300, 1300];

export type Unheld = {
  /**
   * `next` with those namespaces of `before` that it lost and that may still be there. `askInMs`: when to ask again; null: not at all.
   * `wantsFull`: only a full scan can tell of some.
   */
  keep(before: Model, next: Model, nowMs: number): { model: Model; askInMs: number | null; wantsFull: boolean };
};

export function createUnheld(native: Pick<Native, 'isAlive'>): Unheld {
  /** since when each has no holder */
  let since = new Map<string, number>();
  return {
    keep(before, next, nowMs) {
      const now = new Map<string, number>();
      const kept: [string, ReportedNamespace][] = [];
      let askInMs: number | null = null;
      let wantsFull = false;
      for (const [name, row] of before.namespaces) {
        if (next.namespaces.has(name)) continue;
        const alive = row.key.startsWith('id:') ? native.isAlive({ ...row, id: row.key.slice('id:'.length) }) : null;
        if (alive === false) continue;
        kept.push([name, { ...row, processCount: 0, leader: null }]);
        const startMs = since.get(name) ?? nowMs;
        now.set(name, startMs);
        const ageMs = alive === null ? Infinity : nowMs - startMs;
        const againMs = askAgainMs.find((ms) => ms > ageMs);
        if (againMs === undefined) wantsFull = true;
        else askInMs = Math.min(askInMs ?? Infinity, againMs - ageMs);
      }
      since = now;
      const model = kept.length === 0 ? next : { ...next, namespaces: new Map([...next.namespaces, ...kept]) };
      return { model, askInMs, wantsFull };
    },
  };
}
