/** The other tests' calls once more, in a library built with the address and undefined-behaviour sanitizers. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';

/** The run time must be there before the library: Node itself knows nothing of it. Null if there is none. */
function runtime(): string | null {
  const { stdout } = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim();
  return path?.startsWith('/') && existsSync(path) ? path : null;
}

const preload = runtime();

test('no sanitizer speaks up', { skip: preload === null && 'gcc with libasan is not installed' }, async () => {
  const { library } = await buildNative({ parts: ['library'], sanitize: true });
  const exercise = fileURLToPath(new URL('sanitize-exercise.ts', import.meta.url));
  const env = { ...process.env, LD_PRELOAD: preload ?? '', ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
  const said = execFileSync(process.execPath, [exercise, library], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.match(said, /^done$/m);
});
