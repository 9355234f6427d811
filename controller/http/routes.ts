/** shared/api.ts's table, served: every route gets its schemas, and does not compile without what answers it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { ErrorBody, api } from '#shared/api.ts';
import type { RouteName } from '#shared/api.ts';
import type { Route } from '#shared/route.ts';
import { NsfleetError } from '#shared/errors.ts';

type Part<N extends RouteName, P extends 'params' | 'query' | 'body'> =
  (typeof api)[N] extends Record<P, infer S extends z.ZodType> ? z.output<S> : undefined;

/** A request after the door: parsed, defaults filled in. */
export type Asked<N extends RouteName> = {
  params: Part<N, 'params'>;
  query: Part<N, 'query'>;
  body: Part<N, 'body'>;
  idempotencyKey: string | undefined;
  /** Aborts when the client goes away or the controller ends. */
  signal: AbortSignal;
};

export type Answers = { [N in RouteName]: (asked: Asked<N>) => Promise<z.input<(typeof api)[N]['reply']>> };

const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

/** Requests that are being answered at once; most of them wait for a sandbox and cost a few KiB each. */
const requestsAtOnce = 5000;

/** `ending` aborts what waits when the controller ends. */
export function addRoutes(app: FastifyInstance, answers: Answers, ending: AbortSignal): void {
  let open = 0;
  const counted = async (name: RouteName, request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    if (open >= requestsAtOnce) {
      const reason = `${requestsAtOnce} requests are being answered already`;
      throw new NsfleetError('UNAVAILABLE', { attempted: 'answer', target: name, reason });
    }
    open += 1;
    try {
      return await answerRoute(answers[name], request, reply, ending);
    } finally {
      open -= 1;
    }
  };
  for (const [name, route] of Object.entries(api) as [RouteName, Route][]) {
    app.route({
      method: route.method,
      url: route.path,
      schema: {
        operationId: name,
        summary: route.summary,
        tags: [route.path.split('/')[2] ?? 'fleet'],
        security: [{ bearer: [] }],
        ...(route.params === undefined ? {} : { params: route.params }),
        ...(route.query === undefined ? {} : { querystring: route.query }),
        ...(route.body === undefined ? {} : { body: route.body }),
        response: { 200: route.reply, default: ErrorBody },
      },
      handler: (request, reply) => counted(name, request, reply),
    });
  }
}

async function answerRoute(
  answer: Answers[RouteName],
  request: FastifyRequest,
  reply: FastifyReply,
  ending: AbortSignal,
): Promise<unknown> {
  const gone = new AbortController();
  const onClose = () =>
    gone.abort(new NsfleetError('UNAVAILABLE', { attempted: 'answer', target: request.method, reason: 'the client went away' }));
  reply.raw.once('close', onClose);
  try {
    const { params, query, body } = request;
    const asked = { params, query, body, idempotencyKey: idempotencyKey(request), signal: AbortSignal.any([gone.signal, ending]) };
    return await (answer as (asked: unknown) => Promise<unknown>)(asked);
  } finally {
    reply.raw.off('close', onClose);
  }
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return undefined;
  if (typeof header === 'string' && idempotencyKeyPattern.test(header)) return header;
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'read the header',
    target: 'Idempotency-Key',
    reason: 'not 1 to 255 visible ASCII characters',
  });
}
