/** Drives the real shim as the agent does, without the agent: for tests of native/shim and of the plans. */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { firstPlan } from '#agent/sandbox/ready-plan.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { buildNative } from '#native/build.mjs';
import { loadNative } from '#native/binding.ts';
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import type { Child } from '#native/types.ts';
import type { Plan } from '#shared/plan.ts';

export type ShimRun = {
  child: Pick<Child, 'wait' | 'close'>;
  /** All that the shim said, so far. */
  lines: string[];
  /** The first line that starts with `word` and a space, or throws when the shim hangs up without it. */
  line(word: string): Promise<string>;
  send(request: string): void;
  /** Hangs up, as a dying agent does. */
  hangUp(): void;
  /** Waits until the shim has hung up and is reaped. */
  ended(): Promise<{ code: number; signal: number }>;
};

/** Disposing kills what a failed test left running. */
export type Shims = AsyncDisposable & {
  native: Native;
  /** `joins`: the namespaces of the plan's joins, in its order. */
  run(plan: Plan | Uint8Array, stateDirectory: string, joins?: readonly Fd[]): ShimRun & { pid: number };
  /** One that waits for its plan; `give` hands it over, and says `then` at once: with null the sandbox is made, but its command does not run. */
  ready(stateDirectory: string): ShimRun & { pid: number; give(plan: Plan | Uint8Array, text?: string, then?: string | null): void };
  enter(plan: Plan, pidfd: Fd, input?: string): ShimRun & { output: Promise<{ stdout: string; stderr: string }> };
};

/** Builds what is stale and loads it. */
export async function loadShims(): Promise<Shims> {
  await buildNative();
  const native = loadNative();
  const started: ShimRun[] = [];
  const program = native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  const memoryOf = (plan: Plan | Uint8Array): Fd => native.sealBytes(plan instanceof Uint8Array ? plan : encodePlan(plan), 'plan');
  const start = (mode: string, stdio: [Fd, Fd, Fd], memory: Fd, ...last: Fd[]): ShimRun & { pid: number; control: number } => {
    const [ours, theirs] = native.socketpair();
    try {
      const child = native.spawn({ program, args: ['nsfleet-shim', mode], fds: [...stdio, memory, theirs, ...last], newSession: true });
      const control = ours.take();
      const run = conversation(child, new Socket({ fd: control }));
      started.push(run);
      return Object.assign(run, { pid: child.pid, control });
    } finally {
      theirs.close();
      ours.close();
    }
  };
  return {
    native,
    async [Symbol.asyncDispose]() {
      for (const run of started) run.send('kill');
      await Promise.all(started.map((run) => run.ended()));
      program.close();
    },
    run: (plan, stateDirectory, joins = []) => {
      using directory = native.openDir(stateDirectory);
      using nothing = nullDevice(native);
      using memory = memoryOf(plan);
      return start('run', [nothing, nothing, nothing], memory, directory, nothing, ...joins);
    },
    ready: (stateDirectory) => {
      using directory = native.openDir(stateDirectory);
      using nothing = nullDevice(native);
      using first = memoryOf(firstPlan(readHostRootFacts(), readKernelFacts(true)));
      const run = start('ready', [nothing, nothing, nothing], first, directory);
      return Object.assign(run, {
        give(plan: Plan | Uint8Array, text = 'plan\n', then: string | null = 'start') {
          using memory = memoryOf(plan);
          native.sendDescriptors(run.control, text, [memory]);
          if (then !== null) run.send(then);
        },
      });
    },
    enter: (plan, pidfd, input = '') => {
      const [stdin, stdout, stderr] = [native.pipe(), native.pipe(), native.pipe()];
      using memory = memoryOf(plan);
      const run = start('enter', [stdin.read, stdout.write, stderr.write], memory, pidfd);
      for (const end of [stdin.read, stdout.write, stderr.write]) end.close();
      const writer = new Socket({ fd: stdin.write.take(), readable: false });
      writer.on('error', () => undefined);
      writer.end(input);
      const output = Promise.all([collect(stdout.read), collect(stderr.read)]).then(([out, err]) => ({ stdout: out, stderr: err }));
      return Object.assign(run, { output });
    },
  };
}

/** /dev/null by way of a pipe whose other end is closed: reads end at once, and the shim never writes there. */
function nullDevice(native: Native): Fd {
  const { read, write } = native.pipe();
  write.close();
  return read;
}

async function collect(fd: Fd): Promise<string> {
  const chunks: Buffer[] = [];
  const socket = new Socket({ fd: fd.take(), writable: false });
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export function conversation(child: Pick<Child, 'wait' | 'close'>, socket: Socket): ShimRun {
  const lines: string[] = [];
  let exit: { code: number; signal: number } | null = null;
  let rest = '';
  let wake = Promise.withResolvers<void>();
  let closed = false;
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    // As the agent: there is nothing more to say to it.
    if (parts.some((line) => line.startsWith('failed '))) socket.end();
    wake.resolve();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
    wake.resolve();
  });
  const next = async (): Promise<void> => {
    await wake.promise;
    if (!closed) wake = Promise.withResolvers<void>();
  };
  return {
    child,
    lines,
    async line(word) {
      for (;;) {
        const found = lines.find((line) => line === word || line.startsWith(`${word} `));
        if (found !== undefined) return found;
        if (closed) throw new Error(`the shim never said "${word}"; it said: ${JSON.stringify(lines)}`);
        await next();
      }
    },
    send: (request) => {
      if (!closed && !socket.destroyed) socket.write(`${request}\n`);
    },
    hangUp: () => socket.destroy(),
    async ended() {
      while (!closed) await next();
      for (;;) {
        exit ??= child.wait();
        if (exit !== null) {
          child.close();
          return exit;
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
}

/** One field of /proc/<pid>/status, or of the text of such a file. */
export function statusField(status: string | number, name: string): string {
  const text = typeof status === 'number' ? readFileSync(`/proc/${status}/status`, 'utf8') : status;
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
}

/** Whether it can still do anything. A zombie cannot: it waits for its parent, which for an orphan is the host's PID 1, in its own time. */
export function isAlive(pid: number): boolean {
  try {
    return !statusField(pid, 'State').startsWith('Z');
  } catch {
    return false;
  }
}
