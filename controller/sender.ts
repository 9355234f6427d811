/** Desired placements on their way to hosts, cut into messages below the limit. What is lost on the way is sent again by the loop. */
import { encodeMessage, messageMaxBytes, protocolVersion, subjects } from '#shared/messages.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import type { Link } from './link.ts';
import type { Metrics } from './metrics.ts';

/** Do.placements allows as many. */
const placementsPerMessage = 200;
/** Room for the message around its placements. */
const frameBytes = 1024;

export type SendReason = 'create' | 'change' | 'stop' | 'remove' | 'followUp' | 'digest' | 'hello' | 'unconfirmed';

export type Sender = {
  /** False where there is no connection to NATS. `tell` asks the host for the status of everything it holds. */
  send(hostId: string, placements: readonly DesiredPlacement[], reason: SendReason, tell?: boolean): boolean;
  /** Asks an agent that only beats to introduce itself again. */
  askHello(hostId: string): boolean;
};

export function createSender(link: Link, controllerId: string, metrics: Metrics): Sender {
  const base = { v: protocolVersion, controllerId, hello: false } as const;
  return {
    send(hostId, placements, reason, tell = false) {
      const chunks = chunksOf(placements);
      // `tell` with nothing else to say is a message too.
      if (chunks.length === 0 && tell) chunks.push([]);
      metrics.sent.inc({ reason }, placements.length);
      return chunks.every((chunk, index) =>
        link.publish(
          subjects.toAgent('do', hostId),
          encodeMessage('do', { ...base, tell: tell && index === chunks.length - 1, placements: chunk }),
        ),
      );
    },
    askHello: (hostId) =>
      link.publish(subjects.toAgent('do', hostId), encodeMessage('do', { ...base, tell: false, hello: true, placements: [] })),
  };
}

/** Cuts by count and by encoded size. One placement always fits: the API's request limit sees to it. */
export function chunksOf(placements: readonly DesiredPlacement[]): DesiredPlacement[][] {
  const chunks: DesiredPlacement[][] = [];
  let chunk: DesiredPlacement[] = [];
  let bytes = frameBytes;
  for (const placement of placements) {
    const size = Buffer.byteLength(JSON.stringify(placement)) + 1;
    if (chunk.length > 0 && (chunk.length >= placementsPerMessage || bytes + size > messageMaxBytes)) {
      chunks.push(chunk);
      chunk = [];
      bytes = frameBytes;
    }
    chunk.push(placement);
    bytes += size;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}
