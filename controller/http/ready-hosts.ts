/** The hosts that a question goes to: one, or all, a page at a time. Those that are not ready are not waited for. */
import type { Host } from '#shared/resources.ts';
import { findHost, listHosts } from '../store/hosts.ts';
import type { Tx } from '../store/client.ts';

/** Larger fleets are asked page by page. */
const hostsAtOnce = 1000;

export type HostPage = { ready: Host[]; away: Host[] };

/** `host` by id or name; undefined: all of them. Throws HOST_NOT_FOUND, HOST_AMBIGUOUS. */
export async function* hostPages(tx: Tx, host: string | undefined): AsyncGenerator<HostPage> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listHosts>> =
      host === undefined ? await listHosts(tx, { limit: hostsAtOnce, cursor }) : { hosts: [await findHost(tx, host)], nextCursor: null };
    yield {
      ready: page.hosts.filter(({ status }) => status === 'ready'),
      away: page.hosts.filter(({ status }) => status !== 'ready'),
    };
    cursor = page.nextCursor;
  } while (cursor !== null);
}
