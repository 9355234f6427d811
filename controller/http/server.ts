/** The HTTP server: what is served by it, in one list. */
import helmet from '@fastify/helmet';
import websocket from '@fastify/websocket';
import fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { randomUUID } from 'node:crypto';
import { requestMaxBytes } from '#shared/api.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { Follow } from '../event-feed.ts';
import type { Readiness } from '../health.ts';
import type { Metrics } from '../metrics.ts';
import type { StreamOpener } from '../sandbox/streams.ts';
import { authorize } from './auth.ts';
import { answerFailure } from './failure.ts';
import { addFollow } from './follow.ts';
import { addLimits } from './limits.ts';
import { addOpenApi } from './openapi.ts';
import { addProbes } from './probes.ts';
import { addRoutes } from './routes.ts';
import type { Answers } from './routes.ts';
import { addStreams } from './streams.ts';

/** A client that sends its headers or body slower than this is cut off. */
const requestTimeoutMs = 30_000;
/** Idle keep-alive connections. */
const keepAliveTimeoutMs = 65_000;
const connectionsMax = 10_000;
/** Longest path parameter, encoded: 255 characters of 3 bytes each as %XX. */
const paramMaxLength = 2295;

export type ServerParts = {
  answers: Answers;
  streams: StreamOpener;
  follow: Follow;
  isToken: (guess: string) => boolean;
  readiness: () => Promise<Readiness>;
  metrics: Metrics;
  log: Log;
  /** Aborts what waits when the controller ends. */
  ending: AbortSignal;
};

/** Ready to listen or to `inject()`; opens nothing yet. */
export async function createServer(parts: ServerParts): Promise<FastifyInstance> {
  const logger: FastifyBaseLogger = parts.log;
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: requestMaxBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: paramMaxLength },
    frameworkErrors: answerFailure,
  });
  app.server.maxConnections = connectionsMax;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerFailure);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    parts.metrics.requestSeconds.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    request.log.debug({ method: request.method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'answered');
  });
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } } });
  await addLimits(app);
  await app.register(websocket, { options: { maxPayload: requestMaxBytes, perMessageDeflate: false } });
  app.addHook('onRequest', authorize(parts.isToken));
  app.setNotFoundHandler((request) => {
    throw new NsfleetError('NOT_FOUND', {
      attempted: 'find',
      target: `${request.method} ${(request.url.split('?')[0] ?? '').slice(0, 200)}`,
      reason: 'there is no such route',
    });
  });
  await addOpenApi(app);
  addProbes(app, parts.readiness, parts.metrics);
  addRoutes(app, parts.answers, parts.ending);
  addStreams(app, parts.streams, parts.metrics, parts.ending);
  addFollow(app, parts.follow, parts.metrics, parts.ending);
  await app.ready();
  return app;
}
