/**
 * Following events over a WebSocket that may break: after each break it goes on behind the last event that was printed, so that none is missed
 * and none repeated. That there was a break is told on standard error.
 */
import type { RawData, WebSocket } from 'ws';
import { FollowEnd, followClosed, sockets } from '#shared/sockets.ts';
import type { FollowRequest } from '#shared/sockets.ts';
import { NsfleetError, errorText, fromWire, issuesText } from '#shared/errors.ts';
import { printable } from '#shared/escape.ts';
import { Event } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import type { Connection } from '../connection.ts';
import { pause } from '../sandbox/repeat.ts';
import type { Output, Session } from '../session.ts';
import { openSocket, parseJson } from '../socket.ts';

/** An event tells of one namespace or sandbox: its texts have 16 KiB each at most. */
const messageMaxBytes = 16 * 1024 * 1024;
/** The server pings every 15 s. What is silent for three of them is a black hole, which closes no socket. */
const silentMaxMs = 45_000;

/** Calls `print` for every event after `since`, a number or a moment, once and in order. Ends only by throwing: what the server refuses for good. */
export async function followEvents(
  session: Session,
  choice: Omit<FollowRequest, 'since'>,
  since: string,
  print: (event: Event) => void,
): Promise<never> {
  const tell = (text: string): void => void session.stderr.write(`warning: ${printable(text)}\n`);
  /** Null until one came: then what was asked at first is asked again. */
  let last: string | null = null;
  const place = () => (last === null ? 'as at first' : `after event ${last}`);
  let state: 'new' | 'open' | 'lost' = 'new';
  for (let attempt = 0; ; attempt += 1) {
    try {
      // Asked each time: a stack that was started again has another address.
      const stream = await openEvents(connect(session), { ...choice, since: last ?? since }, session.stdout, (event) => {
        if (last !== null && BigInt(event.seq) <= BigInt(last)) return;
        print(event);
        last = event.seq;
        attempt = 0;
      });
      if (state === 'lost') tell(`connected again, ${place()}`);
      state = 'open';
      await stream.over;
    } catch (error) {
      if (state === 'new' || !mayReconnect(error)) throw error;
      if (state === 'open') tell(`the connection was lost (${error.reason}): reconnecting, to go on ${place()}`);
      state = 'lost';
      await pause(attempt);
    }
  }
}

/** What is the server's or the network's trouble, and not this request's. */
function mayReconnect(error: unknown): error is NsfleetError {
  return error instanceof NsfleetError && (error.httpStatus >= 500 || error.httpStatus === 429) && error.code !== 'MESSAGE_MALFORMED';
}

type EventStream = { over: Promise<never> };

async function openEvents(
  connection: Connection,
  first: FollowRequest,
  output: Output,
  onEvent: (event: Event) => void,
): Promise<EventStream> {
  const { path } = sockets.eventFollow;
  return openSocket(connection, path, { first, messageMaxBytes }, (socket) => {
    const { promise: over, reject } = Promise.withResolvers<never>();
    // Who opens it may never come to wait for its end.
    over.catch(() => undefined);
    const stopListening = endWhenSilent(socket);
    const end = (error: unknown): void => {
      stopListening();
      reject(error);
      socket.terminate();
    };
    socket.on('message', (data: RawData) => {
      try {
        onEvent(readEvent(data, path));
      } catch (error) {
        return end(error);
      }
      if (output.writableNeedDrain) waitForReader(socket, output);
    });
    socket.on('error', (cause) => end(broken(path, errorText(cause))));
    socket.on('close', (code, reason) => end(closed(path, code, reason.toString())));
    return { over };
  });
}

/** Throws the error that the server tells instead of an event. */
function readEvent(data: RawData, path: string): Event {
  const value = parseJson(Buffer.isBuffer(data) ? data.toString('utf8') : '');
  const event = Event.safeParse(value);
  if (event.success) return event.data;
  const refusal = FollowEnd.safeParse(value);
  if (refusal.success) throw fromWire(refusal.data.error);
  throw new NsfleetError('MESSAGE_MALFORMED', {
    attempted: 'read from',
    target: path,
    reason: issuesText(event.error.issues).slice(0, 1000),
  });
}

function waitForReader(socket: WebSocket, output: Output): void {
  if (socket.isPaused) return;
  socket.pause();
  output.once('drain', () => socket.resume());
}

/** Returns what stops it. */
function endWhenSilent(socket: WebSocket): () => void {
  let heardAt = Date.now();
  const hear = (): void => {
    heardAt = Date.now();
  };
  for (const event of ['open', 'ping', 'message']) socket.on(event, hear);
  const timer = setInterval(() => {
    if (socket.isPaused) hear();
    else if (Date.now() - heardAt > silentMaxMs) socket.terminate();
  }, silentMaxMs / 3);
  return () => clearInterval(timer);
}

function closed(path: string, code: number, reason: string): NsfleetError {
  const why = `it was closed with ${code} ${reason}`.trimEnd();
  if (code !== followClosed.refused) return broken(path, why);
  return new NsfleetError('INVALID_INPUT', { attempted: 'read from', target: path, reason: why });
}

function broken(path: string, reason: string): NsfleetError {
  return new NsfleetError('STREAM_BROKEN', { attempted: 'read from', target: path, reason });
}
