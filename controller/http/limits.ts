/** How much this server takes, in numbers, and what it says when that is reached: 429 or 503 with Retry-After, never a stall. */
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import { NsfleetError } from '#shared/errors.ts';

/** One client address; a script that creates 500 sandboxes a second and watches each stays below. */
const requestsPerSecond = 3000;
/** Above these the process is in trouble, and a refusal now is better than an answer after the client's deadline. */
const eventLoopDelayMaxMs = 2000;
const heapMaxBytes = 1024 ** 3;
const rssMaxBytes = 2 * 1024 ** 3;
const retryAfterSeconds = 5;

export async function addLimits(app: FastifyInstance): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: eventLoopDelayMaxMs,
    maxHeapUsedBytes: heapMaxBytes,
    maxRssBytes: rssMaxBytes,
    retryAfter: retryAfterSeconds,
    pressureHandler: (request, _reply, type, value) => {
      // Whoever asks whether the process lives must hear that it does.
      if (request.url === '/healthz' || request.url === '/metrics') return;
      throw new NsfleetError('UNAVAILABLE', {
        attempted: 'answer',
        target: request.method,
        reason: `this controller is overloaded (${type} ${value ?? ''})`,
      });
    },
  });
  await app.register(rateLimit, {
    global: true,
    max: requestsPerSecond,
    timeWindow: 1000,
    allowList: (request) => request.url === '/healthz',
    errorResponseBuilder: (request, context) =>
      new NsfleetError('RATE_LIMITED', {
        attempted: 'answer',
        target: request.method,
        reason: `more than ${context.max} requests in one second from one address`,
      }),
  });
}
