/** Lists that a filter may choose from: hosts, sandboxes, leaks. Namespaces are in namespaces.ts. */
import { compileHostFilter, compileLeakFilter, compileSandboxFilter, hostValues, leakValues, sandboxValues } from '../filter/nouns.ts';
import { filteredPage } from '../filter/pages.ts';
import type { Tx } from '../store/client.ts';
import { listHosts } from '../store/hosts.ts';
import { listLeaks } from '../store/leaks.ts';
import { listSandboxes } from '../store/sandboxes.ts';
import type { Answers } from './routes.ts';

export function createLists(db: Tx): Pick<Answers, 'hostList' | 'sandboxList' | 'leakList'> {
  return {
    async hostList({ query, signal }) {
      const filter = query.filter === undefined ? null : compileHostFilter(query.filter);
      const read = async (cursor: string | undefined, limit: number) => {
        const { hosts, nextCursor } = await listHosts(db, { cursor, limit });
        return { rows: hosts, nextCursor };
      };
      const { rows, nextCursor } = await filteredPage({ read, values: hostValues, cursorOf: ({ id }) => id }, filter, query, signal);
      return { hosts: rows, nextCursor };
    },
    async sandboxList({ query, signal }) {
      const filter = query.filter === undefined ? null : compileSandboxFilter(query.filter);
      const nowMs = Date.now();
      const read = async (cursor: string | undefined, limit: number) => {
        const { sandboxes, nextCursor } = await listSandboxes(db, { ...query, all: query.all === 'true', cursor, limit });
        return { rows: sandboxes, nextCursor };
      };
      const { rows, nextCursor } = await filteredPage({ read, values: (row) => sandboxValues(row, nowMs) }, filter, query, signal);
      return { sandboxes: rows, nextCursor };
    },
    async leakList({ query, signal }) {
      const filter = query.filter === undefined ? null : compileLeakFilter(query.filter);
      const nowMs = Date.now();
      const read = (cursor: string | undefined, limit: number) => listLeaks(db, { ...query, all: query.all === 'true', cursor, limit });
      const source = {
        read,
        values: (row: Parameters<typeof leakValues>[0]) => leakValues(row, nowMs),
        cursorOf: (row: { id: string }) => row.id,
      };
      const { rows, nextCursor } = await filteredPage(source, filter, query, signal);
      return { leaks: rows, nextCursor };
    },
  };
}
