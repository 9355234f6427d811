/** A process with its streams at the end of a NATS stream: started by a shim, it dies with its reader, and with this agent. */
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import type { Child } from '#native/types.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { Plan } from '#shared/plan.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import type { Link } from '../link.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import { endShim } from '../sandbox/runner.ts';
import { openShimLink } from '../sandbox/shim-link.ts';
import type { ShimFailure, ShimLink } from '../sandbox/shim-link.ts';
import { openChannel } from './channel.ts';
import type { Channel } from './channel.ts';

const startTimeoutMs = 10_000;
/** What the command left in the background may hold its output open for ever: after its end, wait for this long a silence. */
const quietMs = 300;
const quietPollMs = 50;

export type OpenStream = {
  /** Resolves when all is over and nothing is left of it here. Never rejects. */
  done: Promise<void>;
  /** Ends it with an error frame. */
  abort(error: NsfleetError): void;
};

export type Launch = {
  mode: 'enter' | 'join';
  plan: Plan;
  /** from the shim's descriptor 5 on; they stay the caller's */
  targets: readonly Fd[];
  /** what it is born in; it stays the caller's */
  cgroup?: Fd | undefined;
  /** for errors: `exec in sandbox`, and its name */
  attempted: string;
  target: string;
  /** what the shim could not do, as an error */
  failure(failure: ShimFailure): NsfleetError;
};

/** Resolves when the command runs: from then on the stream tells. Throws what keeps it from running; nothing is left then. */
export async function serveProcess(parts: RunnerParts, link: Link, streamId: string, launch: Launch): Promise<OpenStream> {
  const { attempted, target } = launch;
  const failed = (reason: string) => new NsfleetError('EXEC_FAILED', { attempted, target, reason });
  const running = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<ExitStatus>();
  // Whoever waits for them hears of it; here only nobody may be left unheard.
  for (const promise of [running.promise, exited.promise]) promise.catch(() => undefined);

  const started = start(parts, launch, {
    onWord(word) {
      if (word.type === 'running') running.resolve();
      if (word.type === 'exit') exited.resolve(word.exit);
      if (word.type === 'failed') running.reject(launch.failure(word.failure));
    },
    onClose() {
      const error = failed('its shim died');
      running.reject(error);
      exited.reject(error);
    },
  });
  const channel = openChannel(link, streamId, {
    onStdin: (data) => writeStdin(started.stdin, data, channel),
    onStdinEnd: () => started.stdin.end(),
    onSignal: (number) => void started.shim.signal(number).catch(() => undefined),
    onClosed: (reason) => exited.reject(reason),
  });
  const timer = setTimeout(() => running.reject(failed(`not running after ${startTimeoutMs} ms`)), startTimeoutMs);
  try {
    await running.promise;
  } catch (error) {
    channel.close();
    await leave(started);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    done: serve(started, channel, exited.promise),
    abort(error) {
      channel.finish('error', error.toWire());
      exited.reject(error);
    },
  };
}

type Started = { child: Child; shim: ShimLink; stdin: Socket; stdout: Socket; stderr: Socket };

function start({ native, program }: RunnerParts, launch: Launch, ear: Parameters<typeof openShimLink>[1]): Started {
  using fds = new DisposableStack();
  try {
    const encoded = fds.use(native.sealBytes(encodePlan(launch.plan), 'nsfleet-plan'));
    const pipes = [native.pipe(), native.pipe(), native.pipe()] as const;
    for (const pipe of pipes) {
      fds.use(pipe.read);
      fds.use(pipe.write);
    }
    const [stdin, stdout, stderr] = pipes;
    const [ours, theirs] = native.socketpair();
    fds.use(ours);
    fds.use(theirs);
    const child = native.spawn({
      program,
      args: ['nsfleet-shim', launch.mode],
      fds: [stdin.read, stdout.write, stderr.write, encoded, theirs, ...launch.targets],
      newSession: true,
      ...(launch.cgroup === undefined ? {} : { cgroup: launch.cgroup }),
    });
    return {
      child,
      shim: openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), ear),
      stdin: writer(stdin.write),
      stdout: reader(stdout.read),
      stderr: reader(stderr.read),
    };
  } catch (error) {
    throw asNsfleetError(error, launch.attempted, launch.target);
  }
}

/** EPIPE and the like are no news: 'close' follows. */
function writer(fd: Fd): Socket {
  return new Socket({ fd: fd.take(), readable: false, writable: true }).on('error', () => undefined);
}

function reader(fd: Fd): Socket {
  return new Socket({ fd: fd.take(), readable: true, writable: false }).on('error', () => undefined);
}

function writeStdin(stdin: Socket, data: Uint8Array, channel: Channel): void {
  // A command that closed its stdin takes no more: what still comes is dropped, so that the sender is not held up.
  if (!stdin.writable) channel.consumed(data.length);
  else stdin.write(data, () => channel.consumed(data.length));
}

/** Copies output until the command has ended and said everything. */
async function serve(started: Started, channel: Channel, exited: Promise<ExitStatus>): Promise<void> {
  let bytes = 0;
  const copy = async (kind: 'stdout' | 'stderr'): Promise<void> => {
    for await (const chunk of started[kind] as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      await channel.write(kind, chunk);
    }
  };
  const copied = Promise.all([copy('stdout'), copy('stderr')]).catch(() => undefined);
  try {
    const exit = await exited;
    await drained(copied, () => (channel.blocked ? -1 : bytes));
    channel.writeEnd('stdout');
    channel.writeEnd('stderr');
    channel.finish('exit', exit);
  } catch (error) {
    channel.finish('error', asNsfleetError(error, 'serve', 'stream').toWire());
  }
  await leave(started);
  await copied;
}

/** Until the outputs have ended, or nothing came for a while though the reader would have taken it. */
async function drained(copied: Promise<unknown>, progress: () => number): Promise<void> {
  const over = copied.then(() => true);
  let last = progress();
  for (let quietFor = 0; quietFor < quietMs; quietFor += quietPollMs) {
    if (await Promise.race([over, delay(quietPollMs, false)])) return;
    const now = progress();
    if (now === -1 || now !== last) quietFor = -quietPollMs;
    last = now;
  }
}

async function leave({ child, shim, stdin, stdout, stderr }: Started): Promise<void> {
  shim.close();
  for (const socket of [stdin, stdout, stderr]) socket.destroy();
  await endShim(child);
}
