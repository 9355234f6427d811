/** `nsfleet sandbox stop`. */
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import { isEnded } from '#shared/sandbox.ts';
import { waitMaxMs } from '#shared/route.ts';
import { connect } from '../connection.ts';
import type { Session } from '../session.ts';
import { forEachSandbox } from './each.ts';
import { durationMs, signalOption } from './values.ts';

export type StopOptions = { signal?: string; grace?: string };

/** What killing, the host's answer and the way there may take beyond the grace. */
const afterGraceMs = 15_000;

/** Stops each of the sandboxes and waits until it has stopped. */
export async function stopSandboxes(session: Session, names: readonly string[], options: StopOptions): Promise<number> {
  const signal = options.signal === undefined ? undefined : signalOption('--signal', options.signal);
  const graceMs = options.grace === undefined ? undefined : durationMs('--grace', options.grace);
  const { client } = connect(session);
  return forEachSandbox(session, names, (name) => stopOne(client, name, { signal, graceMs }));
}

async function stopOne(
  client: Client,
  name: string,
  body: { signal: ReturnType<typeof signalOption> | undefined; graceMs: number | undefined },
) {
  // The server waits as long as the grace that counts; without --grace that is the sandbox's own.
  const graceMs = body.graceMs ?? (await client.call('sandboxShow', { params: { sandbox: name } })).spec.stopGraceMs;
  const waitMs = Math.min(waitMaxMs, graceMs + afterGraceMs);
  const sandbox = await client.call('sandboxStop', { params: { sandbox: name }, query: { wait: 'stopped', waitMs }, body });
  if (isEnded(sandbox.state)) return sandbox;
  throw notYet(sandbox, waitMs);
}

function notYet(sandbox: Sandbox, waitMs: number): NsfleetError {
  return new NsfleetError('DEADLINE_EXCEEDED', {
    attempted: 'stop sandbox',
    target: sandbox.name,
    reason: `it is ${sandbox.state} after ${waitMs} ms`,
  });
}
