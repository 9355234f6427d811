/** One namespace in every place where one can hide: test/fixtures/hiding-places, compiled, started, read and ended. Needs root. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { HolderKind, NamespaceType } from '#shared/namespace.ts';
import { compileFixture } from './compile.ts';

/** A path to the compiled program, for where compiling is slow: in a guest that is emulated. */
export const programVariable = 'NSFLEET_TEST_HIDING_PLACES';
/** Making all places takes 0.1 s here, and two seconds in an emulated guest. */
const readyMs = 30_000;
const endMs = 20_000;

const Holder = z.object({
  kind: HolderKind,
  /** For kinds that a descriptor or a mount makes: the process that keeps it, if there is one. */
  pid: z.number().optional(),
  tid: z.number().optional(),
  fd: z.number().optional(),
  path: z.string().optional(),
  /** Inode of the mount namespace that `path` is in. */
  mountNamespace: z.number().optional(),
});

const Place = z.object({
  place: z.string(),
  type: NamespaceType,
  inode: z.number(),
  /** NS_GET_ID in decimal; null where the kernel has none */
  id: z.string().nullable(),
  /** What finds the place beside /proc: listns(2), Linux 6.19, or the namespace ioctls of pidfds, Linux 6.11. */
  needs: z.enum(['listns', 'pidfd']).nullable(),
  /** null: no interface but listns(2) shows the namespace, and nothing names what holds it */
  holder: Holder.nullable(),
});
export type HidingPlace = z.infer<typeof Place>;

const Line = z.union([
  Place,
  z.object({ place: z.string(), unavailable: z.string() }),
  z.object({ ready: z.literal(true), netnsPath: z.string(), madeNetnsDirectory: z.boolean() }),
]);

export type HidingPlaces = AsyncDisposable & {
  places: HidingPlace[];
  /** places that this kernel cannot make, with the step that failed */
  unavailable: { place: string; unavailable: string }[];
  pid: number;
  /** the name that `ip netns` lists */
  netnsPath: string;
  /** below it are all mounts but the one in /run/netns */
  directory: string;
  /** Everything undone. `kill`: by SIGKILL to the program, which must come to the same. */
  end: (how?: 'close' | 'kill') => Promise<void>;
};

/** Compiles into `directory` and returns the program's path. */
export function compileHidingPlaces(directory: string): Promise<string> {
  return compileFixture('hiding-places/*.c', join(directory, 'hiding-places-program'));
}

/** Starts it with its mounts in a new directory below `directory`; returns when all places are made. */
export async function startHidingPlaces(directory: string): Promise<HidingPlaces> {
  const program = process.env[programVariable] ?? (await compileHidingPlaces(directory));
  const mounts = join(directory, 'hiding-places');
  mkdirSync(mounts, { recursive: true });
  const child = spawn(program, [mounts], { stdio: ['pipe', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  child.stderr.on('data', (data: Buffer) => said.push(data));
  // The janitor holds standard output until everything is undone: `close` comes after that, `exit` may come before.
  const closed = once(child, 'close');
  const pid = child.pid ?? 0;
  let netns = { path: '', made: false };
  const end = async (how: 'close' | 'kill' = 'close'): Promise<void> => {
    if (how === 'kill') child.kill('SIGKILL');
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
    await closed.finally(() => clearTimeout(timer));
    clear(mounts, netns);
  };
  const found = { places: [] as HidingPlace[], unavailable: [] as { place: string; unavailable: string }[] };
  const timer = setTimeout(() => child.kill('SIGKILL'), readyMs);
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      const line = Line.parse(JSON.parse(text));
      if ('ready' in line) {
        netns = { path: line.netnsPath, made: line.madeNetnsDirectory };
        return { ...found, pid, netnsPath: line.netnsPath, directory: mounts, end, [Symbol.asyncDispose]: end };
      }
      if ('unavailable' in line) found.unavailable.push(line);
      else found.places.push(line);
    }
  } catch (error) {
    await end('kill');
    throw error;
  } finally {
    clearTimeout(timer);
  }
  await end('kill');
  throw new Error(`hiding-places ended early: ${Buffer.concat(said).toString().trim()}`);
}

/** What is left when somebody killed the janitor too. */
function clear(mounts: string, netns: { path: string; made: boolean }): void {
  const targets = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target !== '' && (target === mounts || target.startsWith(`${mounts}/`) || target === netns.path));
  // The latest first: a mount that lies on another one is the only one that its path leads to.
  for (const target of targets.toReversed()) execFileSync('umount', ['-l', target], { stdio: 'ignore' });
  if (netns.path !== '') rmSync(netns.path, { force: true });
  rmSync(mounts, { recursive: true, force: true });
  const directory = dirname(netns.path);
  if (netns.made && existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}
