/** Opens exec and log streams on the host where a sandbox is. */
import { NsfleetError } from '#shared/errors.ts';
import type { HostExecRequest } from '#shared/sockets.ts';
import type { ExecRequest, Question } from '#shared/messages.ts';
import type { Sandbox } from '#shared/resources.ts';
import { createAgentStream } from '../agent-stream.ts';
import type { AgentStream, StreamEvents } from '../agent-stream.ts';
import type { Context } from '../context.ts';
import { findHost } from '../store/hosts.ts';
import { findSandbox } from '../store/sandboxes.ts';
import { resolveTargets } from './targets.ts';

/** Opens a stream on the host of a sandbox, or throws what the client is to be told. */
export type StreamOpener = {
  exec: (sandbox: string, request: ExecRequest, events: StreamEvents) => Promise<AgentStream>;
  join: (host: string, request: HostExecRequest, events: StreamEvents) => Promise<AgentStream>;
  logs: (sandbox: string, request: { follow: boolean }, events: StreamEvents) => Promise<AgentStream>;
};

/** Entering a sandbox takes milliseconds; a host that is busy with hundreds of starts may take seconds. */
const openMs = 10_000;

type Place = { placementId: string; host: { id: string; name: string } };

export function createStreamOpener(context: Context): StreamOpener {
  return {
    async exec(reference, exec, events) {
      const sandbox = await findSandbox(context.store.db, reference);
      if (sandbox.state !== 'running') throw notRunning(sandbox);
      const { placementId, host } = placeOf(sandbox);
      return open(context, host, events, (streamId) => ({ type: 'exec', streamId, placementId, exec }));
    },
    async join(reference, { targets, ...rest }, events) {
      const host = await findHost(context.store.db, reference);
      const named = await resolveTargets(context.store.db, host, targets);
      return open(context, host, events, (streamId) => ({ type: 'join', streamId, targets: named, ...rest }));
    },
    async logs(reference, { follow }, events) {
      const sandbox = await findSandbox(context.store.db, reference);
      if (sandbox.state === 'removed') throw notRunning(sandbox);
      const { placementId, host } = placeOf(sandbox);
      return open(context, host, events, (streamId) => ({ type: 'logs', streamId, placementId, follow }));
    },
  };
}

/** Listens before it asks: the first frames may come before the answer. */
async function open(
  context: Context,
  host: Place['host'],
  events: StreamEvents,
  question: (streamId: string) => Question,
): Promise<AgentStream> {
  const stream = createAgentStream(context.link, context.asker, host, events);
  try {
    await context.asker.ask(host, question(stream.id), openMs);
    return stream;
  } catch (error) {
    stream.close();
    throw error;
  }
}

function placeOf(sandbox: Sandbox): Place {
  const { placementId, hostId, hostName } = sandbox;
  if (placementId === null || hostId === null) throw notRunning(sandbox);
  return { placementId, host: { id: hostId, name: hostName ?? hostId } };
}

function notRunning(sandbox: Sandbox): NsfleetError {
  return new NsfleetError('SANDBOX_NOT_RUNNING', {
    attempted: 'open a stream in sandbox',
    target: `${sandbox.name} (${sandbox.id})`,
    reason: `it is ${sandbox.state}`,
  });
}
