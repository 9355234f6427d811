/** `pid translate`: asked of the host, answered with our numbers for the namespaces. */
import type { Reply } from '#shared/client.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { PidsAnswer } from '#shared/messages.ts';
import type { Context } from '../context.ts';
import { findHost } from '../store/hosts.ts';
import { numbersOf } from '../store/namespace-numbers.ts';
import { findNamespace } from '../store/namespaces.ts';
import type { Asked } from './routes.ts';

const translateMs = 5000;

export async function translatePid(context: Context, { params, query, signal }: Asked<'pidTranslate'>): Promise<Reply<'pidTranslate'>> {
  const { db } = context.store;
  const host = await findHost(db, params.host);
  const within = query.namespace === undefined ? null : await findNamespace(db, { namespace: query.namespace, host: host.id, type: 'pid' });
  const data = await context.asker.ask(host, { type: 'pids', pid: params.pid, namespace: within?.key ?? null }, translateMs, signal);
  const answer = PidsAnswer.safeParse(data);
  if (!answer.success) {
    throw new NsfleetError('MESSAGE_MALFORMED', {
      attempted: 'read the pids of host',
      target: host.name,
      reason: issuesText(answer.error.issues).slice(0, 1000),
    });
  }
  const keys = answer.data.pids.flatMap(({ namespace }) => namespace ?? []);
  const numbers = await numbersOf(db, host.id, 'pid', keys);
  const pids = answer.data.pids.map((row) => ({ ...row, namespaceId: numbers.get(row.namespace ?? '') ?? null }));
  return { ...answer.data, hostId: host.id, hostName: host.name, pids };
}
