/** A WebSocket client of the stream routes, with what came in order. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { WireError } from '#shared/sandbox.ts';
import { decodeFrame, encodeFrame } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';

export type ExecClient = {
  socket: WebSocket;
  frames: Frame[];
  send(kind: FrameKind, payload?: Uint8Array): void;
  /** Resolves with the frame of that kind, which may have come already. */
  frame(kind: FrameKind): Promise<Frame>;
  /** The close code. */
  closed: Promise<number>;
  stdoutBytes(): number;
};

/** Opens and sends the first message; fails where it is not opened. */
export async function openStream(address: string, token: string, path: string, first: unknown): Promise<ExecClient> {
  const url = new URL(path, address.replace('http', 'ws'));
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  socket.on('message', (data: Buffer) => {
    frames.push(decodeFrame(new Uint8Array(data)));
    for (const look of waiting) look();
  });
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  if (first !== undefined) socket.send(typeof first === 'string' ? first : JSON.stringify(first));
  let sequence = 0;
  return {
    socket,
    frames,
    closed,
    send(kind, payload) {
      socket.send(encodeFrame(kind, sequence, payload));
      sequence += 1;
    },
    frame: (kind) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = frames.find((frame) => frame.kind === kind);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void closed.then((code) => {
          look();
          reject(new Error(`closed with ${code} without ${kind}`));
        });
      }),
    stdoutBytes: () => frames.reduce((sum, frame) => sum + (frame.kind === 'stdout' ? frame.payload.length : 0), 0),
  };
}

export function errorOf(frame: Frame): WireError {
  return WireError.parse(JSON.parse(new TextDecoder().decode(frame.payload)));
}
