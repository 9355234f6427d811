/** One more process in a running sandbox, with its streams. It dies with its reader, and with this agent. */
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import type { Child } from '#native/types.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { ExecRequest } from '#shared/messages.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import type { Link } from '../link.ts';
import { failureError } from '../sandbox/failures.ts';
import type { Placement } from '../sandbox/placement.ts';
import { compileEnterPlan } from '../sandbox/plan.ts';
import { endShim } from '../sandbox/runner.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import { openShimLink } from '../sandbox/shim-link.ts';
import type { ShimLink } from '../sandbox/shim-link.ts';
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

/** Resolves when the command runs: from then on the stream tells. Throws what keeps it from running; nothing is left then. */
export async function startExec(
  parts: RunnerParts,
  link: Link,
  streamId: string,
  placement: Placement,
  exec: ExecRequest,
): Promise<OpenStream> {
  const { name, spec } = placement.record.desired;
  const running = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<ExitStatus>();
  // Whoever waits for them hears of it; here only nobody may be left unheard.
  for (const promise of [running.promise, exited.promise]) promise.catch(() => undefined);

  const entered = enter(parts, placement, exec, {
    onWord(word) {
      if (word.type === 'running') running.resolve();
      if (word.type === 'exit') exited.resolve(word.exit);
      if (word.type === 'failed') {
        const context = {
          attempted: 'exec in sandbox',
          target: name,
          fallback: 'EXEC_FAILED',
          rootIsDirectory: spec.root.type === 'directory',
        } as const;
        running.reject(failureError(word.failure, context));
      }
    },
    onClose() {
      const error = execFailed(name, 'its shim died');
      running.reject(error);
      exited.reject(error);
    },
  });
  const channel = openChannel(link, streamId, {
    onStdin: (data) => writeStdin(entered.stdin, data, channel),
    onStdinEnd: () => entered.stdin.end(),
    onSignal: (number) => void entered.shim.signal(number).catch(() => undefined),
    onClosed: (reason) => exited.reject(reason),
  });
  const timer = setTimeout(() => running.reject(execFailed(name, `not running after ${startTimeoutMs} ms`)), startTimeoutMs);
  try {
    await running.promise;
  } catch (error) {
    channel.close();
    await leave(entered);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    done: serve(entered, channel, exited.promise),
    abort(error) {
      channel.finish('error', error.toWire());
      exited.reject(error);
    },
  };
}

type Entered = { child: Child; shim: ShimLink; stdin: Socket; stdout: Socket; stderr: Socket };

function enter(parts: RunnerParts, placement: Placement, exec: ExecRequest, ear: Parameters<typeof openShimLink>[1]): Entered {
  const { native, program, owner } = parts;
  const { name, spec, idRange } = placement.record.desired;
  const { init, state } = placement.record;
  if (init === null || (state !== 'running' && state !== 'stopping')) {
    throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'exec in sandbox', target: name, reason: `it is ${state}` });
  }
  const plan = compileEnterPlan({
    command: exec.command,
    env: { ...spec.env, ...exec.env },
    cwd: exec.cwd ?? spec.cwd,
    user: exec.user ?? spec.user,
    hostname: spec.hostname ?? name,
    idRange,
    owner,
  });
  using fds = new DisposableStack();
  try {
    const target = fds.use(native.openProcess(init.pid, BigInt(init.start)));
    const encoded = fds.use(native.sealBytes(encodePlan(plan), 'nsfleet-plan'));
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
      args: ['nsfleet-shim', 'enter'],
      fds: [stdin.read, stdout.write, stderr.write, encoded, theirs, target.pidfd],
      newSession: true,
    });
    return {
      child,
      shim: openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), ear),
      stdin: writer(stdin.write),
      stdout: reader(stdout.read),
      stderr: reader(stderr.read),
    };
  } catch (error) {
    throw asNsfleetError(error, 'exec in sandbox', name);
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
async function serve(entered: Entered, channel: Channel, exited: Promise<ExitStatus>): Promise<void> {
  let bytes = 0;
  const copy = async (kind: 'stdout' | 'stderr'): Promise<void> => {
    for await (const chunk of entered[kind] as AsyncIterable<Buffer>) {
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
  await leave(entered);
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

async function leave({ child, shim, stdin, stdout, stderr }: Entered): Promise<void> {
  shim.close();
  for (const socket of [stdin, stdout, stderr]) socket.destroy();
  await endShim(child);
}

function execFailed(name: string, reason: string): NsfleetError {
  return new NsfleetError('EXEC_FAILED', { attempted: 'exec in sandbox', target: name, reason });
}
