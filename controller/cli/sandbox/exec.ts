/** `nsfleet sandbox exec`. */
import type { Readable } from 'node:stream';
import { routePath, sockets } from '#shared/api.ts';
import { NsfleetError } from '#shared/errors.ts';
import { slices } from '#shared/frames.ts';
import type { ExecRequest } from '#shared/messages.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { signalNumbers } from '#shared/signal.ts';
import { connect } from '../connection.ts';
import { usage } from '../failure.ts';
import { printJsonLine } from '../output/json.ts';
import type { Session } from '../session.ts';
import { hearSignals } from '../signals.ts';
import { jsonSink, rawSink } from './sink.ts';
import { exitCodeOf } from './status.ts';
import { openStream } from './stream.ts';
import type { Stream } from './stream.ts';
import { environmentOptions, userIds } from './values.ts';

export type ExecOptions = { env?: string[]; cwd?: string; user?: string; stdin?: boolean; tty?: boolean };

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** The command, or the way to it, does not react: this signal ends the CLI, and with it the command. */
const lastSignal = 3;
const stdinChannel = new Uint8Array([0]);

/** Runs a command in a sandbox; returns the command's exit code. `args` is the sandbox and the command, perhaps with `--` between. */
export async function execInSandbox(session: Session, args: readonly string[], options: ExecOptions): Promise<number> {
  const { sandbox, request } = execRequest(args, options, session.env);
  const path = routePath(sockets.sandboxExec.path, { sandbox });
  const sink = session.json ? jsonSink(session) : rawSink(session.stdout, session.stderr);
  const stream = await openStream(connect(session), path, request, sink);
  const impatient = Promise.withResolvers<ExitStatus>();
  using _signals = hearSignals(session.signals, forwarded, (signal, count) => {
    const number = signalNumbers[signal as keyof typeof signalNumbers];
    if (count < lastSignal) void stream.send('signal', new Uint8Array([number]));
    else impatient.resolve({ code: null, signal: number });
  });
  const input = options.stdin === false ? null : session.stdin;
  if (input === null) void stream.send('end', stdinChannel);
  else void sendInput(input, stream);
  try {
    const exit = await Promise.race([stream.ended, impatient.promise]);
    if (exit === null) throw withoutExit(sandbox);
    if (session.json) printJsonLine(session, { exit });
    return exitCodeOf(exit);
  } finally {
    stream.close();
    input?.destroy();
  }
}

/** What was typed as the stream's first message. Throws USAGE. */
export function execRequest(
  args: readonly string[],
  options: ExecOptions,
  env: Session['env'],
): { sandbox: string; request: Pick<ExecRequest, 'command'> & Partial<ExecRequest> } {
  const [sandbox = '', ...rest] = args;
  const path = 'nsfleet sandbox exec';
  if (options.tty === true) throw usage(path, 'no terminal yet: run it without -t');
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  if (command.length === 0) throw usage(path, 'no command after the sandbox');
  if (rest[0] !== '--' && command[0]?.startsWith('-') === true) {
    throw usage(path, `${command[0]} stands after the sandbox: options stand before it, and a command that begins with - after --`);
  }
  const request = {
    command,
    ...(options.env === undefined ? {} : { env: environmentOptions('--env', options.env, env) }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user === undefined ? {} : { user: userIds('--user', options.user) }),
  };
  return { sandbox, request };
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

function withoutExit(sandbox: string): NsfleetError {
  return new NsfleetError('STREAM_BROKEN', {
    attempted: 'run a command in',
    target: sandbox,
    reason: 'the stream ended without an exit status',
  });
}
