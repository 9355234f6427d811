/** Programs of the checkout run by root as nobody, who may not walk to a checkout below /root. */
import { fileURLToPath } from 'node:url';

export const nobody = { uid: 65_534, gid: 65_534 };
const checkout = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The command that runs the checkout's Node with `args` as nobody. It finds the checkout at `place`, an empty directory that nobody
 * may enter, in a mount namespace of its own; that is its working directory.
 */
export function asNobody(place: string, args: readonly string[]): { file: string; args: string[]; cwd: string } {
  const become = `setpriv --reuid ${nobody.uid} --regid ${nobody.gid} --clear-groups`;
  const script = `mount --bind "$0" "$1" && cd "$1" && shift && exec ${become} node_modules/.bin/node "$@"`;
  return { file: 'unshare', args: ['--mount', '--propagation', 'private', 'sh', '-c', script, checkout, place, ...args], cwd: '/' };
}
