import type { Calls } from './calls.ts';
import { Fd } from './handles.ts';
import { nsfChild, nsfExit } from './layout.ts';
import { check, errorBuffer } from './native-error.ts';
import type { Child, ChildExit, ProcessHandle, SpawnRequest } from './types.ts';

const NEW_SESSION = 1;
const INTO_CGROUP = 2;
const noStrings = new Uint8Array(1);

/** See `Native.spawn`. */
export function spawn(calls: Calls, request: SpawnRequest): Child {
  const { program, args, newSession, cgroup } = request;
  const fds = cgroup === undefined ? request.fds : [...request.fds, cgroup];
  const name = args[0];
  if (name === undefined || args.some((arg) => arg.includes('\0'))) throw new TypeError('args: at least one, and no NUL in them');
  const error = errorBuffer();
  const out = new Uint8Array(nsfChild.whole);
  const argv = Buffer.from(`${args.join('\0')}\0`);
  const numbers = Int32Array.from(fds, (fd) => fd.number);
  const flags = (newSession ? NEW_SESSION : 0) | (cgroup === undefined ? 0 : INTO_CGROUP);
  const result = calls.spawn(program.number, argv, args.length, noStrings, 0, numbers, numbers.length, flags, out, error);
  check(result, error, 'start', name);
  const view = new DataView(out.buffer);
  const pid = view.getInt32(nsfChild.pid[0], true);
  const startTicks = view.getBigUint64(nsfChild.start_ticks[0], true);
  const handle = processHandle(calls, pid, startTicks, new Fd(view.getInt32(nsfChild.pidfd[0], true)));
  let exit: ChildExit | null = null;
  return Object.assign(handle, {
    wait: (): ChildExit | null => {
      exit ??= wait(calls, handle);
      return exit;
    },
  });
}

/** See `Native.openProcess`. */
export function openProcess(calls: Calls, pid: number, startTicks: bigint): ProcessHandle {
  const error = errorBuffer();
  const pidfd = new Int32Array(1);
  check(calls.pidfdOpen(pid, startTicks, pidfd, error), error, 'open process', String(pid));
  return processHandle(calls, pid, startTicks, new Fd(pidfd[0] ?? -1));
}

/** See `Native.processStart`. */
export function processStart(calls: Calls, pid: number): bigint {
  const error = errorBuffer();
  const startTicks = new BigUint64Array(1);
  check(calls.processStart(pid, startTicks, error), error, 'read start time of process', String(pid));
  return startTicks[0] ?? 0n;
}

function processHandle(calls: Calls, pid: number, startTicks: bigint, pidfd: Fd): ProcessHandle {
  return {
    pid,
    startTicks,
    pidfd,
    signal: (number) => {
      const error = errorBuffer();
      check(calls.pidfdSignal(pidfd.number, number, error), error, `send signal ${number} to process`, String(pid));
    },
    close: () => pidfd.close(),
    [Symbol.dispose]: () => pidfd.close(),
  };
}

function wait(calls: Calls, { pid, pidfd }: ProcessHandle): ChildExit | null {
  const error = errorBuffer();
  const out = new Uint8Array(nsfExit.whole);
  check(calls.wait(pidfd.number, out, error), error, 'wait for process', String(pid));
  const view = new DataView(out.buffer);
  if (view.getInt32(nsfExit.running[0], true) === 1) return null;
  return { code: view.getInt32(nsfExit.code[0], true), signal: view.getInt32(nsfExit.signal[0], true) };
}
