/** One `shim watch`: a process that sleeps in the kernel's event buffers, so that no thread of Node has to. */
import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import { getSystemErrorMessage } from 'node:util';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import type { Child } from '#native/types.ts';
import { endShim } from '../sandbox/runner.ts';
import { createRecordReader } from './records.ts';
import type { WatcherWord } from './records.ts';

/** It waits at most a second for an event of its own. */
const readyMs = 5000;

export type WatcherMode = { type: 'tracefs'; instances: string; instance: string; table: Uint8Array } | { type: 'proc-connector' };

export type Watcher = {
  readonly pid: number;
  /** Resolves when it has ended and, with tracefs, its instance is removed. */
  close(): Promise<void>;
};

export type WatcherEar = {
  onWord(word: WatcherWord): void;
  /** It ended by itself. Not after `close`. */
  onEnd(): void;
};

/** Resolves when it has heard an event of its own. Throws a plain Error that says why it cannot; nothing is left then. */
export async function startWatcher(native: Native, program: Fd, mode: WatcherMode, ear: WatcherEar): Promise<Watcher> {
  const ready = Promise.withResolvers<void>();
  const { child, socket } = spawnWatcher(native, program, mode);
  let open = true;
  let ending: Promise<void> | null = null;
  const close = (): Promise<void> => {
    open = false;
    socket.destroy();
    ending ??= endShim(child);
    return ending;
  };
  const read = createRecordReader((word) => {
    if (word.type === 'ready') ready.resolve();
    else if (word.type === 'failed') ready.reject(new Error(failureText(mode, word.errnum)));
    else if (open) ear.onWord(word);
  });
  socket.on('data', read);
  // 'close' follows.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    ready.reject(new Error('the watcher ended before it heard anything'));
    if (!open) return;
    void close();
    ear.onEnd();
  });
  const timer = setTimeout(() => ready.reject(new Error(`the watcher is not ready after ${readyMs} ms`)), readyMs);
  try {
    await ready.promise;
    return { pid: child.pid, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function spawnWatcher(native: Native, program: Fd, mode: WatcherMode): { child: Child; socket: Socket } {
  using fds = new DisposableStack();
  const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
  const { read, write } = native.pipe();
  fds.use(read);
  fds.use(write);
  const traced = mode.type === 'tracefs';
  const table = traced ? fds.use(native.sealBytes(mode.table, 'nsfleet-events')) : nothing;
  const instances = traced ? fds.use(native.openDir(mode.instances)) : nothing;
  const child = native.spawn({
    program,
    args: ['nsfleet-shim', 'watch', traced ? 'tracefs' : 'connector', traced ? mode.instance : '-'],
    fds: [nothing, nothing, nothing, table, write, instances],
    newSession: true,
  });
  return { child, socket: new Socket({ fd: read.take(), readable: true, writable: false }) };
}

const ENODATA = 61;

function failureText(mode: WatcherMode, errnum: number): string {
  const what = mode.type === 'tracefs' ? 'the trace buffers' : 'the proc connector';
  if (errnum === ENODATA) return `${what} tell nothing of this process: the agent runs in a pid namespace of its own`;
  return `cannot read ${what}: ${getSystemErrorMessage(-errnum)}`;
}
