/**
 * When to look, and at what. A full scan is slow and sees everything: now and then, and when something was missed. In between only the
 * processes that something was heard of are read again, and the model is patched. Where nothing is heard, full scans follow each other.
 */
import type { Native } from '#native/binding.ts';
import { coalesce } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { ChangeSource } from '#shared/host.ts';
import type { Log } from '#shared/log.ts';
import type { Changes } from '../changes/source.ts';
import { createBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { createCommandLines } from './command-lines.ts';
import { createCpuClock } from './cpu-clock.ts';
import type { Describer } from './describe/describe.ts';
import type { Discover } from './discover.ts';
import type { GenerationStore } from './generations.ts';
import { createJudge } from './judge.ts';
import { buildModel, withoutEnded } from './model.ts';
import type { Model } from './model.ts';
import { patchModel, withoutUnheld } from './patch.ts';
import { createPending } from './pending.ts';
import { createRound } from './round.ts';
import { createUnheld } from './unheld.ts';

/** Of the interval, so that a fleet does not scan in step. */
const jitterShare = 0.1;
/** A scan of 20,000 processes takes half a second: never spend more than a tenth of the time scanning. */
const idleShare = 9;
/** After a sandbox's birth its processes settle; a burst of births is one scan. */
const pokeDelayMs = 50;
/** Also where every second something is missed or mounted: one full scan a second. */
const fullSpacingMs = 1000;
/** More than so many, or than a share of all: reading every process costs less than reading these one by one. */
const fewPids = 16;
const fewShare = 0.25;
/** Addresses, routes and host names change without a change of namespaces: how old what is told of them may be. */
const refreshMs = 60_000;
/** setTimeout takes no infinity. */
const sleepMaxMs = 60_000;
/** What happened before a full scan is heard by then, also on a host that has not a core to spare. */
const settleMs = 1000;

export type Watch = {
  /** A model that was scanned after this call. Throws PROC_UNAVAILABLE. */
  scanNow(): Promise<Model>;
  /** Something changed here: look soon, where it is not heard anyway. */
  poke(): void;
  /** Looks until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

export type WatchOptions = {
  native: Pick<Native, 'scanPids' | 'isAlive'>;
  discovery: Discover;
  changes: Changes;
  generations: GenerationStore;
  describer: Describer;
  /** Between full scans where changes are not heard, and where they are. */
  intervalMs: number;
  fullIntervalMs: number;
  log: Log;
  /** How changes are heard from now on, and why not better. */
  onSource: (source: ChangeSource, reason: string | null) => void;
  /** Gets every model. */
  onModel: (model: Model) => void;
};

type Charge = Budget['spend'];

/** Opens nothing; `run` works. */
export function createWatch(options: WatchOptions): Watch {
  const { native, discovery, changes, generations, describer, log, onModel } = options;
  const commandLines = createCommandLines();
  const pending = createPending();
  const budget = createBudget();
  const cpu = createCpuClock(() => changes.pid);
  const judge = createJudge();
  let model: Model | null = null;
  let knownPids = new Set<number>();
  let durationMs = 0;
  let fullCpuMs = 0;
  let refreshedAtMs = performance.now();
  /** Not before it is known how changes are heard: what happens after the first scan must be heard. */
  let fullAtMs = Infinity;
  let lastFullMs = -Infinity;
  /** What was heard wants the next full scan, not only the time. */
  let fullWanted = false;
  /** When holders other than processes are to be searched for. */
  let searchAtMs = -Infinity;
  /** When to ask again for namespaces that nothing known holds. */
  let unheldAtMs = Infinity;
  let heard = false;
  /** Since the budget was told. */
  let changesHeard = 0;
  let missed = 0;
  let verdict: NodeJS.Timeout | undefined;
  let wake = (): void => undefined;

  const keep = (next: Model): void => {
    model = next;
    knownPids = new Set(Array.from(next.processes.values(), ({ pid }) => pid));
    onModel(next);
  };
  const fullBy = (atMs: number): void => {
    fullWanted = true;
    fullAtMs = Math.min(fullAtMs, Math.max(atMs, lastFullMs + Math.max(fullSpacingMs, fullCpuMs * idleShare)));
  };

  const searchSoon = (): void => {
    searchAtMs = -Infinity;
    fullBy(performance.now());
  };

  /** Turns: a patch belongs to the model that it was made for. What it cost is charged, and what was used since the last one. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>, charge: Charge = budget.spend): Promise<void> => {
    const mine = turn.then(async () => {
      const besideMs = cpu.lap();
      pending.begin();
      try {
        await work();
      } finally {
        pending.end((pid) => knownPids.has(pid));
        charge(cpu.lap(), besideMs, performance.now());
      }
    });
    turn = mine.catch(() => undefined);
    return mine;
  };

  /** All processes; `search`: and all other holders, which costs most. */
  const scan = (search: boolean): Promise<void> => {
    let wanted = false;
    const look = async (): Promise<void> => {
      const start = performance.now();
      const waiting = pending.take();
      if (search) {
        wanted = fullWanted;
        fullWanted = false;
        lastFullMs = start;
        clearTimeout(verdict);
        judge.begin(waiting?.keys() ?? []);
      }
      const rows = await discovery.discover(search ? {} : { processes: 'none', mounts: false });
      if (search) searchAtMs = start + options.fullIntervalMs;
      durationMs = performance.now() - start;
      await commandLines.update(rows);
      const built = buildModel(rows, generations.current, commandLines.of, Math.round(durationMs * 1000));
      await generations.keep(built.generations);
      const refresh = start - refreshedAtMs >= refreshMs;
      const found = search || model === null ? built.model : keepUnheld(model, built.model);
      const next = await describer.describe(found, { refresh });
      if (refresh) refreshedAtMs = start;
      if (search) {
        if (heard && model !== null && waiting !== null) judge.compare(model, next);
        verdict = setTimeout(count, settleMs).unref();
      }
      if (search || !heard) {
        const interval = heard ? options.fullIntervalMs : Math.max(options.intervalMs, durationMs * idleShare);
        fullAtMs = performance.now() + interval * (1 + jitterShare * (2 * Math.random() - 1));
      }
      keep(next);
    };
    const charge: Charge = (ms, ...rest) => {
      fullCpuMs = ms;
      budget.setFullScan(ms);
      (wanted ? budget.spend : budget.spendSaved)(ms, ...rest);
    };
    return inTurn(look, search ? charge : undefined);
  };
  // Where changes are polled for, other holders than processes are not searched for each time.
  const full = coalesce(() => scan(heard || performance.now() >= searchAtMs));
  /** The slow judge's verdict on what was heard: 0 misses are normal. */
  const count = (): void => {
    const misses = judge.settle();
    if (misses.length === 0) return;
    missed += misses.length;
    log.warn({ misses: misses.slice(0, 16), now: misses.length, missed }, 'a full scan repaired what was not heard');
  };

  const round = createRound({ native, again: (pid, kinds) => ear.onChange(pid, kinds) });
  const patch = (): Promise<void> =>
    inTurn(async () => {
      const taken = pending.isAll ? null : pending.take();
      if (taken === null || model === null) return;
      const before = model;
      const { rows, asked, wantsFull } = await round.look(before, taken);
      const seen = buildModel(rows, generations.current, commandLines.readNow, 0, asked);
      let next = keepUnheld(before, patchModel(before, seen.model, asked, commandLines.readNow));
      await generations.keep(withoutEnded(seen.generations, before, next));
      if (wantsWords(before, next)) next = await describer.describe(next, { refresh: false });
      if (wantsFull) searchSoon();
      if (next !== before) keep(next);
    });

  const unheld = createUnheld(native);
  const keepUnheld = (before: Model, patched: Model): Model => {
    const { model: kept, askInMs, wantsFull } = unheld.keep(before, patched, performance.now());
    unheldAtMs = askInMs === null ? Infinity : performance.now() + askInMs;
    if (wantsFull) searchSoon();
    return kept;
  };
  const askUnheld = (): Promise<void> =>
    inTurn(() => {
      unheldAtMs = Infinity;
      if (model === null) return Promise.resolve();
      const before = model;
      const next = keepUnheld(before, withoutUnheld(before));
      if (next.namespaces.size !== before.namespaces.size) keep(next);
      return generations.keep(withoutEnded(generations.current, before, next));
    });

  /** What is due, and in how many milliseconds. */
  const nextWork = (): { work: () => Promise<unknown>; inMs: number } => {
    const now = performance.now();
    const due = [{ work: full, inMs: fullAtMs - now }];
    if (model !== null) {
      const look = pending.size > Math.max(fewPids, knownPids.size * fewShare) ? () => scan(false) : patch;
      if (pending.size > 0) due.push({ work: look, inMs: 0 });
      due.push({ work: askUnheld, inMs: unheldAtMs - now });
      const settlesInMs = heard ? describer.settlesInMs() : null;
      if (settlesInMs !== null) due.push({ work: describeAgain, inMs: settlesInMs });
    }
    const first = due.reduce((one, other) => (other.inMs < one.inMs ? other : one));
    budget.hear(changesHeard, now);
    changesHeard = 0;
    // Where changes are polled for, the scans' own spacing is the bound.
    return { work: first.work, inMs: heard ? Math.max(first.inMs, budget.waitMs(now)) : first.inMs };
  };
  const describeAgain = (): Promise<void> =>
    inTurn(async () => {
      if (model !== null) keep(await describer.describe(model, { refresh: false }));
    });

  const ear = {
    onChange(pid: number, kinds: number): void {
      judge.heard(pid);
      changesHeard += 1;
      const idle = pending.size === 0;
      pending.add(pid, kinds, knownPids.has(pid));
      if (pending.isAll) fullBy(performance.now());
      if (idle && pending.size > 0) wake();
    },
    onLost(): void {
      pending.addAll();
      fullBy(performance.now());
      wake();
    },
    onSource(source: ChangeSource, reason: string | null): void {
      heard = source === 'tracefs';
      pending.addAll();
      log.info({ source, reason }, 'how changes are heard');
      options.onSource(source, reason);
      fullBy(performance.now());
      wake();
    },
  };

  const runSafely = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.error({ reason: errorText(error) }, 'scan failed');
      pending.addAll();
      fullAtMs = performance.now() + fullSpacingMs;
    }
  };

  return {
    async scanNow() {
      searchAtMs = -Infinity;
      await full();
      if (model === null) throw new Error('a scan ended without a model');
      return model;
    },
    poke() {
      if (heard) return;
      fullAtMs = Math.min(fullAtMs, performance.now() + Math.max(pokeDelayMs, durationMs * idleShare));
      wake();
    },
    async run(signal) {
      const listening = changes.run(ear, signal);
      signal.addEventListener('abort', () => wake(), { once: true });
      try {
        while (!signal.aborted) {
          const { work, inMs } = nextWork();
          if (inMs <= 0) {
            await runSafely(work);
            continue;
          }
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, Math.min(inMs, sleepMaxMs));
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        }
      } finally {
        round.close();
        await listening;
      }
    },
  };
}

/** Namespaces that are new, or whose first process is another one. */
function wantsWords(before: Model, next: Model): boolean {
  for (const [key, row] of next.namespaces) if (before.namespaces.get(key)?.leader !== row.leader) return true;
  return false;
}
