/** The whole of reconcile.ts as a table, and its one property: whatever is wished, it comes to rest. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { nextStep } from '#agent/sandbox/reconcile.ts';
import type { Facts, StepType } from '#agent/sandbox/reconcile.ts';
import { newRecord } from '#agent/sandbox/record.ts';
import type { PlacementRecord } from '#agent/sandbox/record.ts';
import { Wanted, mayBecome, sandboxStates } from '#shared/sandbox.ts';
import type { SandboxState } from '#shared/sandbox.ts';
import { desired } from '#test/support/controller-side.ts';

const quiet: Facts = { exit: null, vanished: false, nowMs: 1000 };
const exited: Facts = { ...quiet, exit: { code: 0, signal: null } };
const vanished: Facts = { ...quiet, vanished: true };

function record(state: SandboxState, wanted: Wanted, stopDeadlineMs: number | null = null): PlacementRecord {
  return { ...newRecord({ ...desired(['true']), wanted }, randomUUID(), 1), state, stopDeadlineMs };
}

/** state: [running, paused, stopped, removed] → step */
const table: Record<SandboxState, Record<Wanted, StepType | null>> = {
  placed: { running: 'create', paused: 'create', stopped: 'skip', removed: 'destroy' },
  running: { running: null, paused: 'freeze', stopped: 'stop', removed: 'destroy' },
  paused: { running: 'freeze', paused: null, stopped: 'stop', removed: 'destroy' },
  stopping: { running: null, paused: null, stopped: 'kill', removed: 'destroy' },
  stopped: { running: null, paused: null, stopped: null, removed: 'destroy' },
  failed: { running: null, paused: null, stopped: null, removed: 'destroy' },
  lost: { running: null, paused: null, stopped: null, removed: 'destroy' },
  removed: { running: null, paused: null, stopped: null, removed: null },
};

test('every state and wish', () => {
  for (const state of sandboxStates) {
    for (const wanted of Wanted.options) {
      assert.equal(nextStep(record(state, wanted), quiet)?.type ?? null, table[state][wanted], `${state}, ${wanted} wanted`);
    }
  }
});

test('other limits are set while it runs, and one that the kernel refused is not tried again', () => {
  for (const [state, wanted] of [
    ['running', 'running'],
    ['paused', 'paused'],
  ] as const) {
    const plain = record(state, wanted);
    const spec = { ...plain.desired.spec, resources: { pids: 9 } };
    const other = { ...plain, desired: { ...plain.desired, spec } };
    assert.deepEqual(nextStep(other, quiet), { type: 'limit' });
    assert.equal(nextStep({ ...other, resources: { pids: 9 } }, quiet), null);
    assert.equal(nextStep({ ...other, refused: other.desired.generation }, quiet), null);
  }
  const unfreezable = record('running', 'paused');
  assert.equal(nextStep({ ...unfreezable, refused: unfreezable.desired.generation }, quiet), null);
});

test('how it ended is written down before anything else is done', () => {
  for (const state of ['running', 'paused', 'stopping'] as const) {
    for (const wanted of Wanted.options) {
      assert.equal(nextStep(record(state, wanted), exited)?.type, 'end');
      assert.equal(nextStep(record(state, wanted), vanished)?.type, 'lose');
    }
  }
});

test('the grace is waited for, and not longer', () => {
  assert.deepEqual(nextStep(record('stopping', 'stopped', 5000), quiet), { type: 'wait', untilMs: 5000 });
  assert.deepEqual(nextStep(record('stopping', 'stopped', 5000), { ...quiet, nowMs: 5000 }), { type: 'kill' });
});

test('the wish’s own signal and grace come before the spec’s', () => {
  const plain = record('running', 'stopped');
  assert.deepEqual(nextStep(plain, quiet), { type: 'stop', signal: 'SIGTERM', graceMs: 10_000 });
  const own = { ...plain, desired: { ...plain.desired, stopSignal: 'SIGINT' as const, stopGraceMs: 0 } };
  assert.deepEqual(nextStep(own, quiet), { type: 'stop', signal: 'SIGINT', graceMs: 0 });
});

test('from every state every wish comes to rest, by transitions that the one table allows', () => {
  const outcome: Partial<Record<StepType, SandboxState>> = {
    create: 'running',
    skip: 'stopped',
    end: 'stopped',
    lose: 'lost',
    stop: 'stopping',
    destroy: 'removed',
  };
  for (const state of sandboxStates) {
    for (const wanted of Wanted.options) {
      for (const start of [quiet, exited, vanished]) {
        let current = record(state, wanted);
        let facts = start;
        for (let steps = 0; ; steps++) {
          assert.ok(steps < 8, `${state}, ${wanted} wanted, does not come to rest`);
          const step = nextStep(current, facts);
          if (step === null) break;
          if (step.type === 'kill') {
            facts = { ...facts, exit: { code: null, signal: 9 } };
            continue;
          }
          const next = step.type === 'freeze' ? (step.frozen ? 'paused' : 'running') : (outcome[step.type] ?? current.state);
          assert.ok(next === current.state || mayBecome(current.state, next), `${current.state} → ${next}`);
          current = { ...current, state: next, stopDeadlineMs: 0 };
        }
      }
    }
  }
});
