/** Milliseconds of work that may be spent: one full scan's a second, and never more than a tenth of the time. Pure. */

/** A host with few processes: two percent of a core. */
const fullScanMinMs = 20;
const perSecondMaxMs = 100;
/** Saved while nothing happens: a full scan must not keep the changes after it waiting. */
const savedSeconds = 2;

export type Budget = {
  /** What a full scan costs now. */
  setFullScan(ms: number): void;
  /** Work that was done, and ended at `nowMs`. */
  spend(ms: number, nowMs: number): void;
  /** How long to wait before the next work may begin; 0: now. */
  waitMs(nowMs: number): number;
};

export function createBudget(): Budget {
  let perSecondMs = fullScanMinMs;
  let leftMs = fullScanMinMs * savedSeconds;
  let countedAtMs = 0;
  const count = (nowMs: number): void => {
    leftMs = Math.min(perSecondMs * savedSeconds, leftMs + (Math.max(0, nowMs - countedAtMs) / 1000) * perSecondMs);
    countedAtMs = nowMs;
  };
  return {
    setFullScan(ms) {
      perSecondMs = Math.min(perSecondMaxMs, Math.max(fullScanMinMs, ms));
    },
    spend(ms, nowMs) {
      count(nowMs);
      leftMs -= ms;
    },
    waitMs(nowMs) {
      count(nowMs);
      return leftMs >= 0 ? 0 : (-leftMs / perSecondMs) * 1000;
    },
  };
}
