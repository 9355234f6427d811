/**
 * Every parser of /proc text, of plans and of trace events in C, under the address and undefined-behaviour sanitizers. Inputs are mutations of
 * test/fuzz/corpus, led by coverage (driver.c). 5 seconds each with --short, else 10 minutes; `NSFLEET_FUZZ_SECONDS` and `NSFLEET_FUZZ_SEED` say
 * otherwise. Where `NSFLEET_FUZZ_KEEP` names a directory, inputs with new coverage go there. A crash leaves its input in test/fuzz/crashes/: moved
 * into the corpus, it is the first to run from then on.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findCompiler, run } from '#native/compiler.mjs';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { corpusFiles, fuzzSeconds, fuzzSeed, keepCrash } from './rounds.ts';

leakCheck();

const native = fileURLToPath(new URL('../../native/', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));

type Target = { harness: string; sources: string[]; corpus: string[] };

const targets: Record<string, Target> = {
  stat: { harness: '../native/stat-fuzz.c', sources: ['proc_stat.c'], corpus: ['stat'] },
  mountinfo: { harness: 'targets/mountinfo.c', sources: ['mountinfo.c'], corpus: ['mountinfo'] },
  'mountinfo-file': { harness: 'targets/mountinfo-file.c', sources: ['mountinfo.c', 'mountinfo_read.c'], corpus: ['mountinfo'] },
  'proc-text': { harness: 'targets/proc-text.c', sources: ['proc_text.c'], corpus: ['proc-text'] },
  'ns-link': { harness: 'targets/ns-link.c', sources: ['ns_link.c', 'nsfs.c', 'error.c'], corpus: ['ns-link'] },
  plan: { harness: 'targets/plan.c', sources: ['shim/plan.c'], corpus: ['plan'] },
  accounts: { harness: 'targets/accounts.c', sources: ['shim/accounts.c'], corpus: ['accounts'] },
  ring: { harness: 'targets/ring.c', sources: ['shim/watch_ring.c', 'shim/watch_set.c'], corpus: ['ring'] },
};

const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const { root } = temporaryDirectories();
const compiler = await findCompiler({ work: root, log: () => undefined, sanitize: true }).catch(() => null);

/** The driver by itself: what it does is no coverage of the target. */
async function build(name: string, { harness, sources }: Target): Promise<string> {
  const command = [...(compiler?.command ?? []), ...flags];
  const driver = join(root, `${name}-driver.o`);
  const program = join(root, name);
  await run([...command, '-c', join(here, 'driver.c'), '-o', driver], { what: 'build driver.c' });
  const files = [join(here, harness), ...sources.map((source) => join(native, source))];
  await run([...command, '-DLIBFUZZER', '-fsanitize-coverage=trace-pc', '-I', native, ...files, driver, '-o', program], {
    what: `build ${name}`,
  });
  return program;
}

for (const [name, target] of Object.entries(targets)) {
  test(`${name} survives all`, { skip: compiler === null && 'no compiler with the address sanitizer' }, async (context) => {
    const program = await build(name, target);
    const input = join(root, `${name}-input`);
    const keepIn = process.env['NSFLEET_FUZZ_KEEP'];
    const found = keepIn === undefined ? '-' : join(keepIn, name);
    if (found !== '-') mkdirSync(found, { recursive: true });
    const args = [String(fuzzSeed), String(fuzzSeconds), input, found, ...corpusFiles(target.corpus)];
    try {
      const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' } });
      context.diagnostic(`${name}: ${stdout.trim()}`);
    } catch (error) {
      const shown = readFileSync(input);
      const crash = keepCrash(name, shown.subarray(8, 8 + Number(shown.readBigUInt64LE(0))));
      assert.fail(`${crash}\n${error instanceof Error && 'stderr' in error ? String(error.stderr).slice(0, 4000) : String(error)}`);
    }
  });
}
