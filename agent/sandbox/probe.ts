/** Asks the shim of a placement's directory who it is: the truth after a restart of the agent, whatever the state file says. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Native } from '#native/binding.ts';
import { sleep } from '#shared/async.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { readExitFile } from './exit-file.ts';
import type { ShimEvents } from './runner.ts';
import { openShimLink } from './shim-link.ts';
import type { ShimLink } from './shim-link.ts';

/** A shim that was just spawned listens within a millisecond, on a crowded host within many. */
const listenBoundMs = 2000;
const listenPollMs = 20;
/** A shim that is still making its sandbox says hello when the command runs. */
const helloTimeoutMs = 30_000;

export type Probe =
  | { type: 'running'; shimPid: number; initPid: number; commandPid: number; link: ShimLink }
  | { type: 'ended'; exit: ExitStatus; endedMs: number }
  /** a shim was there and ended without having run the command */
  | { type: 'failed' }
  /** a shim was there and is gone, and left no word */
  | { type: 'gone' }
  /** no shim ever worked here */
  | { type: 'nothing' };

/** `mayStillStart`: the agent may have died right after it spawned the shim. */
export async function probeShim(native: Native, directory: string, mayStillStart: boolean, events: ShimEvents): Promise<Probe> {
  const deadline = performance.now() + listenBoundMs;
  for (;;) {
    const answer = await askShim(native, directory, events);
    if (answer !== 'refused' && answer !== 'silent') return { type: 'running', ...answer };
    const ended = await readExitFile(directory);
    if (ended !== null) return { type: 'ended', ...ended };
    if (answer === 'silent') return { type: 'failed' };
    if (!existsSync(join(directory, 'stdout.log')) && !mayStillStart) return { type: 'nothing' };
    if (!mayStillStart || performance.now() > deadline) {
      // The shim's first act is to open its logs.
      return existsSync(join(directory, 'stdout.log')) ? { type: 'gone' } : { type: 'nothing' };
    }
    await sleep(listenPollMs);
  }
}

type Hello = { shimPid: number; initPid: number; commandPid: number; link: ShimLink };

/** `refused`: nobody listens. `silent`: somebody did, and went away without a hello. */
async function askShim(native: Native, directory: string, events: ShimEvents): Promise<Hello | 'refused' | 'silent'> {
  // sun_path holds 107 bytes and the state directory's path may be longer: connect through a descriptor of the directory.
  using opened = native.openDir(directory);
  const socket = connect({ path: `/proc/self/fd/${opened.number}/shim.sock` });
  const { promise, resolve } = Promise.withResolvers<Hello | 'refused' | 'silent'>();
  let said = false;
  const refuse = (): void => resolve('refused');
  socket.once('error', refuse);
  socket.once('connect', () => {
    socket.off('error', refuse);
    const timer = setTimeout(() => {
      link.close();
      resolve('silent');
    }, helloTimeoutMs);
    const link = openShimLink(socket, {
      onWord(word) {
        if (word.type === 'exit') events.onExit(word.exit);
        if (word.type !== 'hello' || said) return;
        said = true;
        clearTimeout(timer);
        resolve({ shimPid: word.shimPid, initPid: word.initPid, commandPid: word.commandPid, link });
      },
      onClose() {
        clearTimeout(timer);
        if (said) events.onGone();
        else resolve('silent');
      },
    });
  });
  return await promise;
}
