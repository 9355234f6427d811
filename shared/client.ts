/** The typed client of the HTTP contract: the one place of shared/ that does I/O. Used by the CLI, `npm start` and tests. */
import type { z } from 'zod';
import { ErrorBody, api, routePath } from './api.ts';
import type { Route, RouteName } from './api.ts';
import { NsfleetError, errorText, fromWire, issuesText } from './errors.ts';

type Part<N extends RouteName, P extends 'params' | 'query' | 'body'> =
  (typeof api)[N] extends Record<P, infer S extends z.ZodType> ? z.input<S> : undefined;

export type Call<N extends RouteName> = {
  params?: Part<N, 'params'>;
  query?: Part<N, 'query'>;
  body?: Part<N, 'body'>;
  /** Repeat a call with the same key as often as needed: it happens once. */
  idempotencyKey?: string;
  signal?: AbortSignal;
};

export type Reply<N extends RouteName> = z.output<(typeof api)[N]['reply']>;

export type Client = {
  readonly baseUrl: string;
  /** Throws NsfleetError: the server's own, or NOT_RUNNING where it cannot be reached. */
  call<N extends RouteName>(name: N, call?: Call<N>): Promise<Reply<N>>;
  /** For what is no JSON route: /metrics, /openapi.json. */
  raw(path: string): Promise<Response>;
};

/** `createClient('http://127.0.0.1:4000', token)` opens nothing: each call is a request. */
export function createClient(baseUrl: string, token: string): Client {
  const headers = { authorization: `Bearer ${token}` };
  return {
    baseUrl,
    async call<N extends RouteName>(name: N, call: Call<N> = {}): Promise<Reply<N>> {
      const route: Route = api[name];
      const url = addressOf(baseUrl, route, call.params ?? {}, call.query ?? {});
      const response = await request(url, {
        method: route.method,
        headers: {
          ...headers,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(call.idempotencyKey === undefined ? {} : { 'idempotency-key': call.idempotencyKey }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
      const body: unknown = await response.json().catch(() => undefined);
      if (!response.ok) throw refusal(response, body, url);
      const parsed = route.reply.safeParse(body);
      if (parsed.success) return parsed.data as Reply<N>;
      throw new NsfleetError('MESSAGE_MALFORMED', {
        attempted: 'read the reply of',
        target: url.pathname,
        reason: issuesText(parsed.error.issues).slice(0, 1000),
      });
    },
    raw: (path) => request(new URL(path, baseUrl), { headers }),
  };
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

function addressOf(baseUrl: string, route: Route, params: Values, query: Values): URL {
  const url = new URL(routePath(route.path, texts(params)), baseUrl);
  url.search = new URLSearchParams(texts(query)).toString();
  return url;
}

function texts(values: Values): Record<string, string> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

async function request(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    throw new NsfleetError('NOT_RUNNING', { attempted: 'reach the controller at', target: url.origin, reason: errorText(inner), cause });
  }
}

function refusal(response: Response, body: unknown, url: URL): NsfleetError {
  const parsed = ErrorBody.safeParse(body);
  if (parsed.success) return fromWire(parsed.data.error);
  return new NsfleetError('UNAVAILABLE', {
    attempted: 'call',
    target: url.pathname,
    reason: `status ${response.status} without an nsfleet error: is ${url.origin} a controller?`,
  });
}
