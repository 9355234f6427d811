/** The shim as a file, and the start-up of its own that it has instead of libc's. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';
import { temporaryDirectory } from './fixture.ts';

const { shim } = await buildNative({ parts: ['shim'] });
const readelf = spawnSync('readelf', ['--version']).status === 0;
const skip = !readelf && 'readelf is not installed';

function elf(...args: string[]): string {
  return execFileSync('readelf', ['-W', ...args, shim], { encoding: 'utf8' });
}

test('the shim is position-independent and static, and no segment is both written and executed', { skip }, () => {
  assert.match(elf('-h'), /Type: +DYN/);
  const segments = elf('-l');
  assert.doesNotMatch(segments, /INTERP/);
  assert.match(segments, /GNU_STACK .* RW +0/);
  const loads = [...segments.matchAll(/^ +LOAD .* 0x[0-9a-f]+ ([R ][W ][E ]) 0x/gm)].map(([, flags]) => flags);
  assert.ok(loads.length >= 3 && loads.includes('R E') && loads.includes('RW '), loads.join());
  assert.ok(!loads.some((flags) => flags?.endsWith('WE')), loads.join());
  const dynamic = elf('-d');
  for (const absent of [/NEEDED/, /TEXTREL/, /RPATH|RUNPATH/]) assert.doesNotMatch(dynamic, absent);
});

test('the shim has nothing to relocate, and is small', { skip }, () => {
  // gcc and clang reach the stack protector's guard on aarch64 through a table; start.c fills that in.
  const relocations = elf('-r').match(/R_[A-Z0-9_]+/g) ?? [];
  if (process.arch === 'x64') assert.deepEqual(relocations, []);
  else assert.ok(relocations.length <= 1 && relocations.every((type) => type === 'R_AARCH64_RELATIVE'), relocations.join());
  assert.ok(statSync(shim).size < 128 * 1024, 'a libc would be larger');
  assert.doesNotMatch(readFileSync(shim, 'latin1'), /GNU C Library|musl libc|LOCPATH|GLIBC_TUNABLES/);
});

/** start-probe.c built as the shim is, with the shim's own start.c and bytes.c. */
function builtProbe(): Disposable & { program: string } {
  const directory = temporaryDirectory();
  const native = fileURLToPath(new URL('../../native/', import.meta.url));
  const tree = join(directory.path, 'native');
  const copy = 'mkdir -p "$2/shim" && cd "$1" && cp *.h *.mjs "$2" && cp shim/start.c shim/bytes.c shim/sys.h "$3" "$2/shim"';
  execFileSync('sh', ['-c', copy, 'sh', native, tree, fileURLToPath(new URL('start-probe.c', import.meta.url))]);
  execFileSync(process.execPath, ['build.mjs', '--strict', '--part', 'shim'], { cwd: tree });
  return { program: join(tree, 'build/nsfleet-shim'), [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

test('start-up relocates, sets the guard and passes the arguments; bytes.c does what libc does', () => {
  using probe = builtProbe();
  const { status, signal } = spawnSync(probe.program, ['first', '']);
  assert.deepEqual([status, signal], [0, null], 'the status is the line in start-probe.c');
});

test('what writes over its array, or past what is known to be room, is ended by a trap', () => {
  using probe = builtProbe();
  for (const mode of ['smash', 'room']) {
    const { signal } = spawnSync(probe.program, [mode]);
    assert.ok(signal === 'SIGILL' || signal === 'SIGTRAP', `${mode}: ${signal}`);
  }
});

test('each start is at another address', (context) => {
  if (readFileSync('/proc/sys/kernel/randomize_va_space', 'utf8').trim() === '0') return context.skip('randomize_va_space is 0');
  using probe = builtProbe();
  const seen = new Set(Array.from({ length: 4 }, () => execFileSync(probe.program, ['address'], { encoding: 'latin1' })));
  assert.ok(seen.size > 1);
});
