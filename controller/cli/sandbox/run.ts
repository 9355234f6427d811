/** `nsfleet sandbox run`. */
import type { Client } from '#shared/client.ts';
import { errorText, fromWire } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { ExitStatus, SandboxRequest } from '#shared/sandbox.ts';
import { signalNumber } from '#shared/signal.ts';
import { connect } from '../connection.ts';
import type { Connection } from '../connection.ts';
import { usage } from '../failure.ts';
import { printable } from '#shared/escape.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';
import { hearSignals, whenReaderGone } from '../signals.ts';
import { createSandbox, whenStarted } from './create.ts';
import { dryRun } from './dry-run.ts';
import { followToEnd } from './follow.ts';
import { stopAndLeave } from './leave.ts';
import { sandboxRequest } from './request.ts';
import { isImage } from './root-option.ts';
import type { RunOptions } from './request.ts';
import { rawSink } from './sink.ts';
import { exitCodeOf } from './status.ts';

const waitMs = 30_000;
/** A host that is away must not hold the terminal. */
const removeMs = 10_000;
/**
 * A command may write faster than its output travels here, and what was rotated away twice is gone: so much is kept on the host of
 * what a terminal follows.
 */
const followedLogMaxBytes = 64 * 1024 * 1024;
/** The sandbox, or the way to it, does not react: this signal ends the CLI, and the sandbox is left as it is. */
const lastSignal = 3;

/** Runs a command in a new sandbox. Returns 0 with `detach`, else the command's exit code. */
export async function runSandbox(session: Session, command: readonly string[], options: RunOptions): Promise<number> {
  refuseTerminal(options);
  // An image may have one of its own.
  if (command.length === 0 && !isImage(options.root ?? '')) throw usage('nsfleet sandbox run', "missing required argument 'command'");
  const request = sandboxRequest(command, options, session.env);
  const connection = connect(session);
  if (options.dryRun === true) return dryRun(session, connection.client, request);
  if (options.detach !== true) return runInForeground(session, connection, request);
  const sandbox = await createSandbox(connection.client, request, 'running');
  if (sandbox.state === 'failed' && sandbox.error !== null) throw fromWire(sandbox.error);
  if (session.json) printJson(session, sandbox);
  else session.stdout.write(`${sandbox.id}\n`);
  return 0;
}

/** docker's -i and -t, which people type from habit. */
function refuseTerminal({ interactive, tty }: RunOptions): void {
  const path = 'nsfleet sandbox run';
  if (tty === true) throw usage(path, 'no terminal yet: run it without -t');
  if (interactive === true) throw usage(path, 'standard input is not connected: run it without -i; `sandbox exec` connects one');
}

async function runInForeground(session: Session, connection: Connection, request: SandboxRequest): Promise<number> {
  const { client } = connection;
  const impatient = Promise.withResolvers<number>();
  const made = Promise.withResolvers<Sandbox>();
  // Whoever leaves early hears of a creation that failed; nobody else does.
  made.promise.catch(() => undefined);
  let sandbox: Sandbox | null = null;
  const early: StopRequest[] = [];
  using _signals = hearSignals(session.signals, ['SIGINT', 'SIGTERM', 'SIGQUIT'], (signal, count) => {
    const name = signal as 'SIGINT' | 'SIGTERM' | 'SIGQUIT';
    if (count >= lastSignal) return impatient.resolve(128 + signalNumber(name));
    const stop: StopRequest = count === 1 ? { signal: name } : { signal: 'SIGKILL', graceMs: 0 };
    // One that comes while the sandbox is being made stops it as soon as it has an id.
    if (sandbox === null) early.push(stop);
    else tell(session, client, sandbox, stop);
  });
  let leaving: Promise<number> | null = null;
  const leave = (exitCode: number, signal?: 'SIGHUP'): void => {
    leaving ??= stopAndLeave(client, made.promise, signal, request.autoRemove).then(
      () => exitCode,
      (error: unknown) => {
        session.stderr.write(`warning: the sandbox may have been left behind: ${printable(errorText(error))}\n`);
        return exitCode;
      },
    );
    leaving.then(impatient.resolve, impatient.reject);
  };
  using _hangup = hearSignals(session.signals, ['SIGHUP'], () => leave(128 + signalNumber('SIGHUP'), 'SIGHUP'));
  using _reader = whenReaderGone(session.reader, leave);
  const work = async (): Promise<number> => {
    try {
      // Its id is known before it runs, so that a stop, or a removal of what cannot start, knows what to name.
      sandbox = await createSandbox(client, inForeground(request), 'placed');
    } catch (error) {
      made.reject(error);
      throw error;
    }
    made.resolve(sandbox);
    for (const stop of early) tell(session, client, sandbox, stop);
    return followAndRemove(
      session,
      connection,
      { ...sandbox, autoRemove: request.autoRemove },
      () => request.autoRemove && leaving === null,
    );
  };
  // Who leaves tells the exit code: what is followed meanwhile fails for want of a reader.
  const worked = work().catch((error: unknown) => leaving ?? Promise.reject(error as Error));
  return await Promise.race([worked.then((code) => leaving ?? code), impatient.promise]);
}

/** Removed from here, when its output was read to the end: the host would take the log with it. The log is what is followed. */
function inForeground(request: SandboxRequest): SandboxRequest {
  const { spec } = request;
  return { ...request, autoRemove: false, spec: { ...spec, logMaxBytes: Math.max(spec.logMaxBytes, followedLogMaxBytes) } };
}

async function followAndRemove(session: Session, connection: Connection, placed: Sandbox, mayRemove: () => boolean): Promise<number> {
  const { client } = connection;
  let running = false;
  try {
    const sandbox = await whenStarted(client, placed);
    if (sandbox.startedAt === null && sandbox.error !== null) throw fromWire(sandbox.error);
    running = true;
    const output = session.json ? session.stderr : session.stdout;
    const exit = await followToEnd(session, connection, sandbox, rawSink(output, session.stderr));
    running = false;
    // What was asked for: that it is removed from here is nobody else's business.
    if (session.json) printJson(session, { ...(await ended(client, sandbox, exit)), autoRemove: placed.autoRemove });
    return exitCodeOf(exit);
  } finally {
    if (mayRemove() && running) session.stderr.write(`warning: ${placed.name} was not removed: how it ended was not seen\n`);
    else if (mayRemove()) await remove(session, client, placed);
  }
}

type StopRequest = { signal: 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGKILL'; graceMs?: number };

function tell(session: Session, client: Client, sandbox: Sandbox, body: StopRequest): void {
  client.call('sandboxStop', { params: { sandbox: sandbox.id }, body }).catch((error: unknown) => {
    session.stderr.write(`warning: ${body.signal} did not reach the sandbox: ${printable(errorText(error))}\n`);
  });
}

/** The sandbox as it ended. The exit status comes by the stream a moment before it is in the database. */
async function ended(client: Client, { id }: Sandbox, exit: ExitStatus): Promise<Sandbox> {
  const sandbox = await client.call('sandboxShow', { params: { sandbox: id }, query: { wait: 'stopped', waitMs } });
  return { ...sandbox, exit: sandbox.exit ?? exit };
}

async function remove(session: Session, client: Client, { id, name }: Sandbox): Promise<void> {
  try {
    await client.call('sandboxRemove', { params: { sandbox: id }, query: { force: 'true', wait: 'removed', waitMs: removeMs } });
  } catch (error) {
    session.stderr.write(`warning: ${name} was not removed: ${printable(errorText(error))}\n`);
  }
}
