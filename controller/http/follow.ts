/** The WebSocket of events: one text message an event. A reader that does not keep up is cut off and told to come again. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { FollowRequest, followClosed, sockets } from '#shared/sockets.ts';
import type { FollowEnd } from '#shared/sockets.ts';
import { deadline } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Event } from '#shared/resources.ts';
import type { Follow } from '../event-feed.ts';
import type { Metrics } from '../metrics.ts';
import { tokenOf } from './auth.ts';
import { toNsfleetError } from './failure.ts';
import { firstMessageMs, noFirst, readFirst } from './first-message.ts';
import { refusePlainHttp } from './streams.ts';

/** Each costs a page of events in memory, and a query when something happens. */
const followersMax = 500;
/** With one token: whoever has it cannot keep out those with another. */
const perTokenMax = 100;
/** A client that takes nothing for so long does not keep up. */
const takesMs = 30_000;
/** A client that is gone without a word is found out after two of these. */
const pingIntervalMs = 15_000;

export function addFollow(app: FastifyInstance, follow: Follow, metrics: Metrics, ending: AbortSignal): void {
  const enter = createPlaces();
  const { path, summary } = sockets.eventFollow;
  app.route({
    method: 'GET',
    url: path,
    schema: {
      operationId: 'eventFollow',
      summary: `${summary} (WebSocket)`,
      description:
        'A WebSocket. The client’s first message is JSON: {since?, types?, host?, sandbox?, namespace?, filter?}, as the query of GET /v1/events. ' +
        'Then every event comes as one text message, in order and exactly once; resume with the seq of the last one. Close codes: 1012 the controller ends, ' +
        '1013 too slow, 1011 failed, 1008 refused; before the last two comes {"error": …, "last"?: "…"}: all events up to `last` were looked at, so ' +
        'resume with that.',
      tags: ['events'],
      security: [{ bearer: [] }],
    },
    handler: refusePlainHttp,
    wsHandler: (socket, request) => {
      const gone = new AbortController();
      const over = AbortSignal.any([gone.signal, ending]);
      const place = enter(tokenOf(request) ?? '');
      metrics.streams.inc({ kind: 'events' });
      const stopPinging = keepAlive(socket);
      socket.once('close', () => {
        place.leave();
        metrics.streams.dec({ kind: 'events' });
        stopPinging();
        gone.abort(new NsfleetError('UNAVAILABLE', { attempted: 'follow', target: 'events', reason: 'the client went away' }));
      });
      const progress: Progress = { last: undefined };
      const serving = place.refusal === null ? serve(socket, follow, over, progress) : Promise.reject(place.refusal);
      serving.catch((error: unknown) => endWith(socket, error, progress, request, ending));
    },
  });
}

type Place = { refusal: NsfleetError | null; leave(): void };

function createPlaces(): (token: string) => Place {
  let open = 0;
  const byToken = new Map<string, number>();
  return (token) => {
    const others = byToken.get(token) ?? 0;
    let refusal: NsfleetError | null = null;
    if (open >= followersMax) refusal = tooMany('UNAVAILABLE', `${followersMax} follow this controller already`);
    else if (others >= perTokenMax) refusal = tooMany('RATE_LIMITED', `${perTokenMax} follow this controller with this token already`);
    open += 1;
    byToken.set(token, others + 1);
    return {
      refusal,
      leave() {
        open -= 1;
        const left = (byToken.get(token) ?? 0) - 1;
        if (left > 0) byToken.set(token, left);
        else byToken.delete(token);
      },
    };
  };
}

/** `last`: all events up to that one were looked at and sent. */
type Progress = { last: string | undefined };

async function serve(socket: WebSocket, follow: Follow, over: AbortSignal, progress: Progress): Promise<never> {
  const request = await firstMessage(socket, over);
  const deliver: Parameters<Follow>[1] = async (events, last) => {
    await send(socket, events, over);
    progress.last = last;
  };
  return follow(request, deliver, over);
}

async function firstMessage(socket: WebSocket, over: AbortSignal): Promise<FollowRequest> {
  const { promise, resolve, reject } = Promise.withResolvers<FollowRequest>();
  const timer = setTimeout(() => reject(noFirst()), firstMessageMs);
  const onAbort = () => reject(over.reason as Error);
  over.addEventListener('abort', onAbort, { once: true });
  socket.once('message', (data: Buffer, isBinary: boolean) => {
    const read = readFirst(FollowRequest, data, isBinary);
    if (read instanceof NsfleetError) reject(read);
    else resolve(read.value);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    over.removeEventListener('abort', onAbort);
  }
}

/** Resolves when the socket has passed the events on to the system, so that no more than a page waits in memory. */
async function send(socket: WebSocket, events: readonly Event[], over: AbortSignal): Promise<void> {
  if (events.length === 0) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const [at, event] of events.entries()) {
    over.throwIfAborted();
    if (at < events.length - 1) socket.send(JSON.stringify(event));
    else socket.send(JSON.stringify(event), (error) => (error === undefined || error === null ? resolve() : reject(error)));
  }
  await deadline(promise, takesMs, 'send', 'events').catch((error: unknown) => {
    over.throwIfAborted();
    throw error;
  });
}

function endWith(socket: WebSocket, error: unknown, { last }: Progress, request: FastifyRequest, ending: AbortSignal): void {
  if (socket.readyState !== socket.OPEN) return;
  if (ending.aborted) return socket.close(followClosed.ending, 'this controller ends: resume at another');
  const known = toNsfleetError(error, request);
  if (known.code === 'DEADLINE_EXCEEDED') {
    socket.close(followClosed.tooSlow, 'too slow: resume after the last event that came');
    // It reads nothing, so it will not answer the close either.
    setTimeout(() => socket.terminate(), 1000).unref();
    return;
  }
  socket.send(JSON.stringify({ error: known.toWire(), last } satisfies FollowEnd));
  socket.close(known.httpStatus < 500 ? followClosed.refused : followClosed.failed, known.code);
}

function keepAlive(socket: WebSocket): () => void {
  let alive = true;
  socket.on('pong', () => {
    alive = true;
  });
  const pinger = setInterval(() => {
    // One that has much to take yet is slow, not gone: send() decides.
    if (!alive && socket.bufferedAmount === 0) return socket.terminate();
    alive = false;
    socket.ping();
  }, pingIntervalMs);
  return () => clearInterval(pinger);
}

function tooMany(code: 'UNAVAILABLE' | 'RATE_LIMITED', reason: string): NsfleetError {
  return new NsfleetError(code, { attempted: 'follow', target: 'events', reason, remedy: 'end followers that nobody reads, then repeat' });
}
