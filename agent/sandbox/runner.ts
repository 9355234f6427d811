/** Spawns a sandbox's shim and waits until the command runs, or until the shim says why it does not. */
import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import type { Child } from '#native/types.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { DesiredPlacement, ExitStatus } from '#shared/sandbox.ts';
import type { Policy } from '../policy/model.ts';
import { failureError } from './failures.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { compileSandboxPlan } from './plan.ts';
import type { HostRootFacts } from './root-facts.ts';
import type { ReadyPool } from './ready-pool.ts';
import { openShimLink } from './shim-link.ts';
import type { ShimEar, ShimLink, ShimWord } from './shim-link.ts';
import { allowedSources } from './sources.ts';
import { volumePaths } from './volumes.ts';

/** A sandbox takes milliseconds; a host that swaps may take seconds. */
const startTimeoutMs = 30_000;

export type ShimEvents = {
  onExit(exit: ExitStatus): void;
  /** The shim is gone, with or without an exit before. */
  onGone(): void;
};

export type Started = { shim: Child; link: ShimLink; initPid: number; commandPid: number };

export type RunnerParts = {
  native: Native;
  /** the sealed shim */
  program: Fd;
  ready: ReadyPool;
  host: HostRootFacts;
  kernel: KernelFacts;
  policy: Policy;
  /** the agent's own ids: what a plain user's sandbox maps */
  owner: { uid: number; gid: number };
  log: Log;
};

/**
 * Resolves when the command's execve has succeeded. What is thrown is an error of the catalogue, and then nothing of the sandbox
 * runs. `events` may come before it resolves: a short command ends at once.
 */
export async function startSandbox(parts: RunnerParts, desired: DesiredPlacement, directory: string, events: ShimEvents): Promise<Started> {
  const { log } = parts;
  const { name, spec } = desired;
  const context = {
    attempted: 'create sandbox',
    target: name,
    fallback: 'SANDBOX_CREATE_FAILED',
    rootIsDirectory: spec.root.type === 'directory',
    volumePaths: volumePaths(spec.volumes),
  } as const;
  const running = Promise.withResolvers<{ initPid: number; commandPid: number }>();
  // It may fail before anybody waits for it.
  running.promise.catch(() => undefined);
  const ear = {
    onWord(word: ShimWord): void {
      if (word.type === 'running') running.resolve(word);
      else if (word.type === 'failed') running.reject(failureError(word.failure, context));
      else if (word.type === 'exit') events.onExit(word.exit);
      else if (word.type === 'note') log.debug({ sandbox: name, note: word.text }, 'the shim notes');
    },
    onClose(): void {
      running.reject(new NsfleetError('SANDBOX_CREATE_FAILED', { ...context, reason: 'its shim died before the command ran' }));
      events.onGone();
    },
  };
  const { shim, link } = await launch(parts, desired, directory, ear);
  const timer = setTimeout(() => {
    running.reject(new NsfleetError('SANDBOX_CREATE_FAILED', { ...context, reason: `not running after ${startTimeoutMs} ms` }));
  }, startTimeoutMs);
  try {
    return { shim, link, ...(await running.promise) };
  } catch (error) {
    // Init dies with its shim (PDEATHSIG), and everything in the sandbox with init.
    link.kill();
    link.close();
    await endShim(shim);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Gives the plan to a ready shim if there is one that fits, else to a new one. */
async function launch(
  { native, program, ready, host, kernel, policy, owner }: RunnerParts,
  desired: DesiredPlacement,
  directory: string,
  ear: ShimEar,
): Promise<{ shim: Child; link: ShimLink }> {
  const { name, spec, idRange } = desired;
  using fds = new DisposableStack();
  try {
    const plan = compileSandboxPlan({ ...allowedSources(spec, policy, name), name, idRange, owner, host, kernel });
    const encoded = fds.use(native.sealBytes(encodePlan(plan), 'nsfleet-plan'));
    const state = fds.use(native.openDir(directory));
    const waiting = ready.take(plan);
    const link = waiting === null ? null : await waiting.give(encoded, state, ear);
    if (waiting !== null && link !== null) return { shim: waiting.shim, link };

    const [ours, theirs] = native.socketpair();
    fds.use(ours);
    fds.use(theirs);
    const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
    const shim = native.spawn({
      program,
      args: ['nsfleet-shim', 'run'],
      fds: [nothing, nothing, nothing, encoded, theirs, state],
      newSession: true,
    });
    return { shim, link: openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), ear) };
  } catch (error) {
    throw asNsfleetError(error, 'create sandbox', name);
  }
}

/** A shim ends right after its last word; it is waited for so that no zombie stays, and killed if it does not end. */
const endBoundMs = 5000;

/** Resolves when the child has ended and is reaped. */
export async function endShim(shim: Child, boundMs = endBoundMs): Promise<void> {
  const deadline = performance.now() + boundMs;
  let killed = false;
  for (let waitMs = 1; shim.wait() === null; waitMs = Math.min(waitMs * 2, 100)) {
    if (!killed && performance.now() > deadline) {
      killed = true;
      shim.signal(9);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  shim.close();
}
