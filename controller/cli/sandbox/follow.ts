/** Following a sandbox's output to its end, over connections that may break. */
import { routePath } from '#shared/api.ts';
import { sockets } from '#shared/sockets.ts';
import { NsfleetError, fromWire } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { Connection } from '../connection.ts';
import type { Session } from '../session.ts';
import { mayRepeat, pause } from './repeat.ts';
import type { Sink } from './stream.ts';
import { openStream } from './stream.ts';

/** A controller or agent that restarts is back before that. */
const reconnectForMs = 60_000;
const waitMs = 30_000;

/**
 * Hands the output to `sink` and returns how the command ended. A broken connection is made again and goes on where it broke.
 * Throws the sandbox's own error where it never ran, and HOST_UNREACHABLE where nobody knows how it ended.
 */
export async function followToEnd(session: Session, connection: Connection, sandbox: Sandbox, sink: Sink): Promise<ExitStatus> {
  const path = routePath(sockets.sandboxLogs.path, { sandbox: sandbox.id });
  const seen = { stdout: 0, stderr: 0 };
  let brokenAt: number | null = null;
  for (let attempt = 0; ; attempt++) {
    // The log starts again with every connection, unless its beginning was rotated away meanwhile.
    const skip = resumePoint(session, sandbox, seen);
    let end: ExitStatus | NsfleetError;
    try {
      const stream = await openStream(connection, path, { follow: true }, (channel, data) => {
        brokenAt = null;
        const from = Math.min(skip[channel], data.length);
        skip[channel] -= from;
        seen[channel] += data.length - from;
        return from === data.length ? Promise.resolve() : sink(channel, data.subarray(from));
      });
      end = (await stream.ended) ?? (await endOf(connection, sandbox));
    } catch (error) {
      brokenAt ??= Date.now();
      if (!mayReconnect(error) || Date.now() - brokenAt > reconnectForMs) throw error;
      await pause(attempt);
      continue;
    }
    if (end instanceof NsfleetError) throw end;
    return end;
  }
}

/** An agent that restarts is away for a moment, and its sandboxes run on. */
function mayReconnect(error: unknown): boolean {
  return mayRepeat(error) || (error instanceof NsfleetError && error.code === 'HOST_UNREACHABLE');
}

function resumePoint(
  session: Session,
  { spec, name }: Sandbox,
  seen: { stdout: number; stderr: number },
): { stdout: number; stderr: number } {
  if (Math.max(seen.stdout, seen.stderr) < spec.logMaxBytes) return { ...seen };
  session.stderr.write(`warning: the connection was lost and the log of ${name} was rotated: output here may be missing or repeated\n`);
  return { stdout: 0, stderr: 0 };
}

/** How it ended, asked of the API; the error is what is to be told instead. */
async function endOf({ client }: Connection, { id, name }: Sandbox): Promise<ExitStatus | NsfleetError> {
  for (;;) {
    const sandbox = await client.call('sandboxShow', { params: { sandbox: id }, query: { wait: 'stopped', waitMs } });
    if (sandbox.exit !== null) return sandbox.exit;
    if (sandbox.error !== null) return fromWire(sandbox.error);
    if (!isEnded(sandbox.state)) continue;
    return new NsfleetError('HOST_UNREACHABLE', {
      attempted: 'learn how it ended:',
      target: name,
      reason: `it is ${sandbox.state}: its host cannot tell its exit code`,
      remedy: `\`nsfleet sandbox show ${name}\` tells what is known`,
    });
  }
}
