/**
 * How changes of this host are heard: by a tracefs instance, else by the proc connector, else not at all (then the watch polls). The
 * first that hears an event of its own is used. What breaks is started again, and what breaks often is given up for the next.
 */
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import { backoffMs, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import { ChangeSource } from '#shared/host.ts';
import type { Log } from '#shared/log.ts';
import { makeInstance, removeInstance } from './tracefs.ts';
import { startWatcher } from './watcher.ts';
import type { Watcher, WatcherEar } from './watcher.ts';

const sources = ChangeSource.options;

const restartBaseMs = 200;
const restartMaxMs = 5000;
/** A watcher that lived for so long was sound. */
const soundMs = 60_000;
const failuresMax = 4;
/** Of the fact that carries it. */
const reasonMax = 512;

export type ChangesEar = {
  onChange(pid: number, kinds: number): void;
  /** Events are missing: only a full scan knows now. */
  onLost(): void;
  /** How changes are heard from now on, and why not better; null for the best. What was before is not known. */
  onSource(source: ChangeSource, reason: string | null): void;
};

export type Changes = {
  /** Of the watching process, if there is one now. */
  readonly pid: number | null;
  /** Tries the sources in order, tells the ear which it is, and then what it hears. Leaves nothing behind when the signal aborts. */
  run(ear: ChangesEar, signal: AbortSignal): Promise<void>;
};

export type ChangesParts = { native: Native; program: Fd; log: Log; /** The best source to try. */ best: ChangeSource };

/** Opens nothing; `run` works. */
export function createChanges({ native, program, log, best }: ChangesParts): Changes {
  let current: ChangeSource = best;
  let watcher: Watcher | null = null;
  let ended = Promise.withResolvers<void>();
  const reasons: string[] = best === 'tracefs' ? [] : [`NSFLEET_CHANGE_SOURCE is ${best}`];

  const start = async (ear: ChangesEar): Promise<void> => {
    const mine = Promise.withResolvers<void>();
    ended = mine;
    if (current === 'poll') return;
    watcher = await open(native, program, current, {
      onWord(word) {
        if (word.type === 'change') ear.onChange(word.pid, word.kinds);
        else ear.onLost();
      },
      onEnd: () => mine.resolve(),
    });
  };
  /** From the current source on, until one works; polling always does. */
  const choose = async (ear: ChangesEar): Promise<void> => {
    for (const source of sources.slice(sources.indexOf(current))) {
      current = source;
      try {
        await start(ear);
        break;
      } catch (error) {
        reasons.push(`${source}: ${errorText(error)}`);
      }
    }
  };
  /** After an end that nobody asked for: again, or, where that fails often, the next source. */
  const recover = async (ear: ChangesEar, deaths: number, signal: AbortSignal): Promise<void> => {
    for (let attempt = deaths; attempt <= failuresMax; attempt += 1) {
      await sleep(restartBaseMs + backoffMs(attempt, restartBaseMs, restartMaxMs), signal);
      try {
        await start(ear);
        return;
      } catch (error) {
        log.warn({ source: current, reason: errorText(error) }, 'changes cannot be heard again yet');
      }
    }
    reasons.push(`${current}: its watcher ended or failed ${failuresMax} times in a row`);
    current = sources[sources.indexOf(current) + 1] ?? 'poll';
    await choose(ear);
  };
  const tell = (ear: ChangesEar): void => ear.onSource(current, reasons.length === 0 ? null : reasons.join('; ').slice(0, reasonMax));

  return {
    get pid() {
      return watcher?.pid ?? null;
    },
    async run(ear, signal) {
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      let deaths = 0;
      try {
        await choose(ear);
        tell(ear);
        while (!signal.aborted) {
          const startedAt = performance.now();
          await Promise.race([ended.promise, aborted]);
          if (signal.aborted) break;
          watcher = null;
          deaths = performance.now() - startedAt > soundMs ? 1 : deaths + 1;
          log.warn({ source: current, deaths }, 'the watcher of changes ended; starting it again');
          ear.onSource('poll', 'the watcher of changes ended and is being started again');
          await recover(ear, deaths, signal);
          tell(ear);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await watcher?.close();
      }
    },
  };
}

async function open(native: Native, program: Fd, source: Exclude<ChangeSource, 'poll'>, ear: WatcherEar): Promise<Watcher> {
  if (process.geteuid?.() !== 0) throw new Error('only root hears the host’s processes');
  if (source === 'proc-connector') return startWatcher(native, program, { type: source }, ear);
  const owner = { pid: process.pid, startTicks: native.processStart(process.pid) };
  const instance = await makeInstance(owner, (pid) => startOf(native, pid));
  try {
    const watcher = await startWatcher(
      native,
      program,
      { type: source, ...instance },
      {
        ...ear,
        onEnd() {
          void removeInstance(instance);
          ear.onEnd();
        },
      },
    );
    return { pid: watcher.pid, close: () => watcher.close().then(() => removeInstance(instance)) };
  } catch (error) {
    await removeInstance(instance);
    throw error;
  }
}

function startOf(native: Native, pid: number): bigint | null {
  try {
    return native.processStart(pid);
  } catch {
    return null;
  }
}
