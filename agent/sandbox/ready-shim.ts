/**
 * A shim that was started before its plan: both halves are there, with all namespaces of the default sandbox, and nothing of the host's
 * mounts (native/shim/ready.c). It is given one plan, or none, and never goes back.
 */
import { openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import type { Child } from '#native/types.ts';
import { sleep } from '#shared/async.ts';
import type { LimitWrite } from '#shared/cgroup.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Cgroups } from '../cgroup/hierarchy.ts';
import type { SandboxCgroup } from '../cgroup/sandbox-cgroup.ts';
import { identify, killExactly } from './processes.ts';
import type { ProcessIdentity } from './record.ts';
import { endShim } from './runner.ts';
import type { Place } from './runner.ts';
import { openShimLink } from './shim-link.ts';
import type { ShimEar, ShimLink } from './shim-link.ts';
import type { SpareDirectory } from './spare-directories.ts';

/** native/shim/ready.c */
const waitingName = 'nsfleet-ready';
/** A waiting process takes a plan within a tenth of a millisecond; on a host this busy a new one would not be slower. */
const takeBoundMs = 250;
/** It has nothing to do before it goes. */
const leaveBoundMs = 1000;
const deathBoundMs = 10_000;
const deathPollMs = 5;

export type ReadyShim = {
  readonly shim: Child;
  /** what it was born in; its taker's from `give` on, where that gives a link */
  readonly cgroup: SandboxCgroup | null;
  /**
   * Limits its cgroup, hands the plan over, and while the shim is at work commits the placement: only then may the command run. The shim's words go to `ear` from now
   * on. Null: it did not take the plan in time, and is known to be dead, with its init: another one may get it. Throws SANDBOX_LIMIT_REFUSED, what
   * `commit` throws, and SANDBOX_CREATE_FAILED where it does not die.
   */
  give(plan: Fd, limits: readonly LimitWrite[], place: Place, ear: ShimEar): Promise<ShimLink | null>;
  /** Ends it unused. Resolves when it is reaped. */
  end(): Promise<void>;
};

export type ReadyShimParts = {
  native: Native;
  program: Fd;
  cgroups: Cgroups;
  /** sealed, see ready-plan.ts */
  firstPlan: Fd;
  /** Where its state will lie. Taken over, unless this throws. */
  spare: SpareDirectory;
};

export type ReadyEvents = {
  onReady(): void;
  /** It ended before it was given anything, and is reaped soon; once, and not after `end`. */
  onLost(reason: string): void;
};

/** Throws NativeError where it cannot even be spawned. */
export function startReadyShim(parts: ReadyShimParts, events: ReadyEvents): ReadyShim {
  const { native, spare } = parts;
  const cgroup = parts.cgroups.make();
  const { shim, socket, number } = spawn(parts, cgroup);
  const answered = Promise.withResolvers<void>();
  let init: ProcessIdentity | null = null;
  let given: ShimEar | null = null;
  let why = 'it ended';
  let heard = false;
  // What stays is removed by the agent's next life.
  const discard = (): Promise<void> => spare.discard().catch(() => undefined);
  const took = (): boolean => heard || nameOf(shim.pid) !== waitingName;
  const link = openShimLink(socket, {
    onWord(word) {
      if (given !== null) {
        heard = true;
        answered.resolve();
        given.onWord(word);
      } else if (word.type === 'failed') why = `${word.failure.step} ${word.failure.detail}: errno ${word.failure.errnum}`;
      else if (word.type === 'ready') {
        init = identify(native, word.initPid);
        events.onReady();
      }
    },
    onClose() {
      answered.resolve();
      if (given === null) {
        void endShim(shim)
          .then(() => cgroup?.remove(leaveBoundMs))
          .then(discard);
        events.onLost(why);
      } else if (took()) given.onClose();
    },
  });
  /** Whether it died without having taken what it was given. */
  const killIt = async (): Promise<boolean> => {
    link.close();
    shim.signal(9);
    while (!hasEnded({ pid: shim.pid, start: shim.startTicks.toString() })) await sleep(deathPollMs);
    const untaken = !took();
    await endShim(shim);
    if (init !== null) await endInit(native, init);
    await cgroup?.remove(leaveBoundMs);
    await discard();
    return untaken;
  };
  return {
    shim,
    cgroup,
    async give(plan, limits, place, ear) {
      given = ear;
      try {
        cgroup?.limit(limits);
      } catch (error) {
        await killIt();
        throw error;
      }
      try {
        native.sendDescriptors(number, 'plan\n', [plan]);
      } catch {
        await killIt();
        return null;
      }
      try {
        place.commit(spare);
        link.start();
      } catch (error) {
        await killIt();
        throw error;
      }
      const timer = setTimeout(() => answered.resolve(), takeBoundMs);
      await answered.promise;
      clearTimeout(timer);
      if (took()) return link;
      if (await killIt()) return null;
      const reason = 'its shim took the plan in the moment in which it was given up';
      throw new NsfleetError('SANDBOX_CREATE_FAILED', { attempted: 'create', target: 'a sandbox', reason });
    },
    async end() {
      link.close();
      await endShim(shim, leaveBoundMs);
      await cgroup?.remove(leaveBoundMs);
      await discard();
    },
  };
}

/** It dies with its shim (PDEATHSIG); waited for, since it may have been at work. */
async function endInit(native: Native, init: ProcessIdentity): Promise<void> {
  killExactly(native, init);
  for (let waitedMs = 0; !hasEnded(init); waitedMs += deathPollMs) {
    if (waitedMs > deathBoundMs) {
      const reason = `process ${init.pid} took a plan, was killed and did not die`;
      throw new NsfleetError('SANDBOX_CREATE_FAILED', { attempted: 'end', target: 'a ready sandbox', reason });
    }
    await sleep(deathPollMs);
  }
}

/** A zombie has: it waits for the host's PID 1, in its own time. */
function hasEnded({ pid, start }: ProcessIdentity): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[19] !== start;
  } catch {
    return true;
  }
}

/** Of a child that is not reaped yet, dead or alive: it has another one from before it does anything for a plan. */
function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
}

function spawn(
  { native, program, firstPlan, spare }: ReadyShimParts,
  cgroup: SandboxCgroup | null,
): { shim: Child; socket: Socket; number: number } {
  using nothing = new Fd(openSync('/dev/null', 'r+'));
  const [ours, theirs] = native.socketpair();
  using _theirs = theirs;
  try {
    // The real plan comes later, to the place that it has in `run`.
    using born = cgroup === null ? null : native.openDir(cgroup.path);
    const fds = [nothing, nothing, nothing, firstPlan, theirs, spare.directory, ...(born === null ? [] : [born])];
    const shim = native.spawn({ program, args: ['nsfleet-shim', 'ready'], fds, newSession: true });
    const number = ours.take();
    return { shim, socket: new Socket({ fd: number, readable: true, writable: true }), number };
  } finally {
    ours.close();
  }
}
