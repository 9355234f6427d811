/**
 * Ready shims, so that a sandbox does not wait for its namespaces: `size` of them wait, one is used a sandbox and never again. Refilled one
 * at a time, when nothing was asked for a while and never faster than a few a second: making and tearing down network namespaces goes
 * through one lock of the kernel, which a burst of creates needs itself.
 */
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { Plan } from '#shared/plan.ts';
import type { Cgroups } from '../cgroup/hierarchy.ts';
import type { KernelFacts } from './kernel-facts.ts';
import { canFollow, firstPlan } from './ready-plan.ts';
import { startReadyShim } from './ready-shim.ts';
import type { ReadyShim } from './ready-shim.ts';
import type { HostRootFacts } from './root-facts.ts';
import type { SpareDirectory } from './spare-directories.ts';

/** After the last create. */
const idleMs = 100;
/** Between two of them. */
const spacingMs = 200;
/** Where this host makes none (a limit, a kernel that forbids it), creating says why; here it is only tried again. */
const failureBackoffMs = 30_000;

export type ReadyPool = {
  /** A waiting one that can do this plan, or null: then a new shim is to be started. Not filled up right after it. */
  take(plan: Plan): ReadyShim | null;
  /** How many wait. */
  readonly waiting: number;
  /** Ends all that wait. */
  close(): Promise<void>;
};

export type ReadyPoolParts = {
  native: Native;
  program: Fd;
  cgroups: Cgroups;
  host: HostRootFacts;
  kernel: KernelFacts;
  /** 0: none are kept */
  size: number;
  makeSpare: () => Promise<SpareDirectory>;
  log: Log;
};

export function createReadyPool({ native, program, cgroups, host, kernel, size, makeSpare, log }: ReadyPoolParts): ReadyPool {
  const first = firstPlan(host, kernel);
  const sealed = native.sealBytes(encodePlan(first), 'nsfleet-first');
  const waiting: ReadyShim[] = [];
  let making: Promise<void> | null = null;
  let starting: ReadyShim | null = null;
  let timer: NodeJS.Timeout | null = null;
  let notBefore = performance.now() + idleMs;
  let closed = false;

  const postpone = (ms: number): void => {
    notBefore = Math.max(notBefore, performance.now() + ms);
  };
  const schedule = (): void => {
    if (closed || timer !== null || making !== null || starting !== null || waiting.length >= size) return;
    timer = setTimeout(refill, Math.max(0, notBefore - performance.now())).unref();
  };
  const refill = (): void => {
    timer = null;
    if (performance.now() < notBefore) return schedule();
    postpone(spacingMs);
    making = makeOne()
      .catch((error: unknown) => fail(errorText(error)))
      .finally(() => {
        making = null;
        schedule();
      });
  };
  const makeOne = async (): Promise<void> => {
    const spare = await makeSpare();
    try {
      if (closed) await spare.discard();
      else starting = startOne(spare);
    } catch (error) {
      await spare.discard();
      throw error;
    }
  };
  const fail = (reason: string): void => {
    log.warn({ reason }, 'no sandbox can be kept ready; each is made when it is asked for');
    postpone(failureBackoffMs);
  };
  const startOne = (spare: SpareDirectory): ReadyShim => {
    const shim: ReadyShim = startReadyShim(
      { native, program, cgroups, firstPlan: sealed, spare },
      {
        onReady() {
          starting = null;
          waiting.push(shim);
          schedule();
        },
        onLost(reason) {
          const at = waiting.indexOf(shim);
          if (at >= 0) waiting.splice(at, 1);
          else fail(reason);
          if (starting === shim) starting = null;
          schedule();
        },
      },
    );
    return shim;
  };

  schedule();
  return {
    take(plan) {
      postpone(idleMs);
      if (!canFollow(plan, first)) return null;
      const shim = waiting.shift() ?? null;
      schedule();
      return shim;
    },
    get waiting() {
      return waiting.length;
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await making;
      const all = starting === null ? waiting.splice(0) : [...waiting.splice(0), starting];
      await Promise.all(all.map((shim) => shim.end()));
      sealed.close();
    },
  };
}
