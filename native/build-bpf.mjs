/**
 * Builds nsfleet-bpf-load, the optional loader of the task iterator (bpf/): clang makes the program for the kernel and the one around
 * it, which is static. Plain JavaScript for Node ≥ 20. Nothing is fetched: where a tool is missing, this says which, and all else works.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './compiler.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const name = 'nsfleet-bpf-load';
const triple = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const libraryDirectories = ['/usr/local/lib', `/usr/lib/${triple}`, '/usr/lib64', '/usr/lib'];
const headerDirectories = ['/usr/local/include', '/usr/include'];

/** libelf needs zstd from 0.189 on where it was built with it. */
const librarySets = [
  ['-lbpf', '-lelf', '-lz'],
  ['-lbpf', '-lelf', '-lz', '-lzstd'],
];
const flags = ['-O2', '-Wall', '-Wextra', '-D_GNU_SOURCE', '-std=gnu11'];
const hardening = ['-fPIE', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];
const linking = ['-static-pie', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,noexecstack', '-s'];

/** What is missing here, by the names that people install; empty if nothing is. */
function missingTools() {
  const inPath = (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, 'clang')));
  const library = (file) => libraryDirectories.some((directory) => existsSync(join(directory, file)));
  return [
    ...(inPath ? [] : ['clang']),
    ...(headerDirectories.some((directory) => existsSync(join(directory, 'bpf/bpf_helpers.h'))) ? [] : ['libbpf’s headers']),
    ...['libbpf.a', 'libelf.a', 'libz.a'].filter((file) => !library(file)),
  ];
}

/**
 * Builds it if it is stale and can be built. Never throws: `missing` is a sentence, empty where it is built. A failure is remembered until
 * a source or a tool changes, so that it costs one attempt.
 *
 * @param {{ log: (line: string) => void }} options
 * @returns {Promise<{ missing: string, built: boolean }>}
 */
export async function buildTaskLoader({ log }) {
  try {
    return await buildIfStale(log);
  } catch (error) {
    log(`native: no BPF task iterator, so scans read /proc: ${error.message}`);
    return { missing: error.message, built: false };
  }
}

async function buildIfStale(log) {
  const directory = join(here, 'build');
  const stampPath = join(directory, `${name}.stamp`);
  const tools = missingTools();
  const hash = await hashOf(tools);
  const stamp = await readFile(stampPath, 'utf8').then(JSON.parse, () => ({}));
  if (stamp.hash === hash && (stamp.missing !== '' || existsSync(join(directory, name)))) return { missing: stamp.missing, built: false };
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(join(directory, '.work-bpf-'));
  let missing = tools.length === 0 ? '' : `${tools.join(', ')} not found`;
  try {
    const started = Date.now();
    if (missing === '') missing = await compile(work);
    if (missing === '') await rename(join(work, name), join(directory, name));
    else await rm(join(directory, name), { force: true });
    await writeFile(join(work, 'stamp'), JSON.stringify({ hash, missing }));
    await rename(join(work, 'stamp'), stampPath);
    if (missing === '') log(`native: built ${name} with clang in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    else log(`native: no BPF task iterator, so scans read /proc: ${missing} (Debian: clang, libbpf-dev, libelf-dev, zlib1g-dev)`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { missing, built: missing === '' };
}

/** Empty, or the last words of what failed. */
async function compile(work) {
  const object = join(work, 'tasks.bpf.o');
  const kernel = ['clang', '-target', 'bpf', '-O2', '-g', '-Wall', '-Wextra', '-c', 'bpf/tasks.bpf.c', '-o', object];
  const failure = await attempt(kernel);
  if (failure !== '') return failure;
  let last = '';
  for (const libraries of librarySets) {
    const output = ['-o', join(work, name), ...libraries];
    last = await attempt(['clang', ...flags, ...hardening, `-DNSF_TASKS_OBJECT="${object}"`, 'bpf/load.c', ...linking, ...output]);
    if (last === '') return '';
  }
  return last;
}

async function attempt(command) {
  try {
    await run(command, { cwd: here, what: `build ${name}` });
    return '';
  } catch (error) {
    return (
      error.message
        .trim()
        .split('\n')
        .find((line) => line.includes('error')) ?? error.message.trim().split('\n').at(-1)
    );
  }
}

async function hashOf(tools) {
  const sources = (await readdir(join(here, 'bpf'))).filter((file) => /\.[ch]$/.test(file)).map((file) => `bpf/${file}`);
  const digest = createHash('sha256');
  for (const file of [...sources.sort(), 'task_records.h', 'build-bpf.mjs', 'compiler.mjs']) {
    digest.update(`${file}\0`).update(await readFile(join(here, file)));
  }
  return digest.update(tools.join('\0')).digest('hex');
}
