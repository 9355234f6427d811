/**
 * Frames of a byte stream (exec, logs), the same on NATS and on the WebSocket:
 * `u8 version = 1 · u8 kind · u32 sequence (big endian) · payload`.
 *
 * Core NATS may lose a message: each direction numbers its frames from 0, and a gap ends the stream with STREAM_BROKEN. A sender
 * of data may have at most the granted credit in flight (bytes of payload); the receiver grants more as it consumes.
 *
 * An agent that hears no frame of a stream for 30 s kills what it started for it: the other side may have died. So a controller sends
 * `credit` 0 every 5 s, also while there is nothing to say.
 */
import { NsfleetError } from './errors.ts';

export const frameKinds = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  /** the named channel (payload: one byte, 0 to 2) has ended */
  end: 3,
  /** payload: u32 bytes that may be sent in addition */
  credit: 4,
  /** payload: one byte, the signal number for the command */
  signal: 5,
  /** payload: JSON ExitStatus; the last frame of an agent */
  exit: 6,
  /** payload: JSON WireError; the last frame of an agent */
  error: 7,
  /** the reader went away; the agent kills what it started for this stream */
  close: 8,
} as const;
export type FrameKind = keyof typeof frameKinds;

const kindNames = Object.keys(frameKinds) as FrameKind[];
const headerBytes = 6;

/** Data frames are cut to this: 16 to 64 KiB is where NATS and WebSockets are fastest (RECIPES). */
export const framePayloadMaxBytes = 32 * 1024;
/** What each side may send before the first grant. */
export const initialCreditBytes = 256 * 1024;

export type Frame = { kind: FrameKind; seq: number; payload: Uint8Array };

export function encodeFrame(kind: FrameKind, seq: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = new Uint8Array(headerBytes + payload.length);
  bytes[0] = 1;
  bytes[1] = frameKinds[kind];
  new DataView(bytes.buffer).setUint32(2, seq >>> 0);
  bytes.set(payload, headerBytes);
  return bytes;
}

/** Bytes as a frame, or MESSAGE_MALFORMED, MESSAGE_VERSION_UNKNOWN, MESSAGE_TOO_LARGE. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const refuse = (code: 'MESSAGE_MALFORMED' | 'MESSAGE_VERSION_UNKNOWN' | 'MESSAGE_TOO_LARGE', reason: string) =>
    new NsfleetError(code, { attempted: 'read', target: 'stream frame', reason });
  if (bytes.length < headerBytes) throw refuse('MESSAGE_MALFORMED', `${bytes.length} bytes, a header has ${headerBytes}`);
  if (bytes[0] !== 1) throw refuse('MESSAGE_VERSION_UNKNOWN', `version ${bytes[0]}, this program speaks 1`);
  const kind = kindNames[bytes[1] ?? 255];
  if (kind === undefined) throw refuse('MESSAGE_MALFORMED', `kind ${bytes[1]}`);
  const payload = bytes.subarray(headerBytes);
  if (payload.length > framePayloadMaxBytes)
    throw refuse('MESSAGE_TOO_LARGE', `${payload.length} bytes, the limit is ${framePayloadMaxBytes}`);
  return { kind, seq: new DataView(bytes.buffer, bytes.byteOffset).getUint32(2), payload };
}

/** A u32 as the payload of a credit frame, and back. */
export function creditPayload(bytes: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes);
  return payload;
}

export function readCredit(payload: Uint8Array): number {
  return payload.length === 4 ? new DataView(payload.buffer, payload.byteOffset).getUint32(0) : 0;
}

/** Cuts data into payloads of at most `framePayloadMaxBytes`, without copying. */
export function* slices(data: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < data.length; start += framePayloadMaxBytes) yield data.subarray(start, start + framePayloadMaxBytes);
}
