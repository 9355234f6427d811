/** A scan of all hosts before an answer. */
import type { Context } from '../context.ts';
import { hostPages } from './ready-hosts.ts';

const scanMs = 5000;

/** Names of the hosts that did not scan. */
export async function scanHosts(context: Context, host: string | undefined, signal: AbortSignal): Promise<string[]> {
  const stale: string[] = [];
  for await (const { ready, away } of hostPages(context.store.db, host)) {
    stale.push(...away.map(({ name }) => name));
    const { silent } = await context.asker.askAll(ready, { type: 'scan' }, scanMs, signal);
    stale.push(...silent.map((refused) => refused.host.name));
  }
  return stale;
}
