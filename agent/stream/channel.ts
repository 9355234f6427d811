/**
 * The agent's end of a byte stream: frames numbered each way, a gap ends it, and neither side has more data under way than the other
 * granted. So whatever a command writes, no more than that waits in memory here for a reader that is slow.
 */
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import { creditPayload, decodeFrame, encodeFrame, initialCreditBytes, readCredit, framePayloadMaxBytes } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';
import type { Link, StreamLink } from '../link.ts';

/** A controller sends something at least every 5 s, if only a grant of 0 bytes: after this long without a word it is gone. */
const silenceMs = 30_000;
/** Grants are collected to this size: one for every data frame would double the messages. */
const grantBytes = initialCreditBytes / 4;

export type ChannelEar = {
  /** Returns when it may be forgotten; `consumed` is called for it by the ear. */
  onStdin(data: Uint8Array): void;
  onStdinEnd(): void;
  onSignal(number: number): void;
  /** The reader is gone, or the stream is broken: nothing is heard or sent after it. Not after `finish`. */
  onClosed(reason: NsfleetError): void;
};

export type Channel = {
  /** Sends all of `data` as credit allows; resolves when it is on its way. Rejects when the stream is closed. */
  write(kind: 'stdout' | 'stderr', data: Uint8Array): Promise<void>;
  /** That output has ended. */
  writeEnd(kind: 'stdout' | 'stderr'): void;
  /** `bytes` of stdin are gone for good: as many more may come. */
  consumed(bytes: number): void;
  /** The last word, an ExitStatus or WireError as JSON; closes. */
  finish(kind: 'exit' | 'error', value: object): void;
  close(): void;
  /** True while `write` waits for the reader. */
  readonly blocked: boolean;
};

const channelNumbers = { stdout: 1, stderr: 2 } as const;

/** Listens at once; so open it before the question is answered. */
export function openChannel(link: Pick<Link, 'stream'>, streamId: string, ear: ChannelEar): Channel {
  let open = true;
  let sent = 0;
  let received = 0;
  let credit = initialCreditBytes;
  let ungranted = 0;
  let waiting: PromiseWithResolvers<void> | null = null;

  const send = (kind: FrameKind, payload?: Uint8Array): void => {
    if (!open) return;
    stream.send(encodeFrame(kind, sent, payload));
    sent += 1;
  };
  const close = (): void => {
    if (!open) return;
    open = false;
    clearTimeout(silence);
    stream.close();
    waiting?.reject(closed());
  };
  const lose = (reason: NsfleetError): void => {
    if (!open) return;
    close();
    ear.onClosed(reason);
  };
  const hear = (frame: Frame): void => {
    switch (frame.kind) {
      case 'stdin':
        return ear.onStdin(frame.payload);
      case 'end':
        return ear.onStdinEnd();
      case 'signal':
        return ear.onSignal(frame.payload[0] ?? 0);
      case 'credit':
        credit += readCredit(frame.payload);
        waiting?.resolve();
        waiting = null;
        return undefined;
      case 'close':
        return lose(closed());
      case 'stdout':
      case 'stderr':
      case 'exit':
      case 'error':
        return lose(broken(`a controller does not send ${frame.kind}`));
    }
  };

  const stream: StreamLink = link.stream(streamId, (bytes) => {
    if (!open) return;
    silence.refresh();
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      return refuse(asNsfleetError(error, 'read', 'stream frame'));
    }
    if (frame.seq !== received) return refuse(broken(`frame ${received} was lost: ${frame.seq} came instead`));
    received += 1;
    hear(frame);
  });
  const refuse = (error: NsfleetError): void => {
    send('error', jsonBytes(error.toWire()));
    lose(error);
  };
  const silence = setTimeout(() => lose(broken(`nothing heard for ${silenceMs / 1000} s`)), silenceMs);

  return {
    get blocked() {
      return waiting !== null;
    },
    async write(kind, data) {
      for (let at = 0; at < data.length;) {
        while (credit <= 0) {
          if (!open) throw closed();
          waiting ??= Promise.withResolvers();
          await waiting.promise;
        }
        if (!open) throw closed();
        const part = data.subarray(at, at + Math.min(credit, framePayloadMaxBytes));
        credit -= part.length;
        at += part.length;
        send(kind, part);
      }
    },
    writeEnd: (kind) => send('end', Uint8Array.of(channelNumbers[kind])),
    consumed(bytes) {
      ungranted += bytes;
      if (ungranted < grantBytes) return;
      send('credit', creditPayload(ungranted));
      ungranted = 0;
    },
    finish(kind, value) {
      send(kind, jsonBytes(value));
      close();
    },
    close,
  };
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function broken(reason: string): NsfleetError {
  return new NsfleetError('STREAM_BROKEN', { attempted: 'serve', target: 'stream', reason });
}

function closed(): NsfleetError {
  return broken('the reader went away');
}
