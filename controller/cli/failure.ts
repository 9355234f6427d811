/** How the CLI fails: one sentence with its code and what to do on standard error, nothing on standard output, an exit code. */
import type { CommanderError } from 'commander';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';
import type { Output } from './session.ts';

/** The program's exit code for what was thrown, after it was told. */
export function tellFailure(thrown: unknown, stderr: Output, json: boolean): number {
  const error = asFailure(thrown);
  stderr.write(failureText(error, json));
  return error.exitCode;
}

/** Wrong arguments. `path` is the command as it is typed: `nsfleet sandbox run`. */
export function usage(path: string, reason: string, cause?: unknown): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'understand', target: path, reason, remedy: `see \`${path} --help\``, cause });
}

/** Commander's refusal as ours: `error: unknown option '--x'\n(Did you mean --y?)` on one line. */
export function usageOf(path: string, refusal: CommanderError): NsfleetError {
  const text = refusal.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return usage(path, text, refusal);
}

function asFailure(thrown: unknown): NsfleetError {
  if (thrown instanceof NsfleetError) return thrown;
  return new NsfleetError('INTERNAL', {
    attempted: 'run',
    target: 'nsfleet',
    reason: errorText(thrown),
    remedy: 'this is a fault of the CLI itself: report it with the command line that led here',
    cause: thrown,
  });
}
