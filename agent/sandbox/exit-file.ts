/** The file that the shim leaves, fsynced, when a sandbox has ended: `nsfleet-exit 1\ncode C\nsignal S\nended_ms T\n`, and
 * `ended_by ttl|idle|deadline\n` where its lifetime ended it, `oom_kills N\n` where the kernel killed for want of memory. */
import { join } from 'node:path';
import { lifetimeLimits } from '#shared/plan.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { readIfThere } from '../durable-file.ts';

export type Ended = { exit: ExitStatus; endedMs: number };

/** Null if there is none, or if it is not what the shim writes. */
export async function readExitFile(directory: string): Promise<Ended | null> {
  const text = (await readIfThere(join(directory, 'exit')))?.toString('latin1');
  return text === undefined ? null : parseExitFile(text);
}

export function parseExitFile(text: string): Ended | null {
  const match =
    /^nsfleet-exit 1\ncode (-1|[0-9]{1,3})\nsignal ([0-9]{1,2})\nended_ms ([0-9]{1,15})\n(?:ended_by (ttl|idle|deadline)\n)?(?:oom_kills ([0-9]{1,10})\n)?$/u.exec(
      text,
    );
  const exit = match === null ? null : exitStatus(Number(match[1]), Number(match[2]), Number(match[5] ?? 0), match[4]);
  return exit === null ? null : { exit, endedMs: Number(match?.[3]) };
}

/** The shim's numbers as one status; null where they are none. */
export function exitStatus(code: number, signal: number, oomKills = 0, endedBy?: string): ExitStatus | null {
  const limit = lifetimeLimits.find((name) => name === endedBy);
  const more = { ...(limit === undefined ? {} : { endedBy: limit }), ...(oomKills > 0 ? { oomKills } : {}) };
  if (signal >= 1 && signal <= 64) return { code: null, signal, ...more };
  return code >= 0 && code <= 255 ? { code, signal: null, ...more } : null;
}
