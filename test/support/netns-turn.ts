/** One test file at a time uses the host's own /run/netns and /run/nsfleet/ns; the others' leak checks do not look there. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { sleep } from '#shared/async.ts';
import { afterFile } from './file-scope.ts';
import { ownDirectory, sharedMountDirectories } from './own-directories.ts';

const pollMs = 50;
/** Longer than any file takes that has the turn. */
const waitMs = 300_000;

/** To be awaited before `leakCheck()`: the turn is this file's until it ends. */
export async function netnsTurn(): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const server = createServer().unref();
    const taken = once(server, 'error').then(() => true);
    const got = once(server.listen('\0nsfleet-test/netns'), 'listening').then(() => false);
    if (!(await Promise.race([taken, got]))) {
      for (const directory of sharedMountDirectories) ownDirectory(directory);
      afterFile(() => void server.close());
      return;
    }
    if (performance.now() > deadline) throw new Error(`another test file uses ${sharedMountDirectories.join(' and ')} for too long`);
    await sleep(pollMs, new AbortController().signal);
  }
}
