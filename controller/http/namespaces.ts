/** The list of namespaces, after a fresh scan where one is asked for. */
import type { Context } from '../context.ts';
import { listNamespaces } from '../store/namespaces.ts';
import { hostPages } from './ready-hosts.ts';
import type { Asked, Answers } from './routes.ts';

const scanMs = 5000;

type Query = Asked<'namespaceList'>['query'];

export async function listFresh(context: Context, query: Query, signal: AbortSignal): ReturnType<Answers['namespaceList']> {
  const { db } = context.store;
  // The first page only: the following ones are read from what it has brought.
  const stale = query.fresh === 'true' && query.cursor === undefined ? await scanHosts(context, query.host, signal) : [];
  const page = await listNamespaces(db, { ...query, ended: query.ended === 'true' });
  return { ...page, stale };
}

/** Names of the hosts that did not scan. */
async function scanHosts(context: Context, host: string | undefined, signal: AbortSignal): Promise<string[]> {
  const stale: string[] = [];
  for await (const { ready, away } of hostPages(context.store.db, host)) {
    stale.push(...away.map(({ name }) => name));
    const { silent } = await context.asker.askAll(ready, { type: 'scan' }, scanMs, signal);
    stale.push(...silent.map((refused) => refused.host.name));
  }
  return stale;
}
