/** One placement while the agent runs: its record, and what is known beside it. */
import type { Child } from '#native/types.ts';
import type { DesiredPlacement, ExitStatus } from '#shared/sandbox.ts';
import { newRecord } from './record.ts';
import type { PlacementRecord } from './record.ts';
import type { ShimEvents } from './runner.ts';
import type { ShimLink } from './shim-link.ts';

export type Placement = {
  record: PlacementRecord;
  /** null: nothing runs, or nothing that this agent can talk to */
  link: ShimLink | null;
  /** the shim, where this agent is its parent */
  child: Child | null;
  /** what the shim told and the record does not say yet */
  exit: ExitStatus | null;
  /** from the exit file: when it ended; null: now */
  endedMs: number | null;
  vanished: boolean;
  /** resolves when the shim has told its end, or is gone */
  over: PromiseWithResolvers<void>;
  /** its directory and `intent` are there */
  isWritten: boolean;
  /** steps are being taken */
  working: boolean;
  /** the status changed, or was asked for, and has not been told since */
  mustTell: boolean;
  timer: NodeJS.Timeout | null;
  /** by performance.now(): when the wish was heard that nothing was told of yet; null: there is none */
  heardMs: number | null;
};

export function newPlacement(desired: DesiredPlacement, bootId: string, nowMs: number): Placement {
  return { ...placementOf(newRecord(desired, bootId, nowMs)), isWritten: false };
}

export function placementOf(record: PlacementRecord): Placement {
  return {
    record,
    link: null,
    child: null,
    exit: null,
    endedMs: null,
    vanished: false,
    over: Promise.withResolvers(),
    isWritten: true,
    working: false,
    mustTell: false,
    timer: null,
    heardMs: null,
  };
}

/** What a shim's words change here; `advance` is called after each. */
export function shimEvents(placement: Placement, advance: () => void): ShimEvents {
  return {
    onExit(exit) {
      placement.exit = exit;
      placement.over.resolve();
      advance();
    },
    onGone() {
      placement.link = null;
      if (placement.exit === null) placement.vanished = true;
      placement.over.resolve();
      advance();
    },
  };
}
