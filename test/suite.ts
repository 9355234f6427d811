/** A kind's test files, or those of them that are named by the arguments: one Postgres for all, some files at a time. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNatsServer } from '#controller/up/nats-find.ts';
import { progress } from '#controller/up/progress.ts';
import { directories } from '#shared/config.ts';
import { filesOf, kindNames, kindOf } from './runner/kinds.ts';
import type { Kind } from './runner/kinds.ts';
import { runFiles } from './runner/run-files.ts';
import { testBase } from './support/own-directories.ts';
import { databaseUrlFileVariable, startTestPostgres } from './support/postgres-server.ts';
import { removeStale } from './support/stale.ts';

/** After its last test a file's hooks end what it started; the slowest wait 6 s for leaks to settle. */
const quietMs = 60_000;

type Request = { root: string; files: string[]; kind: Kind; short: boolean };

/** `[--kind K] [--short] [--root DIR] [word…]`: the kind's files whose path holds one of the words, all of them where there is none. */
function parseRequest(args: readonly string[]): Request {
  const { values, positionals: words } = parseArgs({
    args: [...args],
    options: {
      kind: { type: 'string', default: 'default' },
      short: { type: 'boolean', default: false },
      root: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
    },
    allowPositionals: true,
  });
  const kind = kindOf(values.kind);
  if (kind === undefined) throw new Error(`no kind ${values.kind}; there are: ${kindNames.join(', ')}`);
  const all = filesOf(values.kind, values.root);
  if (all.length === 0) throw new Error(`kind ${values.kind} has no files: test/${values.kind}/ holds no *.test.ts`);
  const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));
  if (files.length === 0) throw new Error(`no test file's path holds ${words.join(' or ')}; there are:\n  ${all.join('\n  ')}`);
  return { root: values.root, files, kind, short: values.short };
}

/** Aborted by the first signal, or when the launcher is gone. Ends the process with the signal's code. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      stop.abort();
    });
  process.once('disconnect', () => stop.abort());
  return stop.signal;
}

async function main({ root, files, kind, short }: Request): Promise<void> {
  const say = progress(process.stderr);
  const stop = stopSignal();
  await removeStale();
  const dir = mkdtempSync(join(testBase(), 'run'));
  const [postgres] = await Promise.all([startTestPostgres(dir), findNatsServer(process.env, directories(process.env).cache, say)]);
  try {
    const urlFile = join(dir, 'database-url');
    writeFileSync(urlFile, `${postgres.url}\n`, { mode: 0o600 });
    say(`${files.length} test files, ${kind.filesAtOnce} at a time`);
    const passed = await runFiles(files, {
      ...kind,
      root,
      quietMs,
      stop,
      print: (text) => process.stdout.write(text),
      env: {
        ...process.env,
        [databaseUrlFileVariable]: urlFile,
        ...(short ? { NSFLEET_TEST_SHORT: '1' } : {}),
        // The report is made where its output is not a terminal.
        ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}),
      },
    });
    process.exitCode ??= passed ? 0 : 1;
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
    if (process.connected) process.disconnect();
  }
}

let request: Request | null = null;
try {
  request = parseRequest(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
  if (process.connected) process.disconnect();
}
if (request !== null) await main(request);
