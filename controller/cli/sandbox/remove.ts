/** `nsfleet sandbox rm`. */
import { NsfleetError } from '#shared/errors.ts';
import { connect } from '../connection.ts';
import type { Session } from '../session.ts';
import { forEachSandbox } from './each.ts';

export type RemoveOptions = { force?: boolean };

const waitMs = 30_000;

/** Removes each of the sandboxes and waits until its host has. */
export async function removeSandboxes(session: Session, names: readonly string[], options: RemoveOptions): Promise<number> {
  const { client } = connect(session);
  return forEachSandbox(session, names, async (name) => {
    const sandbox = await client.call('sandboxRemove', {
      params: { sandbox: name },
      query: { wait: 'removed', waitMs, force: options.force === true ? 'true' : 'false' },
    });
    if (sandbox.state === 'removed') return sandbox;
    throw new NsfleetError('DEADLINE_EXCEEDED', {
      attempted: 'remove sandbox',
      target: sandbox.name,
      reason: `it is ${sandbox.state} after ${waitMs} ms; its host removes it when it can be reached`,
    });
  });
}
