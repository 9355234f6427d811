/**
 * Builds libnsfleet.so and the static shim into native/build/. Plain JavaScript for Node ≥ 20, without dependencies,
 * because it runs before `npm ci` has brought anything newer. A warm call only hashes the sources (a few ms).
 *
 *   node native/build.mjs [--strict] [--sanitize] [--part library|shim|tasks]
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildTaskLoader } from './build-bpf.mjs';
import { findCompiler, run } from './compiler.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const outputs = { library: 'libnsfleet.so', shim: 'nsfleet-shim' };

const allParts = ['library', 'shim', 'tasks'];

/** Fatal in strict builds only: a warning that a future compiler invents must not keep a host from being set up. */
const warnings = ['-Wall', '-Wextra', '-Wformat=2', '-Wimplicit-fallthrough', '-Wstrict-prototypes', '-Wvla'];
const language = ['-std=gnu11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-I.'];
const hardening = ['-O2', '-fstack-protector-strong', '-fno-strict-aliasing'];
const linking = ['-Wl,-z,noexecstack'];
const sanitizing = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-fno-omit-frame-pointer'];

/**
 * The shim is without libc, whose start-up would cost each sandbox half a millisecond (shim/start.c). It needs no relocation, so that
 * there is nothing to make read-only after one.
 */
const withoutLibc = {
  compile: ['-ffreestanding', '-fvisibility=hidden', '-fno-asynchronous-unwind-tables'],
  link: ['-nostdlib', '-Wl,-z,norelro'],
};
/** What libc has in the build with the sanitizers. Their run time needs it, and cannot be linked statically. */
const insteadOfLibc = new Set(['shim/start.c', 'shim/bytes.c']);

/** What is particular to each part. */
const particular = {
  library: () => ({
    compile: ['-fPIC', '-fvisibility=hidden', '-Wconversion'],
    link: ['-shared', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,defs'],
  }),
  shim: (compiler, sanitize) => ({
    compile: ['-fPIE', ...(sanitize ? [] : [...compiler.ownGuard, ...withoutLibc.compile])],
    link: sanitize ? ['-pie'] : [...compiler.staticPie, ...withoutLibc.link],
  }),
};

/**
 * Builds what is stale. `log` takes progress lines. Builds that run at the same time do not disturb each other: each
 * works in a directory of its own and renames its result into place. A failed build throws with the compiler's words.
 * `strict` makes warnings fatal; `sanitize`, which implies it, builds with the sanitizers into native/build/sanitize/.
 *
 * @param {{ log?: (line: string) => void, strict?: boolean, sanitize?: boolean, parts?: ('library' | 'shim' | 'tasks')[] }} [options]
 * @returns {Promise<{ library: string, shim: string, compiler: string, built: boolean }>}
 */
export async function buildNative({ log = () => {}, sanitize = false, strict = sanitize, parts = allParts } = {}) {
  const directory = join(here, 'build', sanitize ? 'sanitize' : '.');
  // Optional, and never sanitized: it is another program, which is there or not.
  const tasks = parts.includes('tasks') && !sanitize ? buildTaskLoader({ log }) : null;
  const states = await Promise.all(parts.filter((part) => part !== 'tasks').map((part) => inspect(part, directory)));
  const stale = states.filter((state) => state.compiler === undefined);
  let compiler = states.find((state) => state.compiler !== undefined)?.compiler ?? '';
  if (stale.length > 0) compiler = await build(stale, { directory, sanitize, strict, log });
  await tasks;
  return { library: join(directory, outputs.library), shim: join(directory, outputs.shim), compiler, built: stale.length > 0 };
}

async function build(stale, { directory, sanitize, strict, log }) {
  const work = join(directory, `.work-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(work, { recursive: true });
  try {
    const compiler = await findCompiler({ work, log, sanitize });
    await Promise.all(stale.map((state) => compilePart(state, { compiler, work, directory, sanitize, strict, log })));
    return compiler.name;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function compilePart({ part, sources, hash }, { compiler, work, directory, sanitize, strict, log }) {
  const name = outputs[part];
  const started = Date.now();
  const own = particular[part](compiler, sanitize);
  const flags = [
    ...language,
    ...warnings,
    ...(strict ? ['-Werror'] : []),
    ...(sanitize ? sanitizing : [...hardening, ...compiler.hardening]),
    ...own.compile,
  ];
  const command = [...compiler.command, ...compiler.target(part)];
  const linked = part === 'library' ? [...flags, ...sources] : await compileEach(sources, { name, command, flags, work, sanitize });
  await run([...command, ...linked, ...own.link, ...linking, '-o', join(work, name)], { cwd: here, what: `build ${name}` });
  await writeFile(join(work, `${name}.stamp`), JSON.stringify({ hash, compiler: compiler.name }));
  // The stamp last: if this ends in between, the next call builds again.
  await rename(join(work, name), join(directory, name));
  await rename(join(work, `${name}.stamp`), join(directory, `${name}.stamp`));
  log(`native: built ${name}${sanitize ? ' (sanitizers)' : ''} with ${compiler.name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Objects of the shim, each by itself: zig has libc's headers only where it also links libc, and takes one source with -c. */
async function compileEach(sources, { name, command, flags, work, sanitize }) {
  const waiting = sources.filter((source) => !sanitize || !insteadOfLibc.has(source));
  const objects = waiting.map((source) => join(work, `${basename(source)}.o`));
  const compile = async () => {
    for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
      await run([...command, ...flags, '-c', source, '-o', join(work, `${basename(source)}.o`)], { cwd: here, what: `build ${name}` });
    }
  };
  // All of them: the directory must not go away below a compiler that still writes.
  const ended = await Promise.allSettled(Array.from({ length: cpus().length }, compile));
  const failed = ended.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return [...(sanitize ? sanitizing : []), ...objects];
}

/** Sources and their hash; `compiler` only if the output is there and was made of the same. */
async function inspect(part, directory) {
  const sources = await list(part === 'library' ? '.' : 'shim', '.c');
  if (sources.length === 0) throw new Error(`cannot build ${outputs[part]}: native/ holds no sources of it; check the clone out whole`);
  const headers = [...(await list('.', '.h')), ...(await list('shim', '.h'))];
  const digest = createHash('sha256');
  for (const file of [...sources, ...headers, 'build.mjs', 'compiler.mjs']) {
    digest.update(`${file}\0`).update(await readFile(join(here, file)));
  }
  digest.update(process.env.CC ?? '');
  const hash = digest.digest('hex');
  const name = outputs[part];
  const present = new Set(await readdir(directory).catch(() => []));
  if (!present.has(name) || !present.has(`${name}.stamp`)) return { part, sources, hash };
  const stamp = JSON.parse(await readFile(join(directory, `${name}.stamp`), 'utf8'));
  return { part, sources, hash, compiler: stamp.hash === hash ? stamp.compiler : undefined };
}

async function list(directory, extension) {
  const names = await readdir(join(here, directory)).catch(() => []);
  return names
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(directory, name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { strict: { type: 'boolean' }, sanitize: { type: 'boolean' }, part: { type: 'string', multiple: true } },
  });
  try {
    const { compiler, built } = await buildNative({
      log: console.log,
      strict: values.strict,
      sanitize: values.sanitize,
      parts: values.part,
    });
    if (!built) console.log(`native: up to date (${compiler})`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
