/** The list of namespaces, after a fresh scan where one is asked for. */
import type { Context } from '../context.ts';
import { findHost, listHosts } from '../store/hosts.ts';
import { listNamespaces } from '../store/namespaces.ts';
import type { Asked, Answers } from './routes.ts';

const scanMs = 5000;
/** A page of hosts; larger fleets are asked page by page. */
const hostsAtOnce = 1000;

type Query = Asked<'namespaceList'>['query'];

export async function listFresh(context: Context, query: Query, signal: AbortSignal): ReturnType<Answers['namespaceList']> {
  const { db } = context.store;
  // The first page only: the following ones are read from what it has brought.
  const stale = query.fresh === 'true' && query.cursor === undefined ? await scanHosts(context, query.host, signal) : [];
  const page = await listNamespaces(db, { ...query, ended: query.ended === 'true' });
  return { ...page, stale };
}

/** Names of the hosts that did not scan. A host that is not ready is not waited for. */
async function scanHosts(context: Context, host: string | undefined, signal: AbortSignal): Promise<string[]> {
  const { db } = context.store;
  const stale: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listHosts>> =
      host === undefined ? await listHosts(db, { limit: hostsAtOnce, cursor }) : { hosts: [await findHost(db, host)], nextCursor: null };
    const ready = page.hosts.filter(({ status }) => status === 'ready');
    stale.push(...page.hosts.filter(({ status }) => status !== 'ready').map(({ name }) => name));
    const { silent } = await context.asker.askAll(ready, { type: 'scan' }, scanMs, signal);
    stale.push(...silent.map((refused) => refused.host.name));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return stale;
}
