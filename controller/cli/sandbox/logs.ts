/** `nsfleet sandbox logs`. */
import { routePath } from '#shared/api.ts';
import { sockets } from '#shared/sockets.ts';
import { connect } from '../connection.ts';
import { printJsonLine } from '../output/json.ts';
import type { Session } from '../session.ts';
import { jsonSink, rawSink } from './sink.ts';
import { openStream } from './stream.ts';

export type LogsOptions = { follow?: boolean };

/** Prints what the command wrote; with `follow` until it ends. The exit code is that of the printing, not of the command. */
export async function printLogs(session: Session, name: string, options: LogsOptions): Promise<number> {
  const sink = session.json ? jsonSink(session) : rawSink(session.stdout, session.stderr);
  const path = routePath(sockets.sandboxLogs.path, { sandbox: name });
  const stream = await openStream(connect(session), path, { follow: options.follow === true }, sink);
  const exit = await stream.ended;
  if (session.json && exit !== null) printJsonLine(session, { exit });
  return 0;
}
