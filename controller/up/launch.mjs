/** Sets up what is missing and runs one TypeScript program on the Node 24 of the checkout. Plain JavaScript for Node ≥ 20, no dependency. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { homedir } from 'node:os';
import { ensureDependencies, root } from './dependencies.mjs';

/** Ctrl-C reaches this process from the terminal and again from npm, which passes it on: within this time it is one. */
const sameSignalMs = 400;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs `program` (relative to the checkout) with `args` in a session of its own, so that only this process passes signals on, each
 * once. Ends with its exit code. It hears of this process's death, however it comes, by the closing of its IPC channel.
 */
export async function launch(program, args, nodeOptions = []) {
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
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const child = spawn(join(root, 'node_modules', '.bin', 'node'), [...nodeOptions, join(root, program), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
    env: {
      NODE_COMPILE_CACHE: join(cache, 'nsfleet', 'compile'),
      ...process.env,
      NSFLEET_STARTED_AT: String(Date.now() - Math.round(performance.now() - startedAt)),
    },
  });
  let last = { signal: '', at: 0 };
  for (const signal of signals) {
    process.on(signal, () => {
      const now = performance.now();
      if (last.signal === signal && now - last.at < sameSignalMs) return;
      last = { signal, at: now };
      child.kill(signal);
    });
  }
  watchNpm(() => {
    if (last.signal === '') child.kill('SIGTERM');
  });
  child.on('error', (error) => {
    process.stderr.write(`nsfleet: cannot run ${program}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? (signal === 'SIGINT' ? 130 : 143));
  });
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
