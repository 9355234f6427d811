/** The state of a sandbox in words, as docker's STATUS column has them. */
import type { Sandbox } from '#shared/resources.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { signalName } from '#shared/signal.ts';
import { ago, durationText, elapsedMs } from '../output/times.ts';

/** A shell's exit code for a status: the command's own, or 128 + the signal's number. */
export function exitCodeOf(exit: ExitStatus): number {
  return exit.code ?? 128 + (exit.signal ?? 0);
}

/** `Up 3 minutes`, `Exited (0) 2 hours ago`, `Failed COMMAND_NOT_FOUND 2 hours ago` … */
export function statusText(sandbox: Sandbox, now: Date): string {
  const ended = sandbox.endedAt === null ? '' : ` ${ago(sandbox.endedAt, now)}`;
  const code = sandbox.exit === null ? '' : ` (${exitCodeOf(sandbox.exit)})`;
  const up = sandbox.startedAt === null ? '' : durationText(elapsedMs(sandbox.startedAt, null, now));
  switch (sandbox.state) {
    case 'placed':
      return 'Placed';
    case 'running':
      return `Up ${up}`.trimEnd();
    case 'paused':
      return `Paused, up ${up}`;
    case 'stopping':
      return up === '' ? 'Stopping' : `Stopping, up ${up}`;
    case 'stopped':
      return `Exited${code}${ended}`;
    case 'failed':
      return `Failed${sandbox.error === null ? '' : ` ${sandbox.error.code}`}${ended}`;
    case 'lost':
      return `Lost${ended}`;
    case 'removed':
      return `Removed${code}${ended}`;
    default:
      return sandbox.state satisfies never;
  }
}

const endedByText = { ttl: 'its time to live', idle: 'idleness', deadline: 'its deadline', stop: 'a stop' } as const;

/** `code 0`, `killed by SIGKILL (137)`. */
export function exitText(exit: ExitStatus | null): string {
  if (exit === null) return '';
  const oom = exit.oomKills === undefined ? '' : `, out of memory: the kernel killed ${exit.oomKills} of its processes at the limit`;
  const by = exit.endedBy === undefined ? '' : `, ended by ${endedByText[exit.endedBy]}`;
  return (exit.signal === null ? `code ${exit.code}` : `killed by ${signalName(exit.signal)} (${exitCodeOf(exit)})`) + by + oom;
}
