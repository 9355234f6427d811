/** The library as a file: what it refuses to be loaded as, what it needs of the machine, how it was hardened. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadNative } from '#native/binding.ts';
import { buildNative } from '#native/build.mjs';
import { NsfleetError } from '#shared/errors.ts';
import { compile, temporaryDirectory } from './fixture.ts';

const { library } = await buildNative({ parts: ['library'] });

function unavailable(reason: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NsfleetError && error.code === 'NATIVE_UNAVAILABLE', String(error));
    assert.match(error.reason, reason);
    return true;
  };
}

test('a library of another ABI is refused at load', async () => {
  using directory = temporaryDirectory();
  const other = await compile('other-abi.c', directory.path, true);
  assert.throws(() => loadNative({ library: other }), unavailable(/another nsfleet\.h: has "abi 999", expected "abi 1"/));
});

test('a library that is missing, or is none, is refused at load', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'libnsfleet.so');
  assert.throws(() => loadNative({ library: path }), unavailable(/cannot open shared object file/));
  writeFileSync(path, 'not an ELF file');
  assert.throws(() => loadNative({ library: path }), unavailable(/./));
});

test('no symbol is newer than glibc 2.28', () => {
  // The version names stand in .dynstr as they are.
  const versions = new Set(readFileSync(library, 'latin1').match(/GLIBC_[0-9]+\.[0-9.]+/g));
  assert.ok(versions.size > 0);
  for (const version of versions) {
    const [major = 0, minor = 0] = version.slice('GLIBC_'.length).split('.').map(Number);
    assert.ok(major === 2 && minor <= 28, version);
  }
});

const readelf = spawnSync('readelf', ['--version']).status === 0;

test('the library is hardened and shows only its interface', { skip: !readelf && 'readelf is not installed' }, () => {
  const segments = execFileSync('readelf', ['-lW', library], { encoding: 'utf8' });
  assert.match(segments, /GNU_RELRO/);
  assert.match(segments, /GNU_STACK .* RW +0/);
  assert.match(execFileSync('readelf', ['-dW', library], { encoding: 'utf8' }), /BIND_NOW/);
  const symbols = execFileSync('readelf', ['--dyn-syms', '-W', library], { encoding: 'utf8' }).split('\n');
  const shown = symbols.filter((line) => / GLOBAL DEFAULT +[0-9]+ /.test(line)).map((line) => line.trim().split(/\s+/).at(-1));
  assert.ok(shown.length >= 14);
  assert.deepEqual(
    shown.filter((name) => !name?.startsWith('nsf_')),
    [],
  );
  assert.ok(!symbols.some((line) => / OBJECT +GLOBAL/.test(line)), 'no data is shown');
});

test('the library keeps no writable data of its own', { skip: !readelf && 'readelf is not installed' }, () => {
  const sections = execFileSync('readelf', ['-SW', library], { encoding: 'utf8' });
  const sizeOf = (name: string): number =>
    Number.parseInt(new RegExp(` \\${name} +\\S+ +\\S+ +\\S+ +([0-9a-f]+)`).exec(sections)?.[1] ?? '0', 16);
  // crtstuff.c's __dso_handle and completed flag.
  assert.ok(sizeOf('.data') <= 8, `.data holds ${sizeOf('.data')} bytes`);
  assert.ok(sizeOf('.bss') <= 8, `.bss holds ${sizeOf('.bss')} bytes`);
});

test('a warm build costs less than 50 ms', async (context) => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    assert.equal((await buildNative({ parts: ['library'] })).built, false);
    times.push(performance.now() - started);
  }
  context.diagnostic(`${Math.min(...times).toFixed(1)} ms`);
  assert.ok(Math.min(...times) < 50);
});

test('builds at the same time in one tree all end with a whole library', () => {
  using directory = temporaryDirectory();
  const native = fileURLToPath(new URL('../../native/', import.meta.url));
  const tree = join(directory.path, 'native');
  execFileSync('sh', ['-c', `mkdir "$2" && cd "$1" && cp *.c *.h *.mjs "$2"`, 'sh', native, tree]);
  const builds = `for i in 1 2 3; do "$0" build.mjs --part library & pids="$pids $!"; done; for p in $pids; do wait $p || exit 1; done`;
  const said = execFileSync('sh', ['-c', builds, process.execPath], { cwd: tree, encoding: 'utf8' });
  assert.equal(said.match(/built libnsfleet\.so/g)?.length, 3);
  assert.deepEqual(
    execFileSync('ls', ['-A', join(tree, 'build')], { encoding: 'utf8' })
      .trim()
      .split('\n'),
    ['libnsfleet.so', 'libnsfleet.so.stamp'],
  );
  loadNative({ library: join(tree, 'build/libnsfleet.so') });
});

test('a strict build of both parts has no warnings', () => {
  using directory = temporaryDirectory();
  const native = fileURLToPath(new URL('../../native/', import.meta.url));
  const tree = join(directory.path, 'native');
  execFileSync('sh', ['-c', `mkdir "$2" && cd "$1" && cp -r *.c *.h *.mjs shim "$2"`, 'sh', native, tree]);
  const said = execFileSync(process.execPath, ['build.mjs', '--strict'], { cwd: tree, encoding: 'utf8' });
  assert.match(said, /built libnsfleet\.so/);
  assert.match(said, /built nsfleet-shim/);
});

test('a source with an error fails the build with the compiler’s words and keeps the old library', () => {
  using directory = temporaryDirectory();
  const native = fileURLToPath(new URL('../../native/', import.meta.url));
  const tree = join(directory.path, 'native');
  execFileSync('sh', ['-c', `mkdir -p "$2/build" && cd "$1" && cp *.c *.h *.mjs "$2"`, 'sh', native, tree]);
  copyFileSync(library, join(tree, 'build/libnsfleet.so'));
  writeFileSync(join(tree, 'broken.c'), 'int broken(void) { return undeclared_name; }\n');
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs', '--part', 'library'], { cwd: tree, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /cannot build libnsfleet\.so[\s\S]*undeclared_name/);
  assert.deepEqual(readFileSync(join(tree, 'build/libnsfleet.so')), readFileSync(library));
});
