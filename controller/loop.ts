/**
 * Sends again what hosts have not answered: commands that were lost, or whose controller died after the commit. Any number of
 * controllers may do so at once: the highest generation wins on the host, and a repeat changes nothing there.
 */
import { coalesce, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { Context } from './context.ts';
import { unconfirmed } from './store/placements.ts';

/** A host that works answers within milliseconds; one that is stopping a sandbox answers `stopping` as fast. */
const olderThanMs = 2000;
const intervalMs = 1000;

export type Loop = { close(): Promise<void> };

export function startLoop({ store, sender, log }: Pick<Context, 'store' | 'sender' | 'log'>): Loop {
  const ending = new AbortController();
  const once = coalesce(async () => {
    for (const [hostId, placements] of byHost(await unconfirmed(store.db, olderThanMs))) {
      log.info({ hostId, placements: placements.length }, 'sending again what the host has not answered');
      try {
        sender.send(hostId, placements, 'unconfirmed');
      } catch (error) {
        // One host whose rows cannot be sent must not keep the others from theirs.
        log.error({ hostId, error: errorText(error) }, 'cannot send again');
      }
    }
  });
  const turn = async () => {
    while (!ending.signal.aborted) {
      await once().catch((error: unknown) => log.warn({ error: errorText(error) }, 'cannot read what hosts have not answered'));
      await sleep(intervalMs, ending.signal).catch(() => undefined);
    }
  };
  const turning = turn();
  return {
    async close() {
      ending.abort();
      await turning;
    },
  };
}

function byHost(unanswered: readonly { hostId: string; desired: DesiredPlacement }[]): [string, DesiredPlacement[]][] {
  const hosts = Map.groupBy(unanswered, ({ hostId }) => hostId);
  return [...hosts].map(([hostId, rows]) => [hostId, rows.map(({ desired }) => desired)]);
}
