/** What a sandbox's command wrote: the shim's log files, and what is added to them while they are followed. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asNsfleetError } from '#shared/errors.ts';
import type { NsfleetError } from '#shared/errors.ts';
import { framePayloadMaxBytes } from '#shared/frames.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { Link } from '../link.ts';
import type { Placement } from '../sandbox/placement.ts';
import { openChannel } from './channel.ts';
import type { Channel } from './channel.ts';
import type { OpenStream } from './served-process.ts';

/** Follows by looking: a log grows by bursts, and inotify would cost a descriptor for each follower. */
const pollMs = 100;

/** Streams at once; ends with the sandbox's exit status, which has neither code nor signal while it runs. */
export function startLogs(link: Link, streamId: string, placement: Placement, directory: string, follow: boolean): OpenStream {
  const ended = new AbortController();
  const channel = openChannel(link, streamId, {
    onStdin: (data) => channel.consumed(data.length),
    onStdinEnd: () => undefined,
    onSignal: () => undefined,
    onClosed: (reason) => ended.abort(reason),
  });
  const copyAll = async (): Promise<void> => {
    try {
      await Promise.all([copyLog(channel, 'stdout', directory, more), copyLog(channel, 'stderr', directory, more)]);
      channel.finish('exit', placement.record.exit ?? { code: null, signal: null });
    } catch (error) {
      channel.finish('error', asNsfleetError(error, 'read the log of', placement.record.desired.name).toWire());
    }
  };
  /** False when the files will not grow any more: the shim writes its last bytes before it tells of the end. */
  const more = async (): Promise<boolean> => {
    ended.signal.throwIfAborted();
    if (!follow || isEnded(placement.record.state)) return false;
    await delay(pollMs, undefined, { signal: ended.signal });
    return true;
  };
  return {
    done: copyAll(),
    abort(error: NsfleetError) {
      channel.finish('error', error.toWire());
      ended.abort(error);
    },
  };
}

/** The rotated file first, then the current one, and whatever takes its place. */
async function copyLog(channel: Channel, kind: 'stdout' | 'stderr', directory: string, more: () => Promise<boolean>): Promise<void> {
  const path = join(directory, `${kind}.log`);
  let current = await openIfThere(`${path}.1`);
  if (current !== null) {
    await copyRest(channel, kind, current, 0);
    await current.close();
  }
  current = await openIfThere(path);
  try {
    for (let at = 0, again = true; ;) {
      if (current !== null) at = await copyRest(channel, kind, current, at);
      // Everything that was there when `more` said that nothing will follow has been copied.
      if (!again) break;
      again = await more();
      const next = await openIfThere(path);
      if (current !== null && next !== null && (await sameFile(current, next))) {
        await next.close();
        continue;
      }
      if (current !== null) {
        await copyRest(channel, kind, current, at);
        await current.close();
      }
      current = next;
      at = 0;
    }
  } finally {
    await current?.close();
  }
  channel.writeEnd(kind);
}

/** Copies from `at` to the end; returns where that is. */
async function copyRest(channel: Channel, kind: 'stdout' | 'stderr', file: FileHandle, at: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(framePayloadMaxBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return at;
    await channel.write(kind, Buffer.from(buffer.subarray(0, bytesRead)));
    at += bytesRead;
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

async function sameFile(a: FileHandle, b: FileHandle): Promise<boolean> {
  const [one, other] = await Promise.all([a.stat(), b.stat()]);
  return one.ino === other.ino && one.dev === other.dev;
}
