/** Stopping and removing: the wish is committed first, then the host is told; what is lost on the way the loop sends again. */
import type { Sandbox } from '#shared/resources.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { SignalName } from '#shared/signal.ts';
import type { Context } from '../context.ts';
import { findSandbox, requestRemove, requestStop } from '../store/sandboxes.ts';
import { awaitState } from './wait.ts';
import type { WaitFor } from './wait.ts';

type Wished = { sandbox: Sandbox; desired: DesiredPlacement | null };

/** SANDBOX_NOT_FOUND, ILLEGAL_TRANSITION, DEADLINE_EXCEEDED. Stopping what has ended is done already. */
export async function stopSandbox(
  context: Context,
  sandbox: string,
  how: { signal?: SignalName | undefined; graceMs?: number | undefined },
  wait: WaitFor,
): Promise<Sandbox> {
  const { id } = await findSandbox(context.store.db, sandbox);
  return tell(context, await requestStop(context.store, id, how), 'stop', wait);
}

/** SANDBOX_STILL_RUNNING without `force`, SANDBOX_NOT_FOUND, DEADLINE_EXCEEDED. */
export async function removeSandbox(context: Context, sandbox: string, force: boolean, wait: WaitFor): Promise<Sandbox> {
  const { id } = await findSandbox(context.store.db, sandbox);
  return tell(context, await requestRemove(context.store, id, { force }), 'remove', wait);
}

function tell(context: Context, { sandbox, desired }: Wished, reason: 'stop' | 'remove', wait: WaitFor): Promise<Sandbox> {
  if (desired !== null && sandbox.hostId !== null) context.sender.send(sandbox.hostId, [desired], reason);
  return awaitState(context, sandbox, wait);
}
