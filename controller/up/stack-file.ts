/** What runs, on disk: written before and after every start, so that the next start finds what a SIGKILL of this one left. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { Stack, StackProcess } from '#shared/stack.ts';
import { bootId } from './identity.ts';
import type { Identity } from './identity.ts';

/** Before the API answers there is no address yet, and so no Stack that the CLI could use: only the processes. */
const Processes = z.object({ version: z.literal(1), bootId: z.string(), processes: z.array(StackProcess) });
export type RecordedPart = z.infer<typeof StackProcess>;

/** The processes that the file names, if it is of this boot; none where it is missing or damaged. */
export function recordedParts(path: string): RecordedPart[] {
  try {
    const parsed = Processes.parse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.bootId === bootId() ? parsed.processes : [];
  } catch {
    return [];
  }
}

/** Where the parts of a starting stack are recorded; the finished stack lies in stack.json. */
export function startingFile(stackFile: string): string {
  return `${stackFile}.starting`;
}

export function writeStarting(stackFile: string, parts: readonly (Identity & { name: string })[]): void {
  writeAtomically(startingFile(stackFile), { version: 1, bootId: bootId(), processes: recorded(parts) });
}

export function writeStack(
  stackFile: string,
  stack: Omit<Stack, 'version' | 'bootId' | 'processes'>,
  parts: readonly (Identity & { name: string })[],
): void {
  writeAtomically(stackFile, Stack.parse({ version: 1, bootId: bootId(), ...stack, processes: recorded(parts) }));
}

export function removeStackFiles(stackFile: string): void {
  rmSync(stackFile, { force: true });
  rmSync(startingFile(stackFile), { force: true });
}

function recorded(parts: readonly (Identity & { name: string })[]): RecordedPart[] {
  return parts.map(({ name, pid, start }) => ({ part: name, pid, start }));
}

function writeAtomically(path: string, value: unknown): void {
  const staging = `${path}.tmp`;
  writeFileSync(staging, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(staging, path);
}
