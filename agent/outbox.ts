/**
 * Statuses on their way to a controller: the newest of each placement, sent until a controller has answered for exactly that one. One
 * request is in flight at most; what comes meanwhile goes with the next.
 */
import { backoffMs, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { messageMaxBytes } from '#shared/messages.ts';
import type { StatusReply } from '#shared/messages.ts';
import type { PlacementStatus } from '#shared/sandbox.ts';

/** The message's own limit. */
const statusesPerMessage = 100;
const envelopeBytes = 512;
/** A lost answer holds up whatever changed since: short; a commit takes milliseconds. */
const requestTimeoutMs = 2000;
const retryBaseMs = 100;
const retryMaxMs = 5000;

export type SendStatuses = (statuses: PlacementStatus[], timeoutMs: number) => Promise<StatusReply>;

export type Outbox = {
  /** Replaces an older status of the same placement. */
  put(status: PlacementStatus): void;
  /** The connection is back: do not wait out the pause. */
  wake(): void;
  readonly waiting: number;
  run(signal: AbortSignal): Promise<void>;
};

/** `onAcknowledged` gets each status that a controller has answered for. */
export function createOutbox(send: SendStatuses, onAcknowledged: (status: PlacementStatus) => void, log: Log): Outbox {
  const waiting = new Map<string, PlacementStatus>();
  let change = Promise.withResolvers<void>();
  let wakeUp = (): void => undefined;

  /** True if the reply answers for anything that was sent. */
  const settle = (sent: PlacementStatus[], reply: StatusReply): boolean => {
    let answered = false;
    const bySeq = new Map(sent.map((status) => [status.placementId, status]));
    for (const { placementId, statusSeq, known } of reply.results) {
      const status = bySeq.get(placementId);
      if (status?.statusSeq !== statusSeq) continue;
      if (!known) log.warn({ placementId, state: status.state }, 'no controller knows this placement; it is kept');
      if (waiting.get(placementId) === status) waiting.delete(placementId);
      onAcknowledged(status);
      answered = true;
    }
    return answered;
  };

  return {
    get waiting() {
      return waiting.size;
    },
    put(status) {
      // Deleted first so that it moves to the end: whoever changes all the time does not starve the others.
      waiting.delete(status.placementId);
      waiting.set(status.placementId, status);
      change.resolve();
      change = Promise.withResolvers();
    },
    wake() {
      wakeUp();
    },
    async run(signal) {
      signal.addEventListener('abort', () => change.resolve(), { once: true });
      let attempt = 0;
      while (!signal.aborted) {
        const changed = change.promise;
        if (waiting.size === 0) {
          await changed;
          continue;
        }
        const batch = batchOf(waiting.values());
        try {
          if (!settle(batch, await send(batch, requestTimeoutMs))) throw new Error('the reply answers for none of them');
          attempt = 0;
        } catch (error) {
          log.debug({ statuses: batch.length, reason: errorText(error) }, 'statuses not answered');
          const woken = new AbortController();
          wakeUp = () => woken.abort();
          await sleep(backoffMs(attempt++, retryBaseMs, retryMaxMs), AbortSignal.any([signal, woken.signal])).catch(() => undefined);
        }
      }
    },
  };
}

function batchOf(statuses: Iterable<PlacementStatus>): PlacementStatus[] {
  const batch: PlacementStatus[] = [];
  let bytes = envelopeBytes;
  for (const status of statuses) {
    bytes += Buffer.byteLength(JSON.stringify(status)) + 1;
    if (batch.length > 0 && (bytes > messageMaxBytes || batch.length >= statusesPerMessage)) break;
    batch.push(status);
  }
  return batch;
}
