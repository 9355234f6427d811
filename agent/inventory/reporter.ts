/**
 * Brings the model to a controller: a snapshot when the two sides may differ, deltas after. One report is in flight at most, and what
 * changes meanwhile is coalesced into the next: order and back-pressure for free.
 *
 * An answer that does not come leaves open whether the report was committed. The same seq is repeated then, which a controller that
 * has it answers with `committed` again; after some repeats doubt wins and a snapshot with a new seq goes out.
 */
import { backoffMs, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import { reportPagesMax } from '#shared/inventory.ts';
import type { Report, ReportReply, ReportRows } from '#shared/inventory.ts';
import type { Log } from '#shared/log.ts';
import { allRows, diffModels, rowCount } from './diff.ts';
import { emptyModel } from './model.ts';
import type { Model } from './model.ts';
import { pagesOf } from './pages.ts';

/** A controller commits 100,000 rows in about a second; a page has at most some hundred. */
export const reportTimeoutMs = 10_000;
const repeatsBeforeSnapshot = 3;
const retryBaseMs = 100;
const retryMaxMs = 5000;
/** A newer agent reports for this host, and it is not for this one to shout louder; or there is more than a host may have. */
const refusedPauseMs = 30_000;
const pausingCodes = ['REPORT_STALE', 'REPORT_TOO_LARGE'];

export type ReporterIdentity = { hostId: string; bootId: string; epoch: number };
/** Sends one page and waits for its answer; throws where none came. */
export type SendReport = (report: Report, timeoutMs: number) => Promise<ReportReply>;

export type Reporter = {
  /** The newest model. */
  offer(model: Model): void;
  /** Resolves when `model`, which was offered, or a newer one is committed. Rejects when the reporter ends. */
  whenCommitted(model: Model): Promise<void>;
  /** Doubt: the next report is a snapshot. */
  resync(): void;
  /** The connection is back: do not wait out the pause. */
  wake(): void;
  /** Seq of the last committed report, 0 before the first. */
  readonly seq: number;
  /** Works until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** Opens nothing; `run` works. `describe` adds to rows what is known of them only when they are reported. */
export function createReporter(
  identity: ReporterIdentity,
  send: SendReport,
  sayHello: (signal: AbortSignal) => Promise<void>,
  log: Log,
  describe: (rows: ReportRows) => ReportRows = (rows) => rows,
): Reporter {
  let committed: Model = emptyModel;
  let committedSeq = 0;
  let usedSeq = 0;
  let latest: Model | null = null;
  let needSnapshot = true;
  let attempts = 0;
  let waiting: { model: Model; resolve: () => void; reject: (reason: Error) => void }[] = [];
  let change = Promise.withResolvers<void>();
  // Which of two models is newer, without a clock.
  const offered = new WeakMap<Model, number>();
  let offers = 0;

  const nudge = (): void => {
    change.resolve();
    change = Promise.withResolvers();
  };

  const settle = (model: Model): void => {
    committed = model;
    committedSeq = usedSeq;
    attempts = 0;
    const order = offered.get(model) ?? 0;
    waiting = waiting.filter((waiter) => {
      if ((offered.get(waiter.model) ?? 0) > order) return true;
      waiter.resolve();
      return false;
    });
  };
  /** One report: all its pages, in order. */
  const report = async (model: Model, rows: ReportRows, kind: Report['kind'], signal: AbortSignal): Promise<void> => {
    usedSeq += 1;
    const pages = pagesOf(rows);
    if (pages.length > reportPagesMax) {
      needSnapshot = true;
      log.error({ pages: pages.length, max: reportPagesMax }, 'this host has more than a report can hold');
      return pause(refusedPauseMs, signal);
    }
    const base = { v: 1 as const, ...identity, seq: usedSeq, kind, pages: pages.length, counts: model.counts };
    for (const [page, part] of pages.entries()) {
      const reply = await sendPage({ ...base, page, rows: part }, signal);
      if (reply === null || reply.result === 'resync') {
        needSnapshot = true;
        if (reply !== null && kind === 'snapshot') await introduce(signal);
        return;
      }
      if (reply.result === 'refused') {
        needSnapshot = true;
        log.error({ code: reply.code, reason: reply.reason, seq: usedSeq }, 'a controller refuses the inventory report');
        await pause(pausingCodes.includes(reply.code ?? '') ? refusedPauseMs : backoffMs(attempts++, retryBaseMs, retryMaxMs), signal);
        return;
      }
      if (reply.result === 'committed') {
        if (kind === 'snapshot') needSnapshot = false;
        settle(model);
        return;
      }
    }
    // Every page was staged and none committed the whole: some page got lost on the other side.
    needSnapshot = true;
    await pause(backoffMs(attempts++, retryBaseMs, retryMaxMs), signal);
  };

  /** The whole was not enough: the database may have been restored to a time before this boot or this agent. */
  const introduce = async (signal: AbortSignal): Promise<void> => {
    await sayHello(signal);
    await pause(backoffMs(attempts++, retryBaseMs, retryMaxMs), signal);
  };

  const sendPage = async (report: Report, signal: AbortSignal): Promise<ReportReply | null> => {
    for (let attempt = 0; attempt <= repeatsBeforeSnapshot; attempt++) {
      try {
        const reply = await send(report, reportTimeoutMs);
        if (reply.code !== 'RATE_LIMITED') return reply;
        attempt -= 1;
        await pause(retryMaxMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        log.debug({ seq: report.seq, page: report.page, reason: errorText(error) }, 'report not answered');
        await pause(backoffMs(attempts++, retryBaseMs, retryMaxMs), signal);
      }
    }
    return null;
  };

  let wakeUp = (): void => undefined;
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    const woken = new AbortController();
    wakeUp = () => woken.abort();
    await sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
    signal.throwIfAborted();
  };

  return {
    get seq() {
      return committedSeq;
    },
    offer(model) {
      offers += 1;
      offered.set(model, offers);
      latest = model;
      nudge();
    },
    whenCommitted(model) {
      if ((offered.get(committed) ?? 0) >= (offered.get(model) ?? 0)) return Promise.resolve();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ model, resolve, reject });
      return promise;
    },
    resync() {
      needSnapshot = true;
      nudge();
    },
    wake() {
      attempts = 0;
      wakeUp();
    },
    async run(signal) {
      signal.addEventListener('abort', nudge, { once: true });
      try {
        while (!signal.aborted) {
          const changed = change.promise;
          const model = latest;
          if (model === null) {
            await changed;
            continue;
          }
          const rows = describe(needSnapshot ? allRows(model) : diffModels(committed, model));
          if (needSnapshot || rowCount(rows) > 0) {
            await report(model, rows, needSnapshot ? 'snapshot' : 'delta', signal);
            continue;
          }
          // Nothing changed: the beats' seq says that this is still so.
          settle(model);
          await changed;
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        for (const waiter of waiting) waiter.reject(new Error('the reporter has ended'));
        waiting = [];
      }
    },
  };
}
