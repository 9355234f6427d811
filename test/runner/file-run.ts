/** One test file in a process of its own: hears what it tells, and sees to it that it ends. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { sleep } from '#shared/async.ts';
import { identify } from '#controller/up/identity.ts';
import type { Marker } from '#test/support/process-tree.ts';
import { endFile } from './end-file.ts';
import { askSignal } from './frames.ts';
import type { Counts, Frame } from './frames.ts';
import { complaints, hear, nothingTold } from './told.ts';
import type { Told } from './told.ts';

export type FileLimits = {
  /** one test */
  testMs: number;
  /** from its last result to the end of the process, with the hooks that run then */
  quietMs: number;
};

export type FileResult = { file: string; passed: boolean; counts: Counts | null; failures: string; complaints: string[] };

const pollMs = 100;
/** For the answer to askSignal; a process that computes without end gives none. */
const askMs = 1000;
/** What a process wrote before it ended is there already; who else holds its output may do so for ever. */
const outputMs = 2000;
const reporter = new URL('reporter.ts', import.meta.url).href;

/**
 * Runs `file` (relative to `root`) and hands its readable report to `print` as it comes. Never throws for what the file does: a file
 * that does not tell its end, or does not end, is in the result's complaints.
 */
export async function runFile(
  file: string,
  root: string,
  limits: FileLimits,
  env: NodeJS.ProcessEnv,
  print: (text: string) => void,
  stop: AbortSignal,
): Promise<FileResult> {
  const marker: Marker = { variable: 'NSFLEET_TEST_PROCESS', value: randomUUID() };
  // A suite may be run by a test: Node's own runner would have the inner one skip everything.
  const { NODE_TEST_CONTEXT: _, ...inherited } = env;
  const child = spawn(process.execPath, [`--test-timeout=${limits.testMs}`, `--test-reporter=${reporter}`, file], {
    cwd: root,
    env: { ...inherited, [marker.variable]: marker.value },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const { stdout, stderr } = child;
  const frames = child.stdio[3];
  if (stdout === null || stderr === null || !(frames instanceof Readable)) throw new Error(`${file}: no pipe to its process`);
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const told = nothingTold();
  let heardAt = performance.now();
  const closed = [stdout, stderr].map((stream) => readAll(stream, print));
  closed.push(
    readLines(frames, (line) => {
      heardAt = performance.now();
      print(hear(told, JSON.parse(line) as Frame));
    }),
  );
  const over = new AbortController();
  const killed = watch(child, marker, told, limits, () => heardAt, AbortSignal.any([over.signal, stop]), stop);
  const [code, signal] = await exited;
  over.abort();
  const why = await killed;
  const late = new AbortController();
  const outputHeld = await Promise.race([
    Promise.all(closed).then(() => false),
    sleep(outputMs, late.signal).then(
      () => true,
      () => false,
    ),
  ]);
  late.abort();
  for (const stream of [stdout, stderr, frames]) stream.destroy();
  const wrong = complaints(told, { code, signal, killed: why, outputHeld });
  const passed = wrong.length === 0 && told.end?.success === true;
  return { file, passed, counts: told.end?.counts ?? null, failures: told.failures, complaints: wrong };
}

/** Ends the process when it is silent for too long, or when the run is to stop; why, or null when it ended by itself before `until`. */
async function watch(
  child: ChildProcess,
  marker: Marker,
  told: Told,
  limits: FileLimits,
  heardAt: () => number,
  until: AbortSignal,
  stop: AbortSignal,
): Promise<string | null> {
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (identity === null) return null;
  for (;;) {
    await sleep(pollMs, until).catch(() => undefined);
    if (stop.aborted) {
      await endFile(identity, marker);
      return 'was stopped';
    }
    if (until.aborted) return null;
    // Before its first test it imports, and sets up; a test has a limit of its own, which its process keeps.
    const busy = told.running.size > 0 || told.results === 0;
    const limitMs = busy ? limits.testMs + limits.quietMs : limits.quietMs;
    if (performance.now() - heardAt() < limitMs) continue;
    const after = busy ? 'had told nothing' : 'was still there, with all its tests finished,';
    const open = await whatIsOpen(child, told);
    const ended = await endFile(identity, marker);
    const started = ended.length === 0 ? '' : `; it had started ${ended.join(', ')}`;
    return `${after} for ${limitMs / 1000} s and was killed (${open}${started})`;
  }
}

async function whatIsOpen(child: ChildProcess, told: Told): Promise<string> {
  // Its handler is there once it told anything; without, the signal would end it.
  if (told.running.size > 0 || told.results > 0) child.kill(askSignal);
  const end = performance.now() + askMs;
  while (told.open === null && performance.now() < end) await sleep(pollMs);
  if (told.open === null) return 'it did not answer what keeps it';
  return told.open.length === 0 ? 'nothing keeps it open' : `what keeps it: ${told.open.join(', ')}`;
}

async function readAll(stream: Readable, print: (text: string) => void): Promise<void> {
  stream.setEncoding('utf8').on('data', print);
  await once(stream, 'close');
}

async function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  await once(stream, 'close');
}
