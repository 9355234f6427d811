/**
 * Milliseconds of CPU that may be spent: a tenth of the time, and in a storm of changes one full scan's a second. All that the agent and its
 * watcher use is charged, also what nobody called work: what is heard, compared, encoded and reported, and what V8 does beside. Pure.
 */

/** Heard of in a second, more of them are a storm: soon nearly all of it has gone before it is looked at. */
const stormChanges = 1000;
/** A host with few processes, in a storm: two percent of a core. Only hearing 5,000 forks a second costs as much. */
const fullScanMinMs = 20;
const perSecondMaxMs = 100;
/** Saved while nothing happens: a full scan must not keep the changes after it waiting. */
const savedSeconds = 2;
/** Of what comes in: with what was saved before, it is one full scan's work a second over ten seconds. */
const refillShare = 0.8;
/** The agent runs sandboxes and carries streams, too. What is used between two looks delays the second by so much at most. */
const besideMaxSeconds = 0.25;

export type Budget = {
  /** What a full scan costs now. */
  setFullScan(ms: number): void;
  /** So many changes were heard since the last call. */
  hear(changes: number, nowMs: number): void;
  /** Work was done, and ended at `nowMs`: `ms` for the inventory, and before that `besideMs` for whatever it was. */
  spend: (ms: number, besideMs: number, nowMs: number) => void;
  /** Likewise of work that comes once a minute, or that somebody asked for: out of what is saved, and nothing waits for it. */
  spendSaved: (ms: number, besideMs: number, nowMs: number) => void;
  /** How long to wait before the next work may begin; 0: now. */
  waitMs(nowMs: number): number;
};

export function createBudget(): Budget {
  let fullScanMs = perSecondMaxMs;
  let leftMs = perSecondMaxMs;
  let countedAtMs = 0;
  /** Changes, as a bucket that leaks. */
  let level = 0;
  let heardAtMs = 0;
  const perSecondMs = (): number => (level > stormChanges ? Math.min(perSecondMaxMs, Math.max(fullScanMinMs, fullScanMs)) : perSecondMaxMs);
  const count = (nowMs: number): void => {
    const refillMs = perSecondMs() * refillShare;
    leftMs = Math.min(refillMs * savedSeconds, leftMs + (Math.max(0, nowMs - countedAtMs) / 1000) * refillMs);
    countedAtMs = nowMs;
  };
  const spendBeside = (ms: number): void => {
    leftMs -= Math.min(ms, perSecondMs() * besideMaxSeconds);
  };
  return {
    setFullScan(ms) {
      fullScanMs = ms;
    },
    hear(changes, nowMs) {
      count(nowMs);
      const leaked = (Math.max(0, nowMs - heardAtMs) / 1000) * stormChanges;
      level = Math.min(2 * stormChanges, Math.max(0, level - leaked) + changes);
      heardAtMs = nowMs;
    },
    spend(ms, besideMs, nowMs) {
      count(nowMs);
      spendBeside(besideMs);
      leftMs -= ms;
    },
    spendSaved(ms, besideMs, nowMs) {
      count(nowMs);
      spendBeside(besideMs);
      leftMs = Math.max(Math.min(leftMs, 0), leftMs - ms);
    },
    waitMs(nowMs) {
      count(nowMs);
      return leftMs >= 0 ? 0 : (-leftMs / (perSecondMs() * refillShare)) * 1000;
    },
  };
}
