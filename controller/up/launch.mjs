/** Sets up what is missing and runs one TypeScript program on the Node 24 of the checkout. Plain JavaScript for Node ≥ 20, no dependency. */
import { spawn } from 'node:child_process';
import { isAbsolute, join } from 'node:path';
import { constants, homedir } from 'node:os';
import { makeDirectory } from '../make-directory.mjs';
import { ensureDependencies, root } from './dependencies.mjs';

/** Ctrl-C reaches this process from the terminal and again from npm, which passes it on: within this time it is one. */
const sameSignalMs = 400;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/**
 * The longest that a program may take to stop. For `npm start` at its slowest: sandboxes 20 s, then 15 + 15 + 10 + 35 s for the parts
 * one after the other, then shims 10 s. Once hastened: 5 s each for four parts that are stuck, then shims 10 s.
 */
const patience = { stopMs: 120_000, hastenedMs: 35_000 };

/**
 * Runs `program` (relative to the checkout) with `args` in a session of its own, so that only this process passes signals on, each
 * once. Ends with its exit code. It hears of this process's death, however it comes, by the closing of its IPC channel. One that has
 * not ended in `limits` after the first signal, or the second, is killed with all of its process group.
 */
export async function launch(program, args, limits = patience) {
  const startedAt = performance.now();
  const say = (line) => process.stderr.write(`${`${((performance.now() - startedAt) / 1000).toFixed(1)}s`.padStart(6)}  ${line}\n`);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    await ensureDependencies(say);
    const { buildNative } = await import('../../native/build.mjs');
    await buildNative({ log: say });
  } catch (error) {
    process.stderr.write(`nsfleet: cannot set up: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
  const child = spawn(join(root, 'node_modules', '.bin', 'node'), [join(root, program), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
    env: {
      ...compileCache(),
      ...process.env,
      NSFLEET_STARTED_AT: String(Date.now() - Math.round(performance.now() - startedAt)),
    },
  });
  let last = { signal: '', at: 0 };
  const request = (signal) => {
    const ms = last.signal === '' ? limits.stopMs : limits.hastenedMs;
    last = { signal, at: performance.now() };
    child.kill(signal);
    const timer = setTimeout(() => {
      say(`${program} did not stop within ${ms / 1000} s: killed; a part of it that still runs is ended by the next start`);
      killGroup(child);
    }, ms);
    timer.unref();
  };
  for (const signal of signals) {
    process.on(signal, () => {
      if (last.signal !== signal || performance.now() - last.at >= sameSignalMs) request(signal);
    });
  }
  watchNpm(() => {
    if (last.signal === '') request('SIGTERM');
  });
  child.on('error', (error) => {
    process.stderr.write(`nsfleet: cannot run ${program}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + constants.signals[signal]);
  });
}

/** Node's own making of this directory would never return below /proc. Where it cannot be made the program tells what is wrong. */
function compileCache() {
  const given = process.env.XDG_CACHE_HOME ?? '';
  const path = join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'nsfleet', 'compile');
  try {
    makeDirectory(path);
    return { NODE_COMPILE_CACHE: path };
  } catch {
    return {};
  }
}

/** What it runs for set-up is in its process group; parts have sessions of their own. Not reaped yet, so the id is still its own. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** A SIGKILL of npm leaves its child: nobody would be there to press Ctrl-C. */
function watchNpm(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, 500);
  timer.unref();
}
