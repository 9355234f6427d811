/** Ends a test file's process that does not end by itself, and all that it started: it has no chance to tidy up any more. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '#shared/async.ts';
import { identify, isAlive, signalProcess } from '#controller/up/identity.ts';
import type { Identity } from '#controller/up/identity.ts';
import { directoryPrefix, testBase } from '#test/support/own-directories.ts';
import { removeEmptyCgroups } from '#test/support/own-cgroups.ts';
import { belongingTo, commandOf } from '#test/support/process-tree.ts';
import type { Marker } from '#test/support/process-tree.ts';
import { removeDirectory } from '#test/support/remove-directory.ts';

/** SIGKILL is certain but not immediate. */
const goneMs = 5000;
/** A process may start another one while it is being found. */
const rounds = 5;

/** SIGKILL for `file` first, so that it starts nothing more, then for what belongs to it; removes its directories with what is mounted below. The commands ended. */
export async function endFile(file: Identity, marker: Marker): Promise<string[]> {
  const roots = existsSync(testBase())
    ? readdirSync(testBase())
        .filter((name) => name.startsWith(directoryPrefix(file.pid)))
        .map((name) => join(testBase(), name))
    : [];
  // Found before it dies: afterwards they are nobody's children.
  const first = belongings(file.pid, marker, roots);
  signalProcess(file, 'SIGKILL');
  const ended: string[] = [];
  for (let round = 0, left = first; left.length > 0 && round < rounds; round += 1) {
    ended.push(...left.map(({ pid }) => commandOf(pid)));
    for (const each of left) signalProcess(each, 'SIGKILL');
    await gone(left);
    left = belongings(file.pid, marker, roots);
  }
  await gone([file]);
  removeEmptyCgroups(file.pid);
  for (const root of roots) removeDirectory(root);
  return ended;
}

function belongings(pid: number, marker: Marker, roots: readonly string[]): Identity[] {
  return belongingTo(pid, marker, roots).flatMap((each) => identify(each) ?? []);
}

async function gone(processes: readonly Identity[]): Promise<void> {
  const end = performance.now() + goneMs;
  while (processes.some(isAlive) && performance.now() < end) await sleep(10);
}
