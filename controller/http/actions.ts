/** Actions on namespaces: found by our number, done by their host, answered with what is there afterwards. */
import { createHash, randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { KeptType } from '#shared/act.ts';
import type { KeptNamespace, ReapOutcome } from '#shared/act.ts';
import type { Reply } from '#shared/client.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { KeptAnswer, ReapAnswer, UnkeptAnswer } from '#shared/messages.ts';
import type { Question } from '#shared/messages.ts';
import type { Namespace } from '#shared/resources.ts';
import type { Context } from '../context.ts';
import { findHost } from '../store/hosts.ts';
import { numbersOf } from '../store/namespace-numbers.ts';
import { findNamespace } from '../store/namespaces.ts';
import type { Asked } from './routes.ts';

/** A few mounts and a scan. */
const actMs = 15_000;

type AskedHost = { id: string; name: string };

export async function createKept(context: Context, asked: Asked<'namespaceCreate'>): Promise<Reply<'namespaceCreate'>> {
  const host = await findHost(context.store.db, asked.params.host);
  // A subject token of any key; without one nothing can be repeated.
  const requestKey = createHash('sha256')
    .update(asked.idempotencyKey ?? randomUUID())
    .digest('hex');
  const { namespaces } = await ask(context, host, { type: 'keep', requestKey, ...asked.body }, KeptAnswer, asked.signal);
  return kept(context, host, namespaces);
}

export async function attachName(context: Context, asked: Asked<'namespaceAttach'>): Promise<Reply<'namespaceAttach'>> {
  const found = await findNamespace(context.store.db, { ...asked.params, ...asked.query });
  const host = hostOf(found);
  const question = { type: 'attach', namespaceType: keptType(found, 'attach a name to'), key: found.key, name: asked.body.name } as const;
  const { namespaces } = await ask(context, host, question, KeptAnswer, asked.signal);
  return kept(context, host, namespaces);
}

export async function removeKept(context: Context, asked: Asked<'namespaceRemove'>): Promise<Reply<'namespaceRemove'>> {
  const { force, ...which } = asked.query;
  const found = await findNamespace(context.store.db, { ...asked.params, ...which });
  const host = hostOf(found);
  const question = { type: 'unkeep', namespaceType: keptType(found, 'remove'), key: found.key, force: force === 'true' } as const;
  const { paths } = await ask(context, host, question, UnkeptAnswer, asked.signal);
  return { hostId: host.id, hostName: host.name, paths };
}

/** One question a host; a host that does not answer has its namespaces refused, and the others are done all the same. */
export async function reap(context: Context, asked: Asked<'namespaceReap'>): Promise<Reply<'namespaceReap'>> {
  const { namespaces, dryRun } = asked.body;
  const found: Namespace[] = [];
  for (const namespace of new Set(namespaces)) found.push(await findNamespace(context.store.db, { namespace }));
  const hosts = Map.groupBy(found, ({ hostId }) => hostId);
  const reply: Reply<'namespaceReap'> = { outcomes: [] };
  for (const mine of hosts.values()) {
    const [first] = mine;
    if (first === undefined) continue;
    const host = hostOf(first);
    const outcomes = await reapOn(context, host, mine, dryRun, asked.signal);
    for (const [index, namespace] of mine.entries()) {
      const outcome = outcomes[index];
      if (outcome !== undefined) reply.outcomes.push({ ...outcome, namespaceId: namespace.id, hostId: host.id, hostName: host.name });
    }
  }
  return reply;
}

async function reapOn(
  context: Context,
  host: AskedHost,
  mine: readonly Namespace[],
  dryRun: boolean,
  signal: AbortSignal,
): Promise<ReapOutcome[]> {
  const namespaces = mine.map(({ type, key }) => ({ type, key }));
  try {
    return (await ask(context, host, { type: 'reap', namespaces, dryRun }, ReapAnswer, signal)).outcomes;
  } catch (error) {
    if (!(error instanceof NsfleetError)) throw error;
    return namespaces.map((named) => ({ ...named, steps: [], done: false, refused: `${error.reason} (${error.code})` }));
  }
}

async function kept(context: Context, host: AskedHost, namespaces: readonly KeptNamespace[]): Promise<Reply<'namespaceCreate'>> {
  const rows: Reply<'namespaceCreate'>['namespaces'] = [];
  for (const namespace of namespaces) {
    const numbers = await numbersOf(context.store.db, host.id, namespace.type, [namespace.key]);
    rows.push({ ...namespace, namespaceId: numbers.get(namespace.key) ?? null });
  }
  return { hostId: host.id, hostName: host.name, namespaces: rows };
}

async function ask<S extends z.ZodType>(
  context: Context,
  host: AskedHost,
  question: Question,
  answer: S,
  signal: AbortSignal,
): Promise<z.output<S>> {
  const parsed = answer.safeParse(await context.asker.ask(host, question, actMs, signal));
  if (parsed.success) return parsed.data;
  throw new NsfleetError('MESSAGE_MALFORMED', {
    attempted: `read the answer to ${question.type} of host`,
    target: host.name,
    reason: issuesText(parsed.error.issues).slice(0, 1000),
  });
}

function hostOf({ hostId, hostName }: Namespace): AskedHost {
  return { id: hostId, name: hostName };
}

function keptType({ type, id }: Namespace, attempted: string): KeptType {
  const parsed = KeptType.safeParse(type);
  if (parsed.success) return parsed.data;
  throw new NsfleetError('NAMESPACE_NOT_KEPT', {
    attempted,
    target: `${type} namespace ${id}`,
    reason: 'a pid namespace ends with its first process: no name can keep it',
  });
}
