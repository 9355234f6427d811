/** The other tests' calls once more, in a library built with the address and undefined-behaviour sanitizers. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startHidingPlaces } from '#test/support/hiding-places.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { temporaryDirectory } from './fixture.ts';

leakCheck();

/** The run time must be there before the library: Node itself knows nothing of it. Null if there is none. */
function runtime(): string | null {
  const { stdout } = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim();
  return path?.startsWith('/') && existsSync(path) ? path : null;
}

const preload = runtime();
const skipPlaces = preload === null ? 'gcc with libasan is not installed' : process.geteuid?.() !== 0 && 'needs root';
const env = { ...process.env, LD_PRELOAD: preload ?? '', ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
const directory = temporaryDirectories().root;

test('no sanitizer speaks up', { skip: preload === null && 'gcc with libasan is not installed' }, async () => {
  const { library } = await buildNative({ parts: ['library'], sanitize: true });
  const exercise = fileURLToPath(new URL('sanitize-exercise.ts', import.meta.url));
  const said = execFileSync(process.execPath, [exercise, library], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.match(said, /^done$/m);
});

test('nor where holders are searched for in every hiding place', { skip: skipPlaces }, async () => {
  await using _hiding = await startHidingPlaces(directory);
  const { library } = await buildNative({ parts: ['library'], sanitize: true });
  const exercise = fileURLToPath(new URL('sanitize-holders.ts', import.meta.url));
  const said = execFileSync(process.execPath, [exercise, library], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.match(said, /^done$/m);
});

test('a process’s stat is parsed whatever its name holds', { skip: preload === null && 'gcc with libasan is not installed' }, (context) => {
  using directory = temporaryDirectory();
  const program = join(directory.path, 'stat-fuzz');
  const native = fileURLToPath(new URL('../../native/', import.meta.url));
  const harness = fileURLToPath(new URL('stat-fuzz.c', import.meta.url));
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
  execFileSync('gcc', [...flags, '-I', native, harness, join(native, 'proc_stat.c'), '-o', program]);
  const seed = String(Date.now());
  context.diagnostic(`seed ${seed}`);
  assert.match(execFileSync(program, [seed, '200000'], { encoding: 'utf8' }), /^done$/m);
});
