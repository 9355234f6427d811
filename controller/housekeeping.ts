/** Retention, every minute: any number of controllers may do so, one does. */
import { sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { Store } from './store/client.ts';
import { applyRetention } from './store/retention.ts';

const intervalMs = 60_000;

export type Housekeeping = { close(): Promise<void> };

/** Resolves after the first round: what is written from then on has its leaves. A round that fails is told and tried again. */
export async function startHousekeeping(store: Store, retentionDays: number, log: Log): Promise<Housekeeping> {
  const ending = new AbortController();
  const round = async () => {
    try {
      const { made, dropped, deleted } = await applyRetention(store, { days: retentionDays, nowMs: Date.now() });
      if (made.length + dropped.length + deleted > 0) log.info({ made, dropped, deleted, retentionDays }, 'kept house in the database');
    } catch (error) {
      log.warn({ error: errorText(error) }, 'cannot keep house in the database');
    }
  };
  const turn = async () => {
    for (;;) {
      await sleep(intervalMs, ending.signal);
      await round();
    }
  };
  await round();
  const turning = turn().catch(() => undefined);
  return {
    async close() {
      ending.abort();
      await turning;
    },
  };
}
