/** /healthz: the process lives. /readyz: it can serve. /metrics: its numbers. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ErrorBody } from '#shared/api.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Readiness } from '../health.ts';
import type { Metrics } from '../metrics.ts';

export function addProbes(app: FastifyInstance, readiness: () => Promise<Readiness>, metrics: Metrics): void {
  app.get(
    '/healthz',
    { schema: { summary: 'The process lives', tags: ['operation'], response: { 200: z.object({ ok: z.literal(true) }) } } },
    async () => ({ ok: true as const }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        summary: 'It can serve: Postgres and NATS answer, the schema is migrated',
        tags: ['operation'],
        response: { 200: z.object({ ok: z.literal(true) }), default: ErrorBody },
      },
    },
    async () => {
      const { problems } = await readiness();
      if (problems.length === 0) return { ok: true as const };
      throw new NsfleetError('UNAVAILABLE', { attempted: 'serve', target: 'requests', reason: problems.join('; ') });
    },
  );
  app.get(
    '/metrics',
    { schema: { summary: 'Metrics in Prometheus’ text format', tags: ['operation'], security: [{ bearer: [] }] } },
    async (_request, reply) => {
      const text = await metrics.registry.metrics();
      return reply.type(metrics.registry.contentType).send(text);
    },
  );
}
