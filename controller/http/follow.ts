/** The WebSocket of events: one text message an event. A reader that does not keep up is cut off and told to come again. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { FollowRequest, followClosed, sockets } from '#shared/sockets.ts';
import { deadline } from '#shared/async.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import type { Event } from '#shared/resources.ts';
import type { Follow } from '../event-feed.ts';
import type { Metrics } from '../metrics.ts';
import { toNsfleetError } from './failure.ts';
import { refusePlainHttp } from './streams.ts';

/** Each costs a page of events in memory, and a query when something happens. */
const followersMax = 500;
const firstMessageMs = 10_000;
/** A client that takes nothing for so long does not keep up. */
const takesMs = 30_000;
/** A client that is gone without a word is found out after two of these. */
const pingIntervalMs = 15_000;

export function addFollow(app: FastifyInstance, follow: Follow, metrics: Metrics, ending: AbortSignal): void {
  let open = 0;
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
        '1013 too slow, 1011 failed, 1008 refused; before the last two comes {"error": …}.',
      tags: ['events'],
      security: [{ bearer: [] }],
    },
    handler: refusePlainHttp,
    wsHandler: (socket, request) => {
      const gone = new AbortController();
      const over = AbortSignal.any([gone.signal, ending]);
      open += 1;
      metrics.streams.inc({ kind: 'events' });
      const stopPinging = keepAlive(socket);
      socket.once('close', () => {
        open -= 1;
        metrics.streams.dec({ kind: 'events' });
        stopPinging();
        gone.abort(new NsfleetError('UNAVAILABLE', { attempted: 'follow', target: 'events', reason: 'the client went away' }));
      });
      const serving = open > followersMax ? Promise.reject(tooMany()) : serve(socket, follow, over);
      serving.catch((error: unknown) => endWith(socket, error, request, ending));
    },
  });
}

async function serve(socket: WebSocket, follow: Follow, over: AbortSignal): Promise<never> {
  return follow(await firstMessage(socket, over), (events) => send(socket, events, over), over);
}

async function firstMessage(socket: WebSocket, over: AbortSignal): Promise<FollowRequest> {
  const { promise, resolve, reject } = Promise.withResolvers<FollowRequest>();
  const refuse = (reason: string) => reject(new NsfleetError('INVALID_INPUT', { attempted: 'read', target: 'the first message', reason }));
  const timer = setTimeout(() => refuse(`it did not come within ${firstMessageMs / 1000} s`), firstMessageMs);
  const onAbort = () => reject(over.reason as Error);
  over.addEventListener('abort', onAbort, { once: true });
  socket.once('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) return refuse('it is binary');
    let value: unknown;
    try {
      value = JSON.parse(data.toString('utf8'));
    } catch {
      return refuse('it is not JSON');
    }
    const parsed = FollowRequest.safeParse(value);
    return parsed.success ? resolve(parsed.data) : refuse(issuesText(parsed.error.issues).slice(0, 2000));
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

function endWith(socket: WebSocket, error: unknown, request: FastifyRequest, ending: AbortSignal): void {
  if (socket.readyState !== socket.OPEN) return;
  if (ending.aborted) return socket.close(followClosed.ending, 'this controller ends: resume at another');
  const known = toNsfleetError(error, request);
  if (known.code === 'DEADLINE_EXCEEDED') {
    socket.close(followClosed.tooSlow, 'too slow: resume after the last event that came');
    // It reads nothing, so it will not answer the close either.
    setTimeout(() => socket.terminate(), 1000).unref();
    return;
  }
  socket.send(JSON.stringify({ error: known.toWire() }));
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

function tooMany(): NsfleetError {
  const reason = `${followersMax} follow this controller already`;
  return new NsfleetError('UNAVAILABLE', { attempted: 'follow', target: 'events', reason });
}
