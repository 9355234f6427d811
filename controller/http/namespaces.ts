/** What is asked of namespaces: lists (now, at a moment, after a scan), why, history, differences. */
import { NamespaceType } from '#shared/namespace.ts';
import type { Context } from '../context.ts';
import { diffHosts } from '../diff-hosts.ts';
import { fillEvents } from '../event-choice.ts';
import type { Expression } from '../filter/cel.ts';
import { compileNamespaceFilter, namespaceValues } from '../filter/nouns.ts';
import { filteredPage } from '../filter/pages.ts';
import { numberCursor } from '../store/cursor.ts';
import { readEvents } from '../store/events.ts';
import { diffNamespaces, namesOnHost, sameInode } from '../store/history.ts';
import { findHost, hostLabels } from '../store/hosts.ts';
import { listNamespaces } from '../store/namespace-list.ts';
import type { NamespaceQuery } from '../store/namespace-list.ts';
import { findNamespace } from '../store/namespaces.ts';
import { why } from '../why.ts';
import { isoMoment } from '../moments.ts';
import type { Answers } from './routes.ts';
import { scanHosts } from './scan-hosts.ts';

type Names = 'namespaceList' | 'namespaceShow' | 'namespaceWhy' | 'namespaceHistory' | 'namespaceDiff' | 'hostDiff';

export function createNamespaceAnswers(context: Context): Pick<Answers, Names> {
  const { db } = context.store;
  return {
    async namespaceList({ query, signal }) {
      const filter = query.filter === undefined ? null : compileNamespaceFilter(query.filter);
      const at = query.at === undefined ? undefined : isoMoment(query.at);
      // The first page only: the following ones are read from what it has brought.
      const stale = query.live === 'true' && query.cursor === undefined ? await scanHosts(context, query.host, signal) : [];
      const labels = filter?.mentions.has('host') ? await hostLabels(db) : () => ({});
      const chosen = { ...query, at, ended: query.ended === 'true', ...(filter === null ? {} : narrowing(filter)) };
      const read = async (cursor: string | undefined, limit: number) => {
        const { namespaces, nextCursor } = await listNamespaces(db, { ...chosen, cursor, limit });
        return { rows: namespaces, nextCursor };
      };
      const source = {
        read,
        values: (row: Parameters<typeof namespaceValues>[0]) => namespaceValues(row, labels),
        cursorOf: (row: { id: string }) => row.id,
      };
      const { rows, nextCursor } = await filteredPage(source, filter, query, signal);
      return { namespaces: rows, nextCursor, stale };
    },
    namespaceShow: ({ params, query }) => findNamespace(db, { ...params, ...query }),
    async namespaceWhy({ params, query }) {
      const namespace = await findNamespace(db, { ...params, ...query });
      const host = await findHost(db, namespace.hostId);
      return { namespace, ...why(namespace, host.scan?.hidden ?? {}) };
    },
    async namespaceHistory({ params, query, signal }) {
      const namespace = await findNamespace(db, { ...params, ...query });
      const intervals = query.inode === 'true' ? await sameInode(db, namespace) : [namespace];
      const namespaceIds = intervals.map(({ id }) => id);
      const since = numberCursor(query.cursor ?? '0', 'read the history of a namespace');
      const { events, last, atEnd } = await fillEvents(
        (after, limit) => readEvents(db, { since: after, limit, namespaceIds }),
        since,
        query.limit,
        signal,
      );
      return { intervals, events, nextCursor: atEnd ? null : last };
    },
    async namespaceDiff({ query }) {
      const [from, to] = [isoMoment(query.from), isoMoment(query.to)];
      const hostId = query.host === undefined ? undefined : (await findHost(db, query.host)).id;
      const [first, second] = from <= to ? [from, to] : [to, from];
      return { from: first, to: second, ...(await diffNamespaces(db, { from: first, to: second, hostId, type: query.type }, query.limit)) };
    },
    async hostDiff({ query }) {
      const at = query.at === undefined ? null : isoMoment(query.at);
      const [left, right] = [await findHost(db, query.left), await findHost(db, query.right)];
      const [lefts, rights] = [await namesOnHost(db, left.id, at, query.type), await namesOnHost(db, right.id, at, query.type)];
      const count = (groups: typeof lefts) => groups.reduce((sum, group) => sum + group.count, 0);
      return {
        left: { id: left.id, name: left.name, namespaces: count(lefts) },
        right: { id: right.id, name: right.name, namespaces: count(rights) },
        ...diffHosts(lefts, rights),
      };
    },
  };
}

/** What the database may leave out because the filter would: each is one of the filter's own conditions. */
function narrowing({ equalities, mentions }: Expression): Pick<NamespaceQuery, 'narrow' | 'kinds'> {
  const text = (name: string) => {
    const value = equalities.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  const processes = equalities.get('processes');
  const type = NamespaceType.safeParse(text('type'));
  const [hostId, hostName] = [text('host.id'), text('host.name')];
  return {
    kinds: mentions.has('holders'),
    narrow: {
      ...(hostId === undefined ? {} : { hostId }),
      ...(hostName === undefined ? {} : { hostName }),
      ...(type.success ? { type: type.data } : {}),
      ...(typeof processes === 'bigint' && processes >= 0n && processes < 2n ** 31n ? { processes: Number(processes) } : {}),
    },
  };
}
