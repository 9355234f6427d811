/** A program run to its end, for set-up: never a shell, output kept within a bound. */
import { spawn } from 'node:child_process';

export type RunResult = { code: number; stdout: string; stderr: string };

/** The last part of each stream is kept: what a failing program says last tells why. */
const outputMaxChars = 64 * 1024;

/** Exit code 127 where `file` cannot be started, 128 where a signal ended it; nothing is thrown. */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs: number; input?: string; signal?: AbortSignal },
): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...(options.env ?? process.env), LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    // Node’s own `timeout` keeps the process waiting for it where the program could not be started.
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    const output = { stdout: '', stderr: '' };
    const keep = (stream: 'stdout' | 'stderr') => (chunk: string) => {
      output[stream] = (output[stream] + chunk).slice(-outputMaxChars);
    };
    child.stdout.setEncoding('utf8').on('data', keep('stdout'));
    child.stderr.setEncoding('utf8').on('data', keep('stderr'));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      // An aborted one was started: its end follows.
      if (child.pid !== undefined) return;
      clearTimeout(timer);
      resolve({ code: 127, stdout: '', stderr: error.message });
    });
    child.on('exit', () => clearTimeout(timer));
    child.on('close', (code, signal) => {
      const stderr = signal === null ? output.stderr : `${output.stderr}\nended by ${signal} (limit ${options.timeoutMs} ms)`;
      resolve({ code: code ?? 128, stdout: output.stdout, stderr });
    });
  });
}
