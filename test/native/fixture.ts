/** The library as the tests use it: built if stale, loaded once; and what several of the tests watch. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadNative } from '#native/binding.ts';
import type { LoadOptions, Native } from '#native/binding.ts';
import { buildNative } from '#native/build.mjs';
import { findCompiler, run } from '#native/compiler.mjs';

export async function builtNative(options: LoadOptions = {}): Promise<Native> {
  const { library } = await buildNative({ parts: ['library'] });
  return loadNative({ library, ...options });
}

/** A directory that is removed at the end of the block. */
export function temporaryDirectory(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'nsfleet-native-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Compiles C beside this file: a static program, or with `shared` a library. Returns its path in `directory`. */
export async function compile(file: string, directory: string, shared = false): Promise<string> {
  const compiler = await findCompiler({ work: directory, log: () => undefined });
  const output = join(directory, file.replace(/\.c$/, shared ? '.so' : ''));
  const source = fileURLToPath(new URL(file, import.meta.url));
  const flags = shared ? [...compiler.target('library'), '-shared', '-fPIC'] : [...compiler.target('shim'), ...compiler.staticPie];
  await run([...compiler.command, ...flags, '-O2', source, '-o', output], { what: `compile ${file}` });
  return output;
}

/** Numbers of this process's open descriptors, but not of the one that lists them. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return !readlinkSync(`/proc/self/fd/${fd}`).startsWith(`/proc/${process.pid}/fd`);
    } catch {
      return false;
    }
  });
}

/** A running program, killed and reaped at the end of the block. `until` waits for what it needs to do first. */
export async function running(
  command: string[],
  until: (pid: number) => boolean,
): Promise<AsyncDisposable & { pid: number; child: ChildProcess }> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  for (let tries = 0; !until(pid); tries++) {
    if (tries > 500 || child.exitCode !== null) {
      await stop();
      throw new Error(`${command.join(' ')} did not get ready in 5 s (exit code ${child.exitCode})`);
    }
    await sleep(10);
  }
  return { pid, child, [Symbol.asyncDispose]: stop };
}

export function comm(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'latin1').slice(0, -1);
}

/** True once PID runs `sleep`: what wraps it (unshare, sh) has done its work then. */
export function sleeps(pid: number): boolean {
  return comm(pid) === 'sleep';
}

/** Runs slow-fuse.c, whose mount namespace has the uts namespace of nobody at `held`, below or behind a file system that answers late or never. */
export async function slowFuse(
  mode: 'hang' | 'late' | 'cover',
  directory: string,
): Promise<AsyncDisposable & { pid: number; held: string }> {
  const point = join(directory, 'point');
  mkdirSync(point);
  const child = spawn(await compile('slow-fuse.c', directory), [mode, point], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`slow-fuse ended with ${code}`))),
  ]);
  return {
    pid: child.pid ?? 0,
    held: join(point, 'held'),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

/** Why a test of a FUSE server cannot run here, or false. */
export const noFuse = process.geteuid?.() !== 0 ? 'needs root' : !existsSync('/dev/fuse') && 'needs /dev/fuse';

/** Children of this process that the kernel has, ended ones too, and those that only share its memory. */
export function children(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
}
