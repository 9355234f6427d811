/**
 * Ending sandboxes that could not be stopped through the API, when the agent is gone: each shim listens in its state directory. The
 * next agent finds the exit file that the shim writes.
 */
import { closeSync, constants, openSync, readdirSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Say } from './progress.ts';

/** After SIGKILL to a sandbox's init the kernel ends all of it; the shim then writes the exit file and is gone. */
const goneMs = 10_000;

/** Kills every sandbox whose shim still listens below `<agentState>/placements`. */
export async function endShims(agentState: string, say: Say): Promise<void> {
  const placements = join(agentState, 'placements');
  if (statSync(placements, { throwIfNoEntry: false }) === undefined) return;
  const ended = await Promise.all(readdirSync(placements).map((name) => endShim(join(placements, name))));
  const killed = ended.filter((result) => result).length;
  if (killed > 0) say(`killed ${killed === 1 ? '1 sandbox' : `${killed} sandboxes`} that did not stop`);
}

/** True where there was one. */
function endShim(dir: string): Promise<boolean> {
  let fd: number;
  try {
    fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return Promise.resolve(false);
  }
  return new Promise((resolve) => {
    let greeted = false;
    // sun_path holds 107 bytes, and a state directory may be deeper than that.
    const socket = createConnection(`/proc/self/fd/${fd}/shim.sock`);
    socket.setTimeout(goneMs, () => socket.destroy());
    socket.once('data', (data) => {
      greeted = String(data).startsWith('nsfleet-shim ');
      if (greeted) socket.write('kill\n');
      else socket.destroy();
    });
    // Nobody listens where a sandbox has ended.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      closeSync(fd);
      resolve(greeted);
    });
    socket.resume();
  });
}
