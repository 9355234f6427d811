/**
 * One WebSocket and one agent stream, joined. Data goes from one to the other at the pace of the slower: the agent is granted more
 * as the WebSocket's bytes leave this machine, and the WebSocket is not read while the agent takes nothing.
 */
import type { WebSocket } from 'ws';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import { decodeFrame, encodeFrame } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';
import type { AgentStream, StreamEvents } from '../agent-stream.ts';

/** RFC 6455 close codes. */
const normal = 1000;
const internalError = 1011;

/** A client that is gone without a word is found out after two of these. */
const pingIntervalMs = 15_000;
const fromClient: readonly FrameKind[] = ['stdin', 'end', 'signal', 'close'];

export type Bridge = {
  events: StreamEvents;
  /** From now on frames go to the agent; what came meanwhile first. */
  attach: (stream: AgentStream) => void;
  /** Tells the client why, and closes. */
  fail: (error: NsfleetError) => void;
  /** A binary message of the client. */
  onMessage: (data: Uint8Array) => void;
};

/** `onEnd` is called once, when the WebSocket is closed, whoever closed it. */
export function createBridge(socket: WebSocket, onEnd: () => void): Bridge {
  let stream: AgentStream | null = null;
  let sequence = 0;
  let over = false;
  let alive = true;
  /** What the agent does not take yet: at most what the socket had read before it was paused. */
  const waiting: Frame[] = [];

  const sendFrame = (kind: FrameKind, payload: Uint8Array, onSent: () => void = () => undefined) => {
    if (socket.readyState !== socket.OPEN) return;
    socket.send(encodeFrame(kind, sequence, payload), { binary: true }, onSent);
    sequence += 1;
  };
  const close = (code: number) => {
    over = true;
    stream?.close();
    // A paused socket would not see the client's close frame.
    socket.resume();
    socket.close(code);
  };
  const fail = (error: NsfleetError) => {
    if (over) return;
    sendFrame('error', Buffer.from(JSON.stringify(error.toWire())));
    close(internalError);
  };
  const forward = (to: AgentStream) => {
    for (let frame = waiting[0]; frame !== undefined; frame = waiting[0]) {
      if (frame.kind === 'stdin' && to.creditBytes() < frame.payload.length) break;
      to.send(frame.kind, frame.payload);
      waiting.shift();
    }
  };
  const pump = () => {
    if (stream !== null) forward(stream);
    if (waiting.length > 0 && !over) socket.pause();
    else if (socket.isPaused) socket.resume();
  };
  const pinger = setInterval(() => {
    if (!alive && !socket.isPaused) return socket.terminate();
    alive = false;
    socket.ping();
  }, pingIntervalMs);

  socket.on('pong', () => {
    alive = true;
  });
  socket.on('close', () => {
    over = true;
    clearInterval(pinger);
    stream?.close();
    onEnd();
  });

  return {
    fail,
    attach(attached) {
      stream = attached;
      if (over) stream.close();
      else pump();
    },
    onMessage(data) {
      if (over) return;
      try {
        const frame = decodeFrame(data);
        if (!fromClient.includes(frame.kind)) throw unexpected(frame.kind);
        // A signal overtakes the bytes that the command does not read: it may be there to end that.
        if (frame.kind === 'signal' && stream !== null) return stream.send('signal', frame.payload);
        waiting.push(frame);
        pump();
      } catch (error) {
        fail(asNsfleetError(error, 'read', 'WebSocket message'));
      }
    },
    events: {
      onCredit: pump,
      onBroken: fail,
      onFrame(frame) {
        if (over) return;
        const size = frame.kind === 'stdout' || frame.kind === 'stderr' ? frame.payload.length : 0;
        sendFrame(frame.kind, frame.payload, () => stream?.consumed(size));
        if (frame.kind === 'exit') close(normal);
        if (frame.kind === 'error') close(internalError);
      },
    },
  };
}

function unexpected(kind: FrameKind): NsfleetError {
  return new NsfleetError('INVALID_INPUT', {
    attempted: 'read',
    target: 'WebSocket message',
    reason: `a client sends ${fromClient.join(', ')}, not ${kind}`,
  });
}
