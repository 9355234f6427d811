/** Whatever goes wrong in a request, as `{error: WireError}` with the right status. Nothing internal leaves the house. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import { NsfleetError } from '#shared/errors.ts';

/** Seconds after which a repeat of what was refused with 429 or 503 makes sense. */
const retryAfterSeconds = 2;

/** Fastify's error handler: logs what is this program's fault, answers with the catalogue's status. */
export function answerFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const known = toNsfleetError(error, request);
  const log = { code: known.code, reason: known.reason };
  if (known.httpStatus >= 500) request.log.error({ ...log, err: error }, 'request failed');
  else request.log.info(log, 'request refused');
  if ((known.httpStatus === 429 || known.httpStatus === 503) && !reply.hasHeader('retry-after')) {
    void reply.header('retry-after', retryAfterSeconds);
  }
  void reply
    .code(known.httpStatus)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify({ error: known.toWire() }));
}

/** Exported for the WebSockets, which answer with an error frame instead. */
export function toNsfleetError(error: unknown, request: FastifyRequest): NsfleetError {
  if (error instanceof NsfleetError) return error;
  const target = `${request.method} ${request.routeOptions.url ?? 'an unknown route'}`;
  const fields = { attempted: 'answer', target, cause: error };
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where = (error as FastifyError).validationContext;
    const reason = error.validation.map((issue) => `${fieldPath(issue.instancePath, where)}: ${issue.message ?? 'wrong'}`).join('; ');
    return new NsfleetError('INVALID_INPUT', { ...fields, reason: reason.slice(0, 4000) });
  }
  if (isResponseSerializationError(error)) {
    const reason = `the reply does not fit its schema: ${error.cause.issues.map((issue) => issue.path.join('.')).join(', ')}`;
    return new NsfleetError('INTERNAL', { ...fields, reason: `${reason} (request ${request.id})` });
  }
  const { code, statusCode, message } = error as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = request.routeOptions.bodyLimit;
    return new NsfleetError('MESSAGE_TOO_LARGE', { ...fields, reason: `the body is larger than ${limit} bytes` });
  }
  // What fastify refuses by itself: no JSON, another media type, a broken header.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new NsfleetError('INVALID_INPUT', { ...fields, reason: message ?? `status ${statusCode}` });
  }
  return new NsfleetError('INTERNAL', { ...fields, reason: `unexpected, see the controller’s log for request ${request.id}` });
}

/** `/spec/command/0` in the body is `spec.command.0`; in the query `query limit`. */
function fieldPath(instancePath: string, where: string | undefined): string {
  const path = instancePath.split('/').filter(Boolean).join('.');
  if (where === undefined || where === 'body') return path === '' ? 'body' : path;
  return `${where === 'querystring' ? 'query' : where} ${path}`.trim();
}
