/** Live questions to agents. An answer arrives on the agent's own subject, so nobody can answer for another host. */
import { randomUUID } from 'node:crypto';
import { NsfleetError, errorText, fromWire } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { decodeMessage, encodeMessage, hostOfSubject, protocolVersion, subjects } from '#shared/messages.ts';
import type { Question } from '#shared/messages.ts';
import type { Link, Received } from './link.ts';

/** Memory for questions is bounded: a fan-out to 10,000 hosts and what runs beside it. */
const pendingMax = 20_000;

export type AskedHost = { id: string; name: string };
export type FanOut = {
  answers: { host: AskedHost; data: unknown }[];
  /** Who did not answer, or could not. */
  silent: { host: AskedHost; error: NsfleetError }[];
};

export type Asker = {
  /** The answer's data; HOST_UNREACHABLE after `ms` or where no agent listens, or the agent's own error. */
  ask(host: AskedHost, question: Question, ms: number, signal?: AbortSignal): Promise<unknown>;
  /** Asks all at once; whoever is silent after `ms` is named. */
  askAll(hosts: readonly AskedHost[], question: Question, ms: number, signal?: AbortSignal): Promise<FanOut>;
  /** Publishes `data` to `subject` and calls `onNobody` where the server knows that nobody listens there. */
  probe(hostId: string, subject: string, data: Uint8Array, onNobody: () => void): void;
  close(): void;
};

type Pending = { hostId: string; settle: (message: Received) => void };

export function createAsker(link: Link, controllerId: string, log: Log): Asker {
  const pending = new Map<string, Pending>();
  const end = link.subscribe(subjects.answersTo(controllerId), (message) => {
    const requestId = message.subject.split('.').at(-1) ?? '';
    const waiting = pending.get(requestId);
    // Late, or repeated, or for a host that was not asked: nothing waits for it.
    if (waiting?.hostId === hostOfSubject(message.subject)) waiting.settle(message);
  });

  const ask: Asker['ask'] = async (host, question, ms, signal) => {
    const unreachable = (reason: string, cause?: unknown) =>
      new NsfleetError('HOST_UNREACHABLE', { attempted: `ask for ${question.type} from host`, target: host.name, reason, cause });
    if (pending.size >= pendingMax) {
      throw new NsfleetError('UNAVAILABLE', {
        attempted: 'ask host',
        target: host.name,
        reason: `${pendingMax} questions are open already`,
      });
    }
    signal?.throwIfAborted();
    const requestId = randomUUID();
    const encoded = encodeMessage('ask', { v: protocolVersion, controllerId, requestId, question });
    const { promise, resolve, reject } = Promise.withResolvers<Received>();
    const timer = setTimeout(() => reject(unreachable(`no answer within ${ms} ms`)), ms);
    const onAbort = () => reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    pending.set(requestId, { hostId: host.id, settle: resolve });
    try {
      if (!link.publish(subjects.toAgent('ask', host.id), encoded, subjects.answer(host.id, controllerId, requestId))) {
        throw unreachable('this controller has no connection to NATS');
      }
      const message = await promise;
      if (message.nobodyListens) throw unreachable('its agent is not connected');
      const answer = decodeMessage('answer', message.data);
      if (answer.error !== null) throw fromWire(answer.error);
      return answer.data;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      pending.delete(requestId);
    }
  };

  return {
    ask,
    async askAll(hosts, question, ms, signal) {
      const results = await Promise.allSettled(hosts.map((host) => ask(host, question, ms, signal)));
      const fanOut: FanOut = { answers: [], silent: [] };
      for (const [index, result] of results.entries()) {
        const host = hosts[index];
        if (host === undefined) continue;
        if (result.status === 'fulfilled') fanOut.answers.push({ host, data: result.value });
        else fanOut.silent.push({ host, error: silence(host, result.reason) });
      }
      log.debug({ question: question.type, asked: hosts.length, answered: fanOut.answers.length }, 'asked hosts');
      return fanOut;
    },
    probe(hostId, subject, data, onNobody) {
      const requestId = randomUUID();
      // Only "nobody listens" ever comes back, and at once: a second is plenty, then it is forgotten.
      const timer = setTimeout(() => pending.delete(requestId), 1000);
      const settle = (message: Received) => {
        clearTimeout(timer);
        pending.delete(requestId);
        if (message.nobodyListens) onNobody();
      };
      pending.set(requestId, { hostId, settle });
      link.publish(subject, data, subjects.answer(hostId, controllerId, requestId));
    },
    close: end,
  };
}

function silence(host: AskedHost, reason: unknown): NsfleetError {
  if (reason instanceof NsfleetError) return reason;
  return new NsfleetError('HOST_UNREACHABLE', { attempted: 'ask host', target: host.name, reason: errorText(reason), cause: reason });
}
