/** Runs the CLI: inside the test's process with streams of its own, or as a process by its entry script. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runCli } from '#controller/cli/program.ts';
import type { Terminal } from '#controller/cli/session.ts';
import type { Environment } from '#shared/config.ts';
import { seen } from './fixtures.ts';

export type Result = { code: number; stdout: string; stderr: string };

/** Three minutes after what the fixtures tell. */
const now = () => new Date(Date.parse(seen) + 3 * 60_000);

/** `cli(env, 'ns', 'ls')` */
export async function cli(env: Environment, ...argv: string[]): Promise<Result> {
  const out = sinkOf();
  const err = sinkOf();
  const signals = new EventEmitter();
  const terminal: Terminal = {
    stdin: Readable.from([]),
    stdout: out.stream,
    stderr: err.stream,
    env,
    now,
    signals,
    reader: new EventEmitter(),
  };
  const code = await runCli(argv, terminal);
  return { code, stdout: out.text(), stderr: err.text() };
}

/** The entry script as a process. Its standard streams are pipes. */
export function cliProcess(env: Environment, ...argv: string[]): { child: ChildProcessWithoutNullStreams; ended: Promise<Result> } {
  const script = fileURLToPath(new URL('../../../controller/nsfleet', import.meta.url));
  const child = spawn(script, argv, { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env }, stdio: 'pipe' });
  const out = collected(child.stdout);
  const err = collected(child.stderr);
  const ended = new Promise<Result>((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? (signal === null ? -1 : -2), stdout: out(), stderr: err() }));
  });
  return { child, ended };
}

function collected(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return () => text;
}

function sinkOf(): { stream: Writable; text: () => string } {
  const parts: Buffer[] = [];
  const stream = new Writable({
    write(data: Buffer, _encoding, done) {
      parts.push(data);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(parts).toString('utf8') };
}
