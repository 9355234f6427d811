/** Spawns a sandbox's shim and waits until the command runs, or until the shim says why it does not. */
import type { Fd } from '#native/handles.ts';
import type { Child } from '#native/types.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { DesiredPlacement, ExitStatus } from '#shared/sandbox.ts';
import type { Cgroups } from '../cgroup/hierarchy.ts';
import { failureError } from './failures.ts';
import type { PlanParts } from './judged-plan.ts';
import { launch } from './launch.ts';
import type { Launched } from './launch.ts';
import type { ReadyPool } from './ready-pool.ts';
import type { ShimWord } from './shim-link.ts';
import type { SpareDirectory } from './spare-directories.ts';
import { volumePaths } from './volumes.ts';

/** A sandbox takes milliseconds; a host that swaps may take seconds. */
const startTimeoutMs = 30_000;

export type ShimEvents = {
  onExit(exit: ExitStatus): void;
  /** The shim is gone, with or without an exit before. */
  onGone(): void;
};

export type Started = Launched & { initPid: number; commandPid: number };

/** Where a placement's state is to lie. */
export type Place = {
  path: string;
  /** It lies there already: from an earlier life of the agent, or since another wish came. Then a ready shim's directory cannot become it. */
  readonly isThere: boolean;
  /**
   * Writes down there that the sandbox is being made: called before anything of it can run. A ready shim has its directory already, which
   * becomes that place. A second call does nothing. May throw.
   */
  commit(spare: SpareDirectory | null): void;
};

export type RunnerParts = PlanParts & {
  /** the sealed shim */
  program: Fd;
  ready: ReadyPool;
  cgroups: Cgroups;
  log: Log;
};

/**
 * Resolves when the command's execve has succeeded. What is thrown is an error of the catalogue, and then nothing of the sandbox
 * runs. `events` may come before it resolves: a short command ends at once.
 */
export async function startSandbox(parts: RunnerParts, desired: DesiredPlacement, place: Place, events: ShimEvents): Promise<Started> {
  const { log } = parts;
  const { name, spec } = desired;
  const context = {
    attempted: 'create sandbox',
    target: name,
    fallback: 'SANDBOX_CREATE_FAILED',
    rootIsDirectory: spec.root.type !== 'host',
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
  const launched = await launch(parts, desired, place, ear);
  const { shim, link, cgroup } = launched;
  const timer = setTimeout(() => {
    running.reject(new NsfleetError('SANDBOX_CREATE_FAILED', { ...context, reason: `not running after ${startTimeoutMs} ms` }));
  }, startTimeoutMs);
  try {
    return { ...launched, ...(await running.promise) };
  } catch (error) {
    // Init dies with its shim (PDEATHSIG), and everything in the sandbox with init.
    link.kill();
    link.close();
    await endShim(shim);
    await cgroup?.remove(endBoundMs);
    throw error;
  } finally {
    clearTimeout(timer);
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
