/** Waiting for a sandbox to get somewhere. */
import { NsfleetError, fromWire } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { SandboxState } from '#shared/sandbox.ts';
import type { Context } from '../context.ts';
import { waitForSandbox } from '../store/notifications.ts';

/** How long to wait, for what, and what ends it early. */
export type WaitFor = { state: SandboxState; ms: number; signal: AbortSignal };

/** True in the state that was asked for, or in one from which the sandbox cannot get there by itself. */
export function isSettled(state: SandboxState, awaited: SandboxState): boolean {
  switch (awaited) {
    case 'placed':
      return true;
    case 'running':
      return state !== 'placed';
    case 'paused':
      return state === 'paused' || state === 'stopping' || isEnded(state);
    case 'stopping':
      return state === 'stopping' || isEnded(state);
    case 'stopped':
    case 'failed':
    case 'lost':
      return isEnded(state);
    case 'removed':
      return state === 'removed';
  }
}

/**
 * The sandbox when it has settled, or DEADLINE_EXCEEDED with where it stands. With 0 ms it is only looked at. `isNew`: its host has only
 * just been told of it, in the same turn of the event loop, so that nothing can have happened to it unheard.
 */
export async function awaitState(context: Context, sandbox: Sandbox, wait: WaitFor, isNew = false): Promise<Sandbox> {
  if (wait.ms === 0 || isSettled(sandbox.state, wait.state)) return sandbox;
  let last = sandbox.state;
  const isDone = ({ state }: Sandbox) => {
    last = state;
    return isSettled(state, wait.state);
  };
  try {
    return await waitForSandbox(context.store, sandbox.id, isDone, { ms: wait.ms, signal: wait.signal, toldOfAll: isNew });
  } catch (error) {
    if (!(error instanceof NsfleetError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
    throw new NsfleetError('DEADLINE_EXCEEDED', {
      attempted: 'wait for sandbox',
      target: `${sandbox.name} (${sandbox.id})`,
      reason: `it is ${last} after ${wait.ms} ms, not ${wait.state}`,
      cause: error,
    });
  }
}

/** The sandbox, or, where it never ran, the host's own error with the sandbox's id in its target: the row stays to be looked at. */
export function refuseIfFailed(sandbox: Sandbox): Sandbox {
  if (sandbox.error === null || sandbox.startedAt !== null) return sandbox;
  if (sandbox.state !== 'failed' && sandbox.state !== 'removed') return sandbox;
  const error = fromWire(sandbox.error);
  throw new NsfleetError(error.code, {
    attempted: error.attempted,
    target: `${error.target} (sandbox ${sandbox.name}, ${sandbox.id})`,
    reason: error.reason,
    remedy: error.remedy,
    missing: error.missing,
  });
}
