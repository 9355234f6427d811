/**
 * Wanted × actual → the next step of one placement. Pure; level-triggered: asked again after every step and every event until nothing
 * is left to do, so that nothing depends on the order in which wishes and events come.
 */
import { isEnded } from '#shared/sandbox.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import type { SignalName } from '#shared/signal.ts';
import { limitChanges } from '../cgroup/limits.ts';
import type { PlacementRecord } from './record.ts';

/** What is known beside the record. */
export type Facts = {
  /** the shim told that it ended, and the record does not say so yet */
  exit: ExitStatus | null;
  /** the shim is gone without a word */
  vanished: boolean;
  nowMs: number;
};

export type Step =
  /** make it and start its command */
  | { type: 'create' }
  /** it was never made, and need not be any more */
  | { type: 'skip' }
  /** write down how it ended */
  | { type: 'end'; exit: ExitStatus }
  /** write down that nobody knows how it ended */
  | { type: 'lose' }
  /** send the stop signal; SIGKILL follows after the grace */
  | { type: 'stop'; signal: SignalName; graceMs: number }
  /** freeze or thaw everything in it */
  | { type: 'freeze'; frozen: boolean }
  /** its limits are to change while it runs */
  | { type: 'limit' }
  /** look again then */
  | { type: 'wait'; untilMs: number }
  /** the grace is over */
  | { type: 'kill' }
  /** kill what runs and remove every trace */
  | { type: 'destroy' };

export type StepType = Step['type'];

/** Null: nothing to do until something changes. */
export function nextStep(record: PlacementRecord, facts: Facts): Step | null {
  const { desired, state } = record;
  if (state === 'removed') return null;
  if (!isEnded(state) && state !== 'placed') {
    if (facts.exit !== null) return { type: 'end', exit: facts.exit };
    if (facts.vanished) return { type: 'lose' };
  }
  switch (desired.wanted) {
    case 'running':
      if (state === 'placed') return { type: 'create' };
      return state === 'paused' ? unlessRefused(record, { type: 'freeze', frozen: false }) : limit(record);
    case 'paused':
      if (state === 'placed') return { type: 'create' };
      return state === 'running' ? unlessRefused(record, { type: 'freeze', frozen: true }) : limit(record);
    case 'stopped':
      if (state === 'placed') return { type: 'skip' };
      if (state === 'running' || state === 'paused') {
        const { spec } = desired;
        return { type: 'stop', signal: desired.stopSignal ?? spec.stopSignal, graceMs: desired.stopGraceMs ?? spec.stopGraceMs };
      }
      if (state === 'stopping') {
        const untilMs = record.stopDeadlineMs ?? 0;
        return facts.nowMs >= untilMs ? { type: 'kill' } : { type: 'wait', untilMs };
      }
      return null;
    case 'removed':
      return { type: 'destroy' };
  }
}

function limit(record: PlacementRecord): Step | null {
  const { desired, state } = record;
  if (state !== 'running' && state !== 'paused') return null;
  return limitChanges(desired.spec.resources, record).length === 0 ? null : unlessRefused(record, { type: 'limit' });
}

/** What the kernel refused once it refuses again: it waits for another wish. */
function unlessRefused({ refused, desired }: PlacementRecord, step: Step): Step | null {
  return refused === desired.generation ? null : step;
}
