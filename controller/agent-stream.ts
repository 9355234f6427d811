/**
 * One byte stream between this controller and an agent, over two NATS subjects. Frames are numbered each way, because core NATS may
 * lose one: a gap ends the stream. Neither side has more bytes under way than the other granted.
 */
import { randomUUID } from 'node:crypto';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import { creditPayload, decodeFrame, encodeFrame, initialCreditBytes, readCredit } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';
import { subjects } from '#shared/messages.ts';
import type { AskedHost, Asker } from './asker.ts';
import type { Link } from './link.ts';

/** An agent that went away leaves its stream silent: the server knows at once that nobody listens there any more. */
const probeIntervalMs = 5000;
/** The last frames of an agent that has just closed its side may still be on their way. */
const lastFramesMs = 1000;

export type StreamEvents = {
  /** Data, `end`, `exit` and `error` of the agent, in order. Data counts against what was granted until `consumed` is called. */
  onFrame: (frame: Frame) => void;
  /** More may be sent: `creditBytes` has grown. */
  onCredit: () => void;
  /** The stream ended without `exit` or `error`. */
  onBroken: (error: NsfleetError) => void;
};

export type AgentStream = {
  readonly id: string;
  readonly host: AskedHost;
  /** How much `stdin` the agent still takes. */
  creditBytes(): number;
  send(kind: FrameKind, payload?: Uint8Array): void;
  /** `bytes` of the data that came are gone for good: the agent may send as much again. */
  consumed(bytes: number): void;
  /** Ends it here; tells the agent, unless it said its last word. */
  close(): void;
};

/** stdout and stderr. */
const channelsMax = 2;

/** Grants are collected to this size: a credit frame for every data frame would double the messages. */
const grantBytes = initialCreditBytes / 4;

/** Listens before anybody is asked to send. */
export function createAgentStream(link: Link, asker: Asker, host: AskedHost, events: StreamEvents): AgentStream {
  const id = randomUUID();
  const outward = subjects.streamToAgent(host.id, id);
  let open = true;
  let sent = 0;
  let received = 0;
  let credit = initialCreditBytes;
  /** What the agent may still send, and what of it is consumed and not granted again. */
  let window = initialCreditBytes;
  let ungranted = 0;
  let ends = 0;

  const finish = () => {
    open = false;
    clearInterval(prober);
    unsubscribe();
  };
  const broken = (reason: string, cause?: unknown) => {
    if (!open) return;
    close();
    events.onBroken(new NsfleetError('STREAM_BROKEN', { attempted: 'read the stream from host', target: host.name, reason, cause }));
  };
  const send = (kind: FrameKind, payload?: Uint8Array) => {
    if (!open) return;
    if (kind === 'stdin') credit -= payload?.length ?? 0;
    const delivered = link.publish(outward, encodeFrame(kind, sent, payload));
    sent += 1;
    if (!delivered) broken('this controller lost its connection to NATS');
  };
  const close = () => {
    if (!open) return;
    link.publish(outward, encodeFrame('close', sent));
    finish();
  };
  const receive = (frame: Frame) => {
    if (frame.seq !== received) return broken(`frame ${received} was lost: ${frame.seq} came instead`);
    received += 1;
    if (frame.kind === 'credit') {
      credit += readCredit(frame.payload);
      return events.onCredit();
    }
    // Whatever is not granted must be small, and there can be only a few of it: it waits for a slow reader in this process's memory.
    switch (frame.kind) {
      case 'stdout':
      case 'stderr':
        window -= frame.payload.length;
        if (window < 0) return broken('the agent sent more than it was granted');
        break;
      case 'end':
        ends += 1;
        if (ends > channelsMax || frame.payload.length !== 1) return broken('the agent ended a channel that it does not have');
        break;
      case 'exit':
      case 'error':
        finish();
        break;
      case 'stdin':
      case 'signal':
      case 'close':
        return broken(`an agent has no ${frame.kind} to send`);
    }
    events.onFrame(frame);
  };
  const unsubscribe = link.subscribe(subjects.streamFromAgent(host.id, id), (message) => {
    if (!open) return;
    let frame: Frame;
    try {
      frame = decodeFrame(message.data);
    } catch (error) {
      return broken(asNsfleetError(error, 'read', 'frame').reason, error);
    }
    receive(frame);
  });
  const prober = setInterval(() => {
    if (!open) return;
    const nobody = () => setTimeout(() => broken('its agent is gone'), lastFramesMs).unref();
    asker.probe(host.id, outward, encodeFrame('credit', sent, creditPayload(0)), nobody);
    sent += 1;
  }, probeIntervalMs);
  prober.unref();

  return {
    id,
    host,
    creditBytes: () => credit,
    send,
    consumed(bytes) {
      ungranted += bytes;
      if (!open || ungranted < grantBytes) return;
      window += ungranted;
      send('credit', creditPayload(ungranted));
      ungranted = 0;
    },
    close,
  };
}
