/** The typed client of the HTTP contract: the one place of shared/ that does I/O. Used by the CLI, `npm start` and tests. */
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { z } from 'zod';
import { ErrorBody, api, routePath } from './api.ts';
import type { RouteName } from './api.ts';
import type { Route } from './route.ts';
import { NsfleetError, errorText, fromWire, issuesText } from './errors.ts';

type Part<N extends RouteName, P extends 'params' | 'query' | 'body'> =
  (typeof api)[N] extends Record<P, infer S extends z.ZodType> ? z.input<S> : undefined;

export type Call<N extends RouteName> = {
  params?: Part<N, 'params'>;
  query?: Part<N, 'query'>;
  body?: Part<N, 'body'>;
  /** Repeat a call with the same key as often as needed: it happens once. Default: a key for this call alone. */
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
        // Always one, because `exchange` may ask again.
        headers: { ...headers, ...(route.method === 'POST' ? { 'idempotency-key': call.idempotencyKey ?? randomUUID() } : {}) },
        body: call.body,
        signal: call.signal,
      });
      const body = jsonOf(response.text);
      if (response.status !== 200) throw refusal(response, body, url);
      const parsed = route.reply.safeParse(body);
      if (parsed.success) return parsed.data as Reply<N>;
      throw new NsfleetError('MESSAGE_MALFORMED', {
        attempted: 'read the reply of',
        target: url.pathname,
        reason: issuesText(parsed.error.issues).slice(0, 1000),
      });
    },
    async raw(path) {
      const { status, headers: told, text } = await request(new URL(path, baseUrl), { method: 'GET', headers });
      return new Response(text, { status, headers: Object.entries(told).map(([name, value]) => [name, String(value)]) });
    },
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

type Asked = { method: string; headers: Record<string, string>; body?: unknown; signal?: AbortSignal | undefined };
type Answered = { status: number; headers: IncomingHttpHeaders; text: string };

async function request(url: URL, asked: Asked): Promise<Answered> {
  try {
    return await exchange(url, asked);
  } catch (cause) {
    asked.signal?.throwIfAborted();
    throw new NsfleetError('NOT_RUNNING', { attempted: 'reach the controller at', target: url.origin, reason: errorText(cause), cause });
  }
}

/**
 * By node:http, on connections that are kept: fetch() takes half a millisecond more for each call, and ten more to be loaded. A server closes
 * what was idle for long, perhaps in this moment: then once more on a new connection, which is safe because every call may be repeated.
 */
async function exchange(url: URL, { method, headers, body, signal }: Asked, again = true): Promise<Answered> {
  const content = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const sized = content === null ? {} : { 'content-type': 'application/json', 'content-length': content.length };
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const sent = open(url, { method, headers: { ...headers, ...sized }, ...(signal === undefined ? {} : { signal }) });
  try {
    return await new Promise((resolve, reject) => {
      sent.once('error', reject);
      sent.once('response', (response) => read(response, resolve, reject));
      sent.end(content ?? undefined);
    });
  } catch (error) {
    if (!again || !sent.reusedSocket || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    return exchange(url, { method, headers, body, signal }, false);
  }
}

function read(response: IncomingMessage, resolve: (answered: Answered) => void, reject: (error: Error) => void): void {
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (part: string) => {
    text += part;
  });
  response.once('error', reject);
  response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
}

/** Undefined for what is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response: Answered, body: unknown, url: URL): NsfleetError {
  const parsed = ErrorBody.safeParse(body);
  if (parsed.success) return fromWire(parsed.data.error);
  return new NsfleetError('UNAVAILABLE', {
    attempted: 'call',
    target: url.pathname,
    reason: `status ${response.status} without an nsfleet error: is ${url.origin} a controller?`,
  });
}
