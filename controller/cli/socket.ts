/** A WebSocket to the controller, opened. */
import { WebSocket } from 'ws';
import { ErrorBody } from '#shared/api.ts';
import { NsfleetError, errorText, fromWire } from '#shared/errors.ts';
import type { Connection } from './connection.ts';

const handshakeMs = 15_000;

/**
 * Opens `path` and sends `first` as JSON. `attach` is called before it is open, because a message may come in the same packet as the server's
 * consent; what it returns is the answer. Throws the server's refusal, or NOT_RUNNING.
 */
export async function openSocket<T>(
  { api, token }: Pick<Connection, 'api' | 'token'>,
  path: string,
  { first, messageMaxBytes }: { first: unknown; messageMaxBytes: number },
  attach: (socket: WebSocket) => T,
): Promise<T> {
  const url = new URL(path, api);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
    handshakeTimeout: handshakeMs,
    maxPayload: messageMaxBytes,
  });
  const attached = attach(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', (cause) =>
      reject(new NsfleetError('NOT_RUNNING', { attempted: 'reach the controller at', target: url.host, reason: errorText(cause), cause })),
    );
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body = (body + text).slice(0, messageMaxBytes);
      });
      response.setTimeout(handshakeMs, () => response.destroy());
      response.once('close', () => {
        reject(refusal(body, response.statusCode ?? 0, url));
        socket.terminate();
      });
    });
  });
  socket.send(JSON.stringify(first));
  return attached;
}

function refusal(body: string, status: number, url: URL): NsfleetError {
  const parsed = ErrorBody.safeParse(parseJson(body));
  if (parsed.success) return fromWire(parsed.data.error);
  const reason = `status ${status} without an nsfleet error: is ${url.host} a controller?`;
  return new NsfleetError('UNAVAILABLE', { attempted: 'open', target: url.pathname, reason });
}

/** Undefined for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
