/** What a sandbox with the profile `log` called: its host keeps that until the sandbox is removed. */
import { NsfleetError } from '#shared/errors.ts';
import { CalledReport } from '#shared/seccomp.ts';
import type { Context } from '../context.ts';
import { findSandbox } from '../store/sandboxes.ts';
import { askHost } from './change.ts';

/** SANDBOX_NOT_LOGGED, SANDBOX_NOT_RUNNING where it never got a host, HOST_UNREACHABLE. */
export async function sandboxCalls(context: Context, name: string, signal: AbortSignal): Promise<CalledReport> {
  const sandbox = await findSandbox(context.store.db, name);
  const { profile } = sandbox.spec.seccomp;
  if (profile !== 'log')
    throw new NsfleetError('SANDBOX_NOT_LOGGED', { attempted: 'tell calls', target: sandbox.name, reason: `its profile is ${profile}` });
  return askHost(context, sandbox, (placementId) => ({ type: 'calls', placementId }), CalledReport, signal);
}
