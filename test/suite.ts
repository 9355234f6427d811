/** The whole suite, or the files named by the arguments: one Postgres for all of them, two test files at a time. */
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '#controller/up/nats-find.ts';
import { progress } from '#controller/up/progress.ts';
import { directories } from '#shared/config.ts';
import { testBase } from './support/own-directories.ts';
import { databaseUrlFileVariable, startTestPostgres } from './support/postgres-server.ts';
import { removeStale } from './support/stale.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The machine that this must run on has two cores, and most files start processes of their own. */
const filesAtOnce = 2;
/** One test; the slowest starts the whole stack several times. */
const testMs = 180_000;

/** Files whose path holds one of the words, all of them where there is none. */
function chooseFiles(words: readonly string[]): string[] {
  const all = globSync('test/**/*.test.ts', { cwd: root }).toSorted();
  const chosen = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));
  if (chosen.length > 0) return chosen;
  process.stderr.write(`no test file's path holds ${words.join(' or ')}; there are:\n  ${all.join('\n  ')}\n`);
  process.exit(2);
}

async function main(): Promise<void> {
  const say = progress(process.stderr);
  const files = chooseFiles(process.argv.slice(2));
  await removeStale();
  const dir = mkdtempSync(join(testBase(), 'run'));
  const [postgres] = await Promise.all([startTestPostgres(dir), findNatsServer(process.env, directories(process.env).cache, say)]);
  try {
    const urlFile = join(dir, 'database-url');
    writeFileSync(urlFile, `${postgres.url}\n`, { mode: 0o600 });
    say(`${files.length} test files, ${filesAtOnce} at a time`);
    process.exitCode = await runTests(files, { [databaseUrlFileVariable]: urlFile });
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
    if (process.connected) process.disconnect();
  }
}

function runTests(files: readonly string[], env: Record<string, string>): Promise<number> {
  // A file whose set-up failed may hold open what it would have closed: the leak check has told by then, and the others must not wait.
  const args = [
    '--test',
    '--test-force-exit',
    `--test-concurrency=${filesAtOnce}`,
    `--test-timeout=${testMs}`,
    '--test-reporter=spec',
    ...files,
  ];
  const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'] });
  const stop = () => child.kill('SIGTERM');
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.once(event, stop);
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

await main();
