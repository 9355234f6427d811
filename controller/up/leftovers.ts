/** Ends what an earlier `npm start` left when it was killed: parts only. Running sandboxes live on, and the new agent adopts them. */
import { readFileSync, readdirSync } from 'node:fs';
import { endProcess } from './end.ts';
import { identify, isAlive } from './identity.ts';
import type { Identity } from './identity.ts';
import type { PartName } from './part.ts';
import { postgresGraceMs } from './postgres-left.ts';
import type { Say } from './progress.ts';
import { recordedParts, startingFile } from './stack-file.ts';

/**
 * Set in every part's environment: a part that was started in the moment before the SIGKILL stands in no file yet. Sandboxes do not
 * inherit it: their environment is made from nothing. Postgres overwrites its own and is found by its data directory.
 */
export const stackMarker = 'NSFLEET_STACK';

/** Agent first, so that it tells the controller no half-truths; what it depends on after it. */
const order: readonly PartName[] = ['agent', 'controller', 'nats', 'postgres'];
export const partSignals: Readonly<Record<PartName, { signal: NodeJS.Signals; graceMs: number }>> = {
  agent: { signal: 'SIGTERM', graceMs: 10_000 },
  controller: { signal: 'SIGTERM', graceMs: 10_000 },
  nats: { signal: 'SIGTERM', graceMs: 5000 },
  // SIGINT is Postgres's fast shutdown: sessions are ended, a checkpoint is written.
  postgres: { signal: 'SIGINT', graceMs: postgresGraceMs },
};

/** Ends every part that still runs for `runtimeDir`. */
export async function endLeftovers(stackFile: string, runtimeDir: string, say: Say): Promise<void> {
  const found = new Map<string, Identity & { name: string }>();
  for (const { part, pid, start } of [...recordedParts(stackFile), ...recordedParts(startingFile(stackFile))]) {
    if (isAlive({ pid, start })) found.set(`${pid}.${start}`, { name: part, pid, start });
  }
  for (const marked of markedProcesses(runtimeDir)) {
    const key = `${marked.pid}.${marked.start}`;
    if (!found.has(key)) found.set(key, { name: 'agent', ...marked });
  }
  const parts = [...found.values()].toSorted((a, b) => rank(a.name) - rank(b.name));
  for (const part of parts) {
    say(`${part.name}: ending process ${part.pid}, which an earlier start left`);
    const { signal, graceMs } = partSignals[part.name as PartName] ?? partSignals.agent;
    await endProcess(part, signal, graceMs);
  }
}

function rank(name: string): number {
  const index = order.indexOf(name as PartName);
  return index === -1 ? 0 : index;
}

function markedProcesses(runtimeDir: string): Identity[] {
  const marker = `${stackMarker}=${runtimeDir}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const identity = identify(Number(name));
      return identity !== null && environmentOf(name).includes(marker) ? [identity] : [];
    });
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
