/**
 * The client's end of an exec or logs WebSocket: frames of shared/frames.ts over one connection. Output waits for its reader: while a
 * write is not taken the socket is paused, and TCP stops the sender.
 *
 * Sequence numbers are not checked here: TCP neither loses nor reorders, and the controller has checked the agent's.
 */
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import { NsfleetError, errorText, fromWire, issuesText } from '#shared/errors.ts';
import { decodeFrame, encodeFrame } from '#shared/frames.ts';
import type { FrameKind } from '#shared/frames.ts';
import { ExitStatus, WireError } from '#shared/sandbox.ts';
import type { Connection } from '../connection.ts';
import { openSocket, parseJson } from '../socket.ts';

/** Sending waits while more than this is not yet with the kernel. */
const sendBufferMaxBytes = 512 * 1024;
/** A connection that answers no ping for this long is broken: a black hole closes no socket. */
const pingMs = 15_000;
/** The largest frame and its header fit well. */
const messageMaxBytes = 256 * 1024;

export type Sink = (channel: 'stdout' | 'stderr', data: Uint8Array) => Promise<void>;

export type Stream = {
  /** Resolves when there is room for more. Does nothing after the end. */
  send(kind: FrameKind, payload?: Uint8Array): Promise<void>;
  /** How it ended; null where the server ended it without an exit status. Rejects with NsfleetError, or with what `sink` threw. */
  readonly ended: Promise<ExitStatus | null>;
  /** Ends it from here: the agent kills what it started for this stream. */
  close(): void;
};

/** Opens `path`, sends `first` as JSON, then hands output to `sink` in order. Throws the server's refusal or NOT_RUNNING. */
export function openStream(connection: Connection, path: string, first: unknown, sink: Sink): Promise<Stream> {
  return openSocket(connection, path, { first, messageMaxBytes }, (socket) => attach(socket, path, sink));
}

function attach(socket: WebSocket, path: string, sink: Sink): Stream {
  const { promise, resolve, reject } = Promise.withResolvers<ExitStatus | null>();
  // Whoever awaits `ended` hears of it; until then it must not count as unhandled.
  promise.catch(() => undefined);
  let over = false;
  let seq = 0;
  let writes = Promise.resolve();
  let waiting = 0;

  const end = (finish: () => void): void => {
    if (over) return;
    over = true;
    clearInterval(heartbeat);
    // Output that came before the end is written before the end is told.
    writes.then(finish, reject);
    socket.close(1000);
    // A server that does not answer the close must not hold the process.
    setTimeout(() => socket.terminate(), 1000).unref();
  };
  const write = (channel: 'stdout' | 'stderr', data: Uint8Array): void => {
    waiting += 1;
    socket.pause();
    writes = writes
      .then(() => sink(channel, data))
      .then(() => {
        waiting -= 1;
        if (waiting === 0) socket.resume();
      });
    writes.catch((error: unknown) => end(() => reject(error)));
  };
  const onFrame = (bytes: Uint8Array): void => {
    const { kind, payload } = decodeFrame(bytes);
    if (kind === 'stdout' || kind === 'stderr') write(kind, payload);
    else if (kind === 'exit') {
      const exit = readJson(ExitStatus, payload, path);
      end(() => resolve(exit));
    } else if (kind === 'error') {
      const error = fromWire(readJson(WireError, payload, path));
      end(() => reject(error));
    }
  };

  let heard = true;
  const heartbeat = setInterval(() => {
    // A paused socket reads no pong.
    if (waiting > 0) return;
    if (!heard) socket.terminate();
    heard = false;
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  }, pingMs);
  socket.on('pong', () => {
    heard = true;
  });
  socket.on('message', (data: RawData, binary: boolean) => {
    heard = true;
    if (over) return;
    try {
      if (!binary) throw malformed(path, 'a text message instead of a frame');
      onFrame(asBytes(data));
    } catch (error) {
      end(() => reject(error));
    }
  });
  socket.on('error', (cause) => end(() => reject(broken(path, errorText(cause)))));
  socket.on('close', (code, reason) =>
    end(() => (code === 1000 ? resolve(null) : reject(broken(path, `the connection closed with ${code} ${reason.toString()}`.trimEnd())))),
  );

  return {
    ended: promise,
    send(kind, payload) {
      if (over || socket.readyState !== WebSocket.OPEN) return Promise.resolve();
      return new Promise((resolve) => {
        // An error of the socket is told by `ended`.
        socket.send(encodeFrame(kind, seq++, payload), () => resolve());
        if (socket.bufferedAmount < sendBufferMaxBytes) resolve();
      });
    },
    close() {
      end(() => resolve(null));
    },
  };
}

function asBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function readJson<T>(model: { safeParse(value: unknown): ParseResult<T> }, payload: Uint8Array, path: string): T {
  const parsed = model.safeParse(parseJson(Buffer.from(payload).toString('utf8')));
  if (parsed.success) return parsed.data;
  throw malformed(path, issuesText(parsed.error.issues));
}

type ParseResult<T> = { success: true; data: T } | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };

function broken(path: string, reason: string): NsfleetError {
  return new NsfleetError('STREAM_BROKEN', { attempted: 'read from', target: path, reason });
}

function malformed(path: string, reason: string): NsfleetError {
  return new NsfleetError('MESSAGE_MALFORMED', { attempted: 'read from', target: path, reason });
}
