/**
 * The optional source of processes, threads and namespaces: a program in the kernel (bpf/tasks.bpf.c) that writes a record for each
 * task. A small program, bpf/load.c, loads it once and hands its link over; after that a scan is a few reads.
 */
import { existsSync } from 'node:fs';
import { sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Calls, ScanRows } from './calls.ts';
import { sealBytes, sealProgram, socketpair } from './descriptors.ts';
import { createGrowing } from './growing-buffer.ts';
import { Fd } from './handles.ts';
import { check, errnoName, errorBuffer } from './native-error.ts';
import { spawn } from './processes.ts';
import { decodeTasks, decodeTasksNeeded } from './rows.ts';
import type { TaskScan } from './types.ts';

export type TaskIterator = Disposable & {
  /** Everything of the initial pid namespace, by its numbers. Scans asked for at the same time run one after another. */
  scan(): Promise<TaskScan>;
  /** Takes the program out of the kernel, once a scan that runs has ended. */
  close(): void;
};

/** What the loader says of itself when it is of this library's time: version and sizes of task_records.h. */
const spokenHere = 'ok 1 136 48';
/** Measured: 50 ms. The verifier of an old kernel may take long. */
const loadMsMax = 10_000;
const loadPollMs = 5;
const SIGKILL = 9;
/** Threads that are elsewhere than their process are rare. */
const firstRows = { processes: 4096, namespaces: 1024, threads: 64 };

/** See `Native.openTaskIterator`. LOADER is the path of the program that native/build.mjs made, if it could. */
export async function openTaskIterator(
  calls: Calls,
  loader: string,
  rows: ScanRows = firstRows,
): Promise<TaskIterator | { unavailable: string }> {
  if (!existsSync(loader)) return { unavailable: 'it is not built: that takes clang and the static libraries of libbpf, libelf and zlib' };
  try {
    const { text, link } = await load(calls, loader);
    if (text === spokenHere && link !== null) return iterate(calls, link, { ...firstRows, ...rows });
    link?.close();
    return { unavailable: refusal(text) };
  } catch (error) {
    return { unavailable: `its loader does not run: ${errorText(error)}` };
  }
}

/** The one line that the loader says, and the link that came with it. */
async function load(calls: Calls, path: string): Promise<{ text: string; link: Fd | null }> {
  using program = sealProgram(calls, path);
  const [ours, theirs] = socketpair(calls);
  using _ours = ours;
  using _theirs = theirs;
  using nothing = sealBytes(calls, new Uint8Array(0), 'nothing');
  using child = spawn(calls, { program, args: ['nsfleet-bpf-load'], fds: [theirs, nothing, nothing], newSession: true });
  const end = performance.now() + loadMsMax;
  while (child.wait() === null) {
    if (performance.now() > end) {
      child.signal(SIGKILL);
      while (child.wait() === null) await sleep(loadPollMs);
      return { text: `it was not loaded within ${loadMsMax} ms`, link: null };
    }
    await sleep(loadPollMs);
  }
  theirs.close();
  return receive(calls, ours);
}

function receive(calls: Calls, socket: Fd): { text: string; link: Fd | null } {
  const error = errorBuffer();
  const bytes = Buffer.alloc(1024);
  const used = new Uint32Array(1);
  const fd = new Int32Array(1);
  check(calls.receive(socket.number, bytes, bytes.byteLength, used, fd, error), error, 'hear from', 'the loader of the task iterator');
  const link = (fd[0] ?? -1) < 0 ? null : new Fd(fd[0] ?? -1);
  return { text: bytes.toString('latin1', 0, used[0]).trim(), link };
}

/** `failed 1 load …` as a sentence. */
function refusal(text: string): string {
  const told = /^failed (\d+) (\S+) ?(.*)$/.exec(text);
  if (told === null) return text === '' ? 'its loader ended without a word' : `its loader is of another build: ${text}`;
  const [, errnum, step, words] = told;
  const errname = errnoName(Number(errnum));
  if (errname === 'EPERM') return 'the agent may not load programs into the kernel: that takes root, or CAP_BPF and CAP_PERFMON';
  return `the kernel refuses it (${step}: ${errname}${words === '' ? '' : `, ${words}`}): it takes Linux 5.8 or newer with BTF`;
}

function iterate(calls: Calls, link: Fd, rows: typeof firstRows): TaskIterator {
  const repeat = createGrowing(rows);
  let last: Promise<unknown> = Promise.resolve();
  const scan = (): Promise<TaskScan> =>
    repeat({
      bytesOf: ({ processes, namespaces, threads }) => calls.tasksBytes(processes, namespaces, threads),
      call: (room, buffer, error) => calls.tasks(link.number, room, buffer, error),
      neededOf: decodeTasksNeeded,
      decode: decodeTasks,
      attempted: 'read tasks from',
      target: 'the task iterator',
    });
  const close = (): void => void last.finally(() => link.close());
  return {
    scan() {
      const next = last.then(scan);
      last = next.catch(() => undefined);
      return next;
    },
    close,
    [Symbol.dispose]: close,
  };
}
