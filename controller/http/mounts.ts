/** `mount find`: a question to every host, and their answers with our numbers for the namespaces. */
import type { Reply } from '#shared/client.ts';
import { issuesText } from '#shared/errors.ts';
import { MountsAnswer } from '#shared/messages.ts';
import type { Context } from '../context.ts';
import { numbersOf } from '../store/namespace-numbers.ts';
import { hostPages } from './ready-hosts.ts';
import type { Asked } from './routes.ts';

const findMs = 5000;

export async function findMounts(context: Context, { query, signal }: Asked<'mountFind'>): Promise<Reply<'mountFind'>> {
  const { db } = context.store;
  const { host, ...wanted } = query;
  const reply: Reply<'mountFind'> = { mounts: [], truncated: [], unread: 0, silent: [] };
  for await (const { ready, away } of hostPages(db, host)) {
    reply.silent.push(...away.map(({ name }) => name));
    const { answers, silent } = await context.asker.askAll(ready, { type: 'mounts', ...wanted }, findMs, signal);
    reply.silent.push(...silent.map((refused) => refused.host.name));
    for (const { host: answering, data } of answers) {
      const answer = MountsAnswer.safeParse(data);
      if (!answer.success) {
        context.log.warn({ hostId: answering.id, reason: issuesText(answer.error.issues) }, 'a host answered what is no answer');
        reply.silent.push(answering.name);
        continue;
      }
      const { mounts, truncated, unread } = answer.data;
      const keys = mounts.map(({ namespace }) => namespace);
      const numbers = await numbersOf(db, answering.id, 'mnt', keys);
      const whose = { hostId: answering.id, hostName: answering.name };
      reply.mounts.push(...mounts.map((mount) => ({ ...mount, ...whose, namespaceId: numbers.get(mount.namespace) ?? null })));
      reply.unread += unread;
      if (truncated) reply.truncated.push(answering.name);
    }
  }
  return reply;
}
