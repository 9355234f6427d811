/** When to scan: on a beat with jitter, and at once when something here is known to have changed. */
import type { Native } from '#native/binding.ts';
import { coalesce, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { createCommandLines } from './command-lines.ts';
import type { Describer } from './describe/describe.ts';
import type { GenerationStore } from './generations.ts';
import { buildModel } from './model.ts';
import type { Model } from './model.ts';

/** Of the interval, so that a fleet does not scan in step. */
const jitterShare = 0.1;
/** A scan of 20,000 processes takes half a second: never spend more than a tenth of the time scanning. */
const idleShare = 9;
/** After a sandbox's birth its processes settle; a burst of births is one scan. */
const pokeDelayMs = 50;
/** Addresses, routes and host names change without a change of namespaces: how old what is told of them may be. */
const refreshMs = 60_000;

export type Watch = {
  /** A model that was scanned after this call. Throws PROC_UNAVAILABLE. */
  scanNow(): Promise<Model>;
  /** Something changed here: scan soon, without waiting for it. */
  poke(): void;
  /** Scans until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

export type WatchOptions = {
  native: Pick<Native, 'scan'>;
  generations: GenerationStore;
  describer: Describer;
  intervalMs: number;
  log: Log;
  /** Gets every model. */
  onModel: (model: Model) => void;
};

/** Opens nothing; `run` works. */
export function createWatch({ native, generations, describer, intervalMs, log, onModel }: WatchOptions): Watch {
  const commandLines = createCommandLines();
  let model: Model | null = null;
  let durationMs = 0;
  let refreshedAt = performance.now();
  let ended = false;
  let poked: NodeJS.Timeout | null = null;

  const scan = coalesce(async () => {
    const start = performance.now();
    const rows = await native.scan();
    durationMs = performance.now() - start;
    await commandLines.update(rows);
    const built = buildModel(rows, generations.current, commandLines.of, Math.round(durationMs * 1000));
    await generations.keep(built.generations);
    const refresh = start - refreshedAt >= refreshMs;
    model = await describer.describe(built.model, { refresh });
    if (refresh) refreshedAt = start;
    onModel(model);
  });

  const scanSafely = (): Promise<void> => scan().catch((error: unknown) => log.error({ reason: errorText(error) }, 'scan failed'));

  return {
    async scanNow() {
      await scan();
      if (model === null) throw new Error('a scan ended without a model');
      return model;
    },
    poke() {
      if (ended) return;
      poked ??= setTimeout(
        () => {
          poked = null;
          void scanSafely();
        },
        Math.max(pokeDelayMs, durationMs * idleShare),
      );
    },
    async run(signal) {
      try {
        while (!signal.aborted) {
          await scanSafely();
          const wait = Math.max(intervalMs, durationMs * idleShare);
          await sleep(wait * (1 + jitterShare * (2 * Math.random() - 1)), signal).catch(() => undefined);
        }
      } finally {
        ended = true;
        if (poked !== null) clearTimeout(poked);
      }
    },
  };
}
