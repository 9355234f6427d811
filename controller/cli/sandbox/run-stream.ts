/** A command at the other end of a stream, as if it ran here: input, output, signals, exit code. */
import type { Readable } from 'node:stream';
import { NsfleetError } from '#shared/errors.ts';
import { slices } from '#shared/frames.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { signalNumbers } from '#shared/signal.ts';
import { connect } from '../connection.ts';
import { printJsonLine } from '../output/json.ts';
import type { Session } from '../session.ts';
import { hearSignals } from '../signals.ts';
import { jsonSink, rawSink } from './sink.ts';
import { exitCodeOf } from './status.ts';
import { openStream } from './stream.ts';
import type { Stream } from './stream.ts';

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** The command, or the way to it, does not react: this signal ends the CLI, and with it the command. */
const lastSignal = 3;
const stdinChannel = new Uint8Array([0]);

/** Opens `path` with `request` as its first message; returns the command's exit code. `target` is what errors name. */
export async function runStream(
  session: Session,
  path: string,
  request: unknown,
  { stdin, target }: { stdin: boolean; target: string },
): Promise<number> {
  const sink = session.json ? jsonSink(session) : rawSink(session.stdout, session.stderr);
  const stream = await openStream(connect(session), path, request, sink);
  const impatient = Promise.withResolvers<ExitStatus>();
  using _signals = hearSignals(session.signals, forwarded, (signal, count) => {
    const number = signalNumbers[signal as keyof typeof signalNumbers];
    if (count < lastSignal) void stream.send('signal', new Uint8Array([number]));
    else impatient.resolve({ code: null, signal: number });
  });
  const input = stdin ? session.stdin : null;
  if (input === null) void stream.send('end', stdinChannel);
  else void sendInput(input, stream);
  try {
    const exit = await Promise.race([stream.ended, impatient.promise]);
    if (exit === null) throw withoutExit(target);
    if (session.json) printJsonLine(session, { exit });
    return exitCodeOf(exit);
  } finally {
    stream.close();
    input?.destroy();
  }
}

/** Standard input to the command, as fast as it takes it; then its end. */
async function sendInput(input: Readable, stream: Stream): Promise<void> {
  try {
    for await (const chunk of input) {
      const data = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
      for (const payload of slices(data)) await stream.send('stdin', payload);
    }
  } catch {
    // Input that cannot be read any more has ended for the command; the CLI destroys it itself when the command is done.
  }
  await stream.send('end', stdinChannel);
}

function withoutExit(target: string): NsfleetError {
  return new NsfleetError('STREAM_BROKEN', { attempted: 'run a command in', target, reason: 'the stream ended without an exit status' });
}
