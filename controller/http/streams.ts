/** The WebSocket routes: exec and logs. The first message is text (JSON), all others are binary frames of shared/frames.ts. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { HostExecRequest, sockets } from '#shared/sockets.ts';
import { NsfleetError } from '#shared/errors.ts';
import { ExecRequest } from '#shared/messages.ts';
import type { AgentStream, StreamEvents } from '../agent-stream.ts';
import type { Metrics } from '../metrics.ts';
import type { StreamOpener } from '../sandbox/streams.ts';
import { createBridge } from './bridge.ts';
import { toNsfleetError } from './failure.ts';
import { firstMessageMs, noFirst, readFirst } from './first-message.ts';

const LogsRequest = z.strictObject({ follow: z.boolean() });

/** Each costs up to half a MiB of buffers when both ends are slow. */
const streamsMax = 1000;

export function addStreams(app: FastifyInstance, opener: StreamOpener, metrics: Metrics, ending: AbortSignal): void {
  let open = 0;
  const add = <T>(
    name: 'sandboxExec' | 'sandboxLogs' | 'hostExec',
    model: z.ZodType<T>,
    start: (target: string, request: T, events: StreamEvents) => Promise<AgentStream>,
  ) => {
    const kind = name === 'sandboxLogs' ? 'logs' : 'exec';
    const parameter = name === 'hostExec' ? 'host' : 'sandbox';
    app.route({
      method: 'GET',
      url: sockets[name].path,
      schema: {
        operationId: name,
        summary: `${sockets[name].summary} (WebSocket)`,
        description: `A WebSocket. The client's first message is JSON: ${JSON.stringify(z.toJSONSchema(model, { io: 'input' }))}. All others are binary frames: u8 version = 1, u8 kind, u32 sequence (big endian), payload.`,
        tags: [`${parameter}${parameter === 'host' ? 's' : 'es'}`],
        security: [{ bearer: [] }],
        params: z.object({ [parameter]: z.string().min(1).max(255) }),
      },
      handler: refusePlainHttp,
      wsHandler: (socket, request) => {
        if (open >= streamsMax) {
          createBridge(socket, () => undefined).fail(tooMany());
          return;
        }
        open += 1;
        metrics.streams.inc({ kind });
        const onEnd = () => {
          open -= 1;
          metrics.streams.dec({ kind });
        };
        const target = (request.params as Record<string, string>)[parameter] ?? '';
        serve(socket, request, ending, onEnd, model, (first, events) => start(target, first, events));
      },
    });
  };
  add('hostExec', HostExecRequest, opener.join);
  add('sandboxExec', ExecRequest, opener.exec);
  add('sandboxLogs', LogsRequest, opener.logs);
}

function serve<T>(
  socket: WebSocket,
  request: FastifyRequest,
  ending: AbortSignal,
  onEnd: () => void,
  model: z.ZodType<T>,
  start: (first: T, events: StreamEvents) => Promise<AgentStream>,
): void {
  const onEnding = () =>
    bridge.fail(new NsfleetError('UNAVAILABLE', { attempted: 'serve', target: 'stream', reason: 'this controller is ending' }));
  const bridge = createBridge(socket, () => {
    clearTimeout(timer);
    ending.removeEventListener('abort', onEnding);
    onEnd();
  });
  const timer = setTimeout(() => bridge.fail(noFirst()), firstMessageMs);
  ending.addEventListener('abort', onEnding, { once: true });
  let first = true;
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (!first) return isBinary ? bridge.onMessage(data) : bridge.fail(moreText());
    first = false;
    clearTimeout(timer);
    const parsed = readFirst(model, data, isBinary);
    if (parsed instanceof NsfleetError) return bridge.fail(parsed);
    start(parsed.value, bridge.events).then(bridge.attach, (error: unknown) => bridge.fail(toNsfleetError(error, request)));
  });
}

function moreText(): NsfleetError {
  return new NsfleetError('INVALID_INPUT', { attempted: 'read', target: 'the stream', reason: 'only the first message is text' });
}

function tooMany(): NsfleetError {
  return new NsfleetError('UNAVAILABLE', {
    attempted: 'open',
    target: 'stream',
    reason: `${streamsMax} streams are open on this controller`,
  });
}

/** What answers the path of a WebSocket without an upgrade. */
export function refusePlainHttp(_request: FastifyRequest, _reply: FastifyReply): never {
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'open',
    target: 'stream',
    reason: 'this route is a WebSocket and the request is no upgrade',
    remedy: 'open it with a WebSocket client',
  });
}
