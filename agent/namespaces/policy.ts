/** What this host's administrator lets controllers do here. Decided on the host, last: no controller can override it. */
import type { HostAction } from '#shared/act.ts';
import { NsfleetError } from '#shared/errors.ts';

/** Throws ACTION_NOT_ALLOWED. `attempted` and `target` say what was asked for. */
export function checkAction(allowed: ReadonlySet<HostAction>, action: HostAction, attempted: string, target: string): void {
  if (process.geteuid?.() !== 0) {
    throw new NsfleetError('ACTION_NOT_ALLOWED', {
      attempted,
      target,
      reason: 'the agent of this host runs as a plain user, who may neither mount nor join namespaces of others',
      remedy: 'run the agent as root',
    });
  }
  if (allowed.has(action)) return;
  throw new NsfleetError('ACTION_NOT_ALLOWED', { attempted, target, reason: `${action} is not among the actions that this host allows` });
}
