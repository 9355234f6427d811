/**
 * Creating a sandbox, driven through by the controller that was asked: look at the hosts, decide, commit, tell the host, wait. It may
 * be killed at every await: a repeat with the same idempotency key finds what was committed and goes on from there.
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { SandboxRequest } from '#shared/sandbox.ts';
import type { Context } from '../context.ts';
import { faultPoint } from '../fault-points.ts';
import type { CreateStage } from '../metrics.ts';
import type { Wish } from '../scheduler/feasible.ts';
import type { PlaceOutcome } from '../store/place.ts';
import { findRepeated } from '../store/preview.ts';
import { placeSandbox } from '../store/sandboxes.ts';
import { schedulingView } from '../store/schedule.ts';
import { besideOf } from './beside.ts';
import { randomName } from './names.ts';
import { requestHash } from './request-hash.ts';
import { chosenHost, isBlind, placeInTime, wishOf } from './schedule.ts';
import { awaitState, refuseIfFailed } from './wait.ts';
import type { WaitFor } from './wait.ts';

/** Each attempt lost a race for the last slot of a host, or for a name. Enough for two hundred requests on a few slots. */
const attemptsMax = 20;
/** How often a controller that has just begun to listen looks whether a host was heard. */
const blindPollMs = 100;

export type CreateAsked = { request: SandboxRequest; idempotencyKey: string | undefined; wait: WaitFor };
type Placed = Extract<PlaceOutcome, { sandbox: Sandbox }>;

/**
 * The sandbox in the state that was waited for. Throws CONSTRAINT_INVALID, NOT_PLACED, SANDBOX_NAME_TAKEN, IDEMPOTENCY_KEY_REUSED,
 * DEADLINE_EXCEEDED, or the host's own error where the sandbox failed; then its row stays, to be looked at.
 */
export async function createSandbox(context: Context, asked: CreateAsked): Promise<Sandbox> {
  const started = performance.now();
  const reached = (stage: CreateStage) => context.metrics.createSeconds.observe({ stage }, (performance.now() - started) / 1000);
  faultPoint('create.received');
  const { sandbox, desired, outcome } = await commit(context, asked, () => reached('scheduled'));
  reached('committed');
  faultPoint('create.committed');
  if (desired !== null && sandbox.hostId !== null) context.sender.send(sandbox.hostId, [desired], 'create');
  reached('sent');
  faultPoint('create.sent');
  const settled = await awaitState(context, sandbox, asked.wait, outcome === 'placed');
  if (settled.startedAt !== null) reached('running');
  faultPoint('create.running');
  return refuseIfFailed(settled);
}

async function commit(context: Context, asked: CreateAsked, scheduled: () => void): Promise<Placed> {
  const { request } = asked;
  const refusedBy = new Map<string, number>();
  const exhausted = new Set<string>();
  const wish: Wish = { ...wishOf(request.spec), ...(await besideOf(context.store.db, request.spec)), exhausted };
  const key = { idempotencyKey: asked.idempotencyKey ?? randomUUID(), requestHash: requestHash(request) };
  const mayWaitUntil = performance.now() + asked.wait.ms;
  for (let attempt = 1; ; attempt += 1) {
    const mayWait = performance.now() < mayWaitUntil;
    const name = request.name ?? randomName();
    const tried = await tryOnce(context, { request, wish, name, mayWait, ...key }, scheduled).catch((error: unknown) => {
      if (request.name !== undefined || !isNameTaken(error)) throw error;
      return null;
    });
    if (tried?.outcome === 'blind') {
      attempt -= 1;
      await sleep(blindPollMs, asked.wait.signal);
      continue;
    }
    if (tried !== null) {
      context.metrics.placements.inc({ outcome: tried.outcome });
      if (tried.outcome !== 'full') return tried;
      const times = (refusedBy.get(tried.hostId) ?? 0) + 1;
      refusedBy.set(tried.hostId, times);
      // Once is a race, and the next look shows it; twice is a host whose free slots are not what they seem.
      if (times > 1) exhausted.add(tried.hostId);
    }
    if (attempt === attemptsMax) {
      const reason = `${attemptsMax} attempts lost their slot to others`;
      throw new NsfleetError('UNAVAILABLE', { attempted: 'place sandbox', target: name, reason });
    }
    asked.wait.signal.throwIfAborted();
  }
}

type Attempt = { request: SandboxRequest; wish: Wish; name: string; mayWait: boolean; idempotencyKey: string; requestHash: string };

type Tried = Exclude<PlaceOutcome, { outcome: 'full' }> | { outcome: 'full'; hostId: string } | { outcome: 'blind' };

async function tryOnce(context: Context, attempt: Attempt, scheduled: () => void): Promise<Tried> {
  const { request, wish, name, idempotencyKey, requestHash: hash } = attempt;
  const hosts = await schedulingView(context.store.db);
  faultPoint('create.viewed');
  const decision = placeInTime(hosts, wish);
  if (decision.chosen === null) {
    // Nothing fits, perhaps because the first try of this very request has taken the last slot.
    const repeated = await findRepeated(context.store.db, { name, idempotencyKey, requestHash: hash });
    faultPoint('create.looked-up');
    if (repeated !== null && repeated.outcome !== 'full') return repeated;
    if (attempt.mayWait && isBlind(decision, context.link.state())) return { outcome: 'blind' };
    context.metrics.placements.inc({ outcome: 'refused' });
  }
  const { id: hostId } = chosenHost(hosts, decision, name);
  scheduled();
  faultPoint('create.scheduled');
  const placed = await placeSandbox(context.store, { request, name, idempotencyKey, requestHash: hash, decision, hostId });
  return placed.outcome === 'full' ? { outcome: 'full', hostId } : placed;
}

function isNameTaken(error: unknown): boolean {
  return error instanceof NsfleetError && error.code === 'SANDBOX_NAME_TAKEN';
}
