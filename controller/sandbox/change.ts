/** Changing what runs: its host is asked first whether it can, then the wish is committed, then the host is told. */
import type { z } from 'zod';
import { Resources, SandboxStats } from '#shared/cgroup.ts';
import type { LimitWrite, ResourcesChange } from '#shared/cgroup.ts';
import { NsfleetError, fromWire, issuesText } from '#shared/errors.ts';
import { LimitsAnswer } from '#shared/messages.ts';
import type { Question } from '#shared/messages.ts';
import type { Sandbox } from '#shared/resources.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { Context } from '../context.ts';
import { waitForSandbox } from '../store/notifications.ts';
import { findSandbox, requestLimits, requestPause } from '../store/sandboxes.ts';
import type { WishOutcome } from '../store/sandboxes.ts';

const askMs = 5000;

type Patience = { waitMs: number; signal: AbortSignal };

/**
 * Changes the limits that are named. LIMITS_UNAVAILABLE, SANDBOX_NOT_RUNNING and HOST_UNREACHABLE before anything is written; what only the
 * kernel can refuse comes back as SANDBOX_LIMIT_REFUSED, and then the wish stays until it is changed.
 */
export async function updateSandbox(
  context: Context,
  name: string,
  change: ResourcesChange,
  { dryRun, ...patience }: Patience & { dryRun: boolean },
): Promise<{ sandbox: Sandbox; writes: LimitWrite[] }> {
  const sandbox = await findSandbox(context.store.db, name);
  const resources = changed(sandbox, change);
  const { writes } = await ask(
    context,
    sandbox,
    { type: 'limits', placementId: placementOf(sandbox), resources },
    LimitsAnswer,
    patience.signal,
  );
  if (dryRun) return { sandbox, writes };
  return { sandbox: await follow(context, await requestLimits(context.store, sandbox.id, resources), patience), writes };
}

/** LIMITS_UNAVAILABLE where it has no cgroup of its own, ILLEGAL_TRANSITION, HOST_UNREACHABLE. Pausing what is paused is done already. */
export async function pauseSandbox(context: Context, name: string, wanted: 'paused' | 'running', patience: Patience): Promise<Sandbox> {
  const sandbox = await findSandbox(context.store.db, name);
  await ask(context, sandbox, { type: 'limits', placementId: placementOf(sandbox), resources: null }, LimitsAnswer, patience.signal);
  return follow(context, await requestPause(context.store, sandbox.id, wanted), patience);
}

/** SANDBOX_NOT_RUNNING, LIMITS_UNAVAILABLE, HOST_UNREACHABLE. */
export async function sandboxStats(context: Context, name: string, signal: AbortSignal): Promise<SandboxStats> {
  const sandbox = await findSandbox(context.store.db, name);
  return ask(context, sandbox, { type: 'stats', placementId: placementOf(sandbox) }, SandboxStats, signal);
}

function changed({ name, spec }: Sandbox, change: ResourcesChange): Resources {
  const all = { ...spec.resources, ...change };
  const parsed = Resources.safeParse(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)));
  if (parsed.success) return parsed.data;
  throw new NsfleetError('INVALID_INPUT', { attempted: 'limit sandbox', target: name, reason: issuesText(parsed.error.issues) });
}

function placementOf({ placementId, name }: Sandbox): string {
  if (placementId !== null) return placementId;
  throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'change sandbox', target: name, reason: 'it has no host' });
}

async function ask<T>(context: Context, sandbox: Sandbox, question: Question, answer: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  const { name, state } = sandbox;
  if (isEnded(state)) throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'ask for', target: name, reason: `it is ${state}` });
  return askHost(context, sandbox, () => question, answer, signal);
}

/** The answer of its host, which may know of it also when it has ended. SANDBOX_NOT_RUNNING where it never had one. */
export async function askHost<T>(
  { asker }: Context,
  sandbox: Sandbox,
  question: (placementId: string) => Question,
  answer: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const placementId = placementOf(sandbox);
  const { hostId, hostName, name, state } = sandbox;
  if (hostId === null) throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'ask for', target: name, reason: `it is ${state}` });
  const parsed = answer.safeParse(await asker.ask({ id: hostId, name: hostName ?? hostId }, question(placementId), askMs, signal));
  if (parsed.success) return parsed.data;
  throw new NsfleetError('MESSAGE_MALFORMED', {
    attempted: 'read the answer of host',
    target: hostName ?? hostId,
    reason: issuesText(parsed.error.issues).slice(0, 1000),
  });
}

/** Sends it, and waits until the host has answered this wish or a later one, or the sandbox has ended. What the host refuses is thrown. */
async function follow(context: Context, { sandbox, desired }: WishOutcome, { waitMs, signal }: Patience): Promise<Sandbox> {
  if (desired !== null && sandbox.hostId !== null) context.sender.send(sandbox.hostId, [desired], 'change');
  const answered = ({ observedGeneration, state }: Sandbox): boolean => observedGeneration >= sandbox.generation || isEnded(state);
  if (waitMs === 0) return sandbox;
  const now = answered(sandbox) ? sandbox : await waitForSandbox(context.store, sandbox.id, answered, { ms: waitMs, signal });
  if (now.error !== null && !isEnded(now.state)) throw fromWire(now.error);
  return now;
}
