/** Who may call: everybody with the token, and nobody else. Runs before a body is read, and before a WebSocket is opened. */
import type { FastifyRequest } from 'fastify';
import { NsfleetError } from '#shared/errors.ts';

/** What says only that the process lives, or whether it can serve. */
const openPaths = new Set(['/healthz', '/readyz']);

/** An onRequest hook: TOKEN_MISSING or TOKEN_WRONG, for unknown routes too, so that they tell nothing. */
export function authorize(isToken: (guess: string) => boolean): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    if (!request.ws && openPaths.has(request.routeOptions.url ?? '')) return;
    const fields = { attempted: 'call', target: `${request.method} ${pathOf(request)}` };
    const header = request.headers.authorization;
    if (header === undefined) throw new NsfleetError('TOKEN_MISSING', { ...fields, reason: 'the request has no Authorization header' });
    const token = tokenOf(request);
    if (token === null) throw new NsfleetError('TOKEN_MISSING', { ...fields, reason: 'its Authorization header is not `Bearer <token>`' });
    if (!isToken(token)) throw new NsfleetError('TOKEN_WRONG', { ...fields, reason: 'this token is not the one of this controller' });
    if (request.ws) refuseForeignOrigin(request);
  };
}

/** What `Authorization: Bearer …` names; null where the header is missing or another. */
export function tokenOf({ headers: { authorization = '' } }: FastifyRequest): string | null {
  return /^bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1] ?? null;
}

/** A page of another site must not open a WebSocket with what a browser knows; programs send no Origin. */
function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return;
  throw new NsfleetError('TOKEN_WRONG', {
    attempted: 'open a WebSocket at',
    target: pathOf(request),
    reason: `the Origin header ${JSON.stringify(origin).slice(0, 200)} is another site`,
    remedy: 'open it from the same host, or without an Origin header',
  });
}

function pathOf(request: FastifyRequest): string {
  return (request.url.split('?')[0] ?? '').slice(0, 200);
}
