/**
 * Every placement of this host. Wishes come in by `accept`; the kernel's truth comes in as events of shims; what is told goes out by
 * `tell`. The steps of one placement are taken one at a time, those of different ones side by side up to a bound.
 */
import { asNsfleetError } from '#shared/errors.ts';
import type { PlacementSummary } from '#shared/placement.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { DesiredPlacement, PlacementStatus } from '#shared/sandbox.ts';
import { createObserver } from './observer.ts';
import { newPlacement } from './placement.ts';
import type { Placement } from './placement.ts';
import { nextStep } from './reconcile.ts';
import { newRecord, statusOf } from './record.ts';
import { change, execute } from './steps.ts';
import type { StepParts } from './steps.ts';
import { createTurns } from './turns.ts';

/** Mostly waiting for the kernel, which makes namespaces one after another anyway; more would only lengthen its queues. */
const stepsAtOnce = 16;
/** After a step that failed (a full disk): not at once again. */
const retryMs = 1000;

export type Placements = {
  /** Takes wishes over; older generations than known change nothing. */
  accept(desired: readonly DesiredPlacement[]): void;
  /** Tells the status of everything that is held, and of `placementIds` even where nothing is known of them. */
  tellAll(): void;
  /** Takes in what was found on disk; see adopt.ts. */
  adopt(placement: Placement): void;
  get(placementId: string): Placement | undefined;
  all(): IterableIterator<Placement>;
  summaries(): PlacementSummary[];
  /** A controller has it in its books: a removed placement may be forgotten. */
  acknowledged(status: PlacementStatus): void;
  /** Lets go of everything; sandboxes run on. */
  close(): Promise<void>;
};

export type PlacementsParts = Omit<StepParts, 'advance' | 'others'> & {
  bootId: string;
  tell: (status: PlacementStatus) => void;
  /** something changed: the beat and the scan want to know */
  onChange: () => void;
};

export function createPlacements(parts: PlacementsParts): Placements {
  const held = new Map<string, Placement>();
  const turns = createTurns(stepsAtOnce);
  let closed = false;
  const stepParts: StepParts = { ...parts, advance: (placement) => void advance(placement), others: () => held.values() };

  const observer = createObserver(parts.runner.native, parts.nowMs, (placement, observed) => {
    const { state, desired } = placement.record;
    // What is being removed has no file to write any more.
    if (isEnded(state) || desired.wanted === 'removed' || held.get(desired.placementId) !== placement) return;
    // A step under way has the record in its hands.
    if (placement.working) return observer.soon(placement);
    change(parts, placement, { observed });
    tell(placement);
  });

  const tell = (placement: Placement): void => {
    placement.mustTell = false;
    const took = placement.heardMs === null ? {} : { tookMs: performance.now() - placement.heardMs };
    placement.heardMs = null;
    parts.tell({ ...statusOf(placement.record), ...took });
    if (placement.record.state === 'running' && placement.record.observed === null) observer.soon(placement);
    parts.onChange();
  };

  /** Takes steps until there is none. */
  const advance = async (placement: Placement): Promise<void> => {
    if (placement.working || closed) return;
    placement.working = true;
    try {
      for (;;) {
        const step = nextStep(placement.record, { exit: placement.exit, vanished: placement.vanished, nowMs: parts.nowMs() });
        if (step === null || (step.type === 'wait' && placement.timer !== null)) break;
        await turns.take(() => execute(stepParts, placement, step));
        if (placement.mustTell) tell(placement);
      }
      if (placement.mustTell) tell(placement);
    } catch (error) {
      const failure = asNsfleetError(error, 'work on sandbox', placement.record.desired.name);
      parts.log.error({ code: failure.code, reason: failure.reason, placementId: placement.record.desired.placementId }, failure.message);
      placement.timer ??= setTimeout(() => {
        placement.timer = null;
        void advance(placement);
      }, retryMs);
    } finally {
      placement.working = false;
    }
  };

  const acceptOne = (desired: DesiredPlacement): void => {
    const known = held.get(desired.placementId);
    if (known === undefined) {
      acceptNew(desired);
      return;
    }
    if (desired.generation <= known.record.desired.generation) return;
    if (known.record.state === 'removed') {
      known.record = { ...known.record, desired };
      tell(known);
      return;
    }
    known.heardMs = performance.now();
    change(parts, known, { desired });
    // Before the first step there is nothing to tell but that it was heard, which the step's outcome tells too.
    if (known.record.state === 'placed') known.mustTell = false;
    if (known.timer !== null) clearTimeout(known.timer);
    known.timer = null;
    void advance(known);
  };

  const acceptNew = (desired: DesiredPlacement): void => {
    if (desired.wanted === 'removed' || parts.tombstones.has(desired.placementId)) {
      // Nothing of it is here, whether it ever was or not.
      const record = newRecord(desired, parts.bootId, parts.nowMs());
      parts.tell(statusOf({ ...record, state: 'removed', endedAt: new Date(parts.nowMs()).toISOString() }));
      return;
    }
    const placement = newPlacement(desired, parts.bootId, parts.nowMs());
    placement.heardMs = performance.now();
    held.set(desired.placementId, placement);
    void advance(placement);
  };

  return {
    accept(desired) {
      for (const one of desired) {
        try {
          acceptOne(one);
        } catch (error) {
          // The wish was not kept: the controller sends it again as long as the digests differ.
          parts.log.error({ placementId: one.placementId, reason: asNsfleetError(error, 'accept', one.name).reason }, 'wish not accepted');
        }
      }
    },
    tellAll() {
      for (const placement of held.values()) if (placement.record.state !== 'placed') tell(placement);
    },
    adopt(placement) {
      held.set(placement.record.desired.placementId, placement);
      void advance(placement);
    },
    get: (placementId) => held.get(placementId),
    all: () => held.values(),
    summaries: () =>
      [...held.values()].map(({ record }) => ({
        placementId: record.desired.placementId,
        generation: record.desired.generation,
        state: record.state,
      })),
    acknowledged(status) {
      const placement = held.get(status.placementId);
      if (placement?.record.state === 'removed' && placement.record.statusSeq === status.statusSeq) held.delete(status.placementId);
    },
    async close() {
      closed = true;
      await Promise.all([turns.idle(), observer.close()]);
      for (const placement of held.values()) {
        if (placement.timer !== null) clearTimeout(placement.timer);
        placement.link?.close();
        placement.child?.close();
      }
    },
  };
}
