import type { Calls } from './calls.ts';
import { Fd } from './handles.ts';
import { check, errorBuffer } from './native-error.ts';

/** See `Native.sealProgram`. */
export function sealProgram(calls: Calls, path: string): Fd {
  return one((fd, error) => calls.sealProgram(path, fd, error), 'seal program', path);
}

/** See `Native.sealBytes`. */
export function sealBytes(calls: Calls, bytes: Uint8Array, name: string): Fd {
  return one((fd, error) => calls.sealBytes(bytes, bytes.byteLength, name, fd, error), 'seal bytes as', name);
}

/** See `Native.openDir`. */
export function openDir(calls: Calls, path: string): Fd {
  return one((fd, error) => calls.openDir(path, fd, error), 'open directory', path);
}

/** See `Native.sendDescriptors`. */
export function sendDescriptors(calls: Calls, socket: number, text: string, fds: readonly Fd[]): void {
  const error = errorBuffer();
  const bytes = Buffer.from(text);
  const numbers = Int32Array.from(fds, (fd) => fd.number);
  check(calls.sendFds(socket, bytes, bytes.length, numbers, numbers.length, error), error, 'send descriptors', '');
}

/** See `Native.pipe`: [reads, writes]. */
export function pipe(calls: Calls): [Fd, Fd] {
  return two((fds, error) => calls.pipe(fds, error), 'make pipe');
}

/** See `Native.socketpair`. */
export function socketpair(calls: Calls): [Fd, Fd] {
  return two((fds, error) => calls.socketpair(fds, error), 'make socket pair');
}

function one(call: (fd: Int32Array, error: Uint8Array) => number, attempted: string, target: string): Fd {
  const error = errorBuffer();
  const fd = new Int32Array(1);
  check(call(fd, error), error, attempted, target);
  return new Fd(fd[0] ?? -1);
}

function two(call: (fds: Int32Array, error: Uint8Array) => number, attempted: string): [Fd, Fd] {
  const error = errorBuffer();
  const fds = new Int32Array(2);
  check(call(fds, error), error, attempted, '');
  return [new Fd(fds[0] ?? -1), new Fd(fds[1] ?? -1)];
}
