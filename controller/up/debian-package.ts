/**
 * Programs from Debian's archive, without root and without touching the machine's packages: apt works on private directories, takes
 * the mirrors from the machine's own configuration and verifies the archive's signature as always.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { debianMirrors } from './apt-sources.ts';
import type { Mirror } from './apt-sources.ts';
import type { Say } from './progress.ts';
import { run } from './run.ts';

const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Package lists are 10 MB, a package a few. */
const aptTimeoutMs = 180_000;

export type Download = {
  packages: readonly string[];
  /** those packages that apt would install with them, whatever this machine has, whose names match: unpacked too */
  dependencies?: RegExp | undefined;
  /** a suite of Debian: `testing`, `bookworm` */
  suite: string;
  /** made and removed again */
  workDir: string;
  signal?: AbortSignal | undefined;
};

/**
 * Downloads and unpacks into `<workDir>/root`, and gives that to `use` before all of it is removed. Returns what `use` made of it, or
 * the reasons why there was nothing to use, one a mirror.
 */
export async function withDebianPackages<T>(
  download: Download,
  say: Say,
  use: (root: string) => T,
): Promise<{ value: T } | { failures: string[] }> {
  const mirrors = debianMirrors(sourceFiles());
  if (mirrors.length === 0 || !existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-deb')) {
    return { failures: ['this system’s package sources name no Debian mirror to download it from'] };
  }
  const { workDir } = download;
  rmSync(workDir, { recursive: true, force: true });
  const failures: string[] = [];
  try {
    for (const mirror of mirrors) {
      say(`${download.packages.join(', ')}: downloading from Debian ${download.suite} at ${mirror.uri} with apt`);
      const failure = await fetchPackages(mirror, download);
      if (failure === null) return { value: use(join(workDir, 'root')) };
      failures.push(failure);
    }
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
  return { failures };
}

/** Null when `<workDir>/root` holds the unpacked packages, else why not. */
async function fetchPackages(mirror: Mirror, download: Download): Promise<string | null> {
  const { packages, suite, workDir, dependencies } = download;
  for (const dir of ['lists/partial', 'cache/archives/partial', 'sources', 'root']) makeDirectory(join(workDir, dir));
  writeFileSync(join(workDir, 'status'), '');
  writeFileSync(join(workDir, 'sources', 'debian.sources'), sourceText(mirror, suite));
  writeFileSync(join(workDir, 'apt.conf'), aptConfiguration(workDir));
  const updated = await aptGet(['update'], download);
  if ('failure' in updated) return updated.failure;
  const wanted = new Set(packages);
  if (dependencies !== undefined) {
    const planned = await aptGet(['--simulate', '--no-install-recommends', 'install', ...packages], download);
    if ('failure' in planned) return planned.failure;
    const names = [...planned.stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
    for (const name of names.filter((name) => dependencies.test(name))) wanted.add(name);
  }
  const downloaded = await aptGet(['download', ...wanted], download);
  if ('failure' in downloaded) return downloaded.failure;
  const debs = readdirSync(workDir).filter((name) => name.endsWith('.deb'));
  if (debs.length < wanted.size) return `apt-get download left ${debs.length} of ${wanted.size} packages`;
  for (const deb of debs) {
    const unpacked = await run('/usr/bin/dpkg-deb', ['-x', join(workDir, deb), join(workDir, 'root')], {
      cwd: workDir,
      timeoutMs: aptTimeoutMs,
    });
    if (unpacked.code !== 0) return `dpkg-deb: ${unpacked.stderr.trim()}`;
  }
  return null;
}

async function aptGet(args: readonly string[], { workDir, signal }: Download): Promise<{ stdout: string } | { failure: string }> {
  const result = await run('/usr/bin/apt-get', ['-q', '-c', join(workDir, 'apt.conf'), ...args], {
    cwd: workDir,
    timeoutMs: aptTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  signal?.throwIfAborted();
  const told = result.stderr.split('\n').filter((line) => /^[EW]:/.test(line));
  // `update` exits 0 after a failed fetch: an archive that could not be read or verified is told in a warning.
  if (result.code === 0 && !told.some((line) => line.startsWith('E:'))) return { stdout: result.stdout };
  return { failure: `apt-get ${args[0]}: ${told.slice(0, 3).join(' ') || `exit code ${result.code}`}` };
}

/** Read after the machine's own apt.conf.d, so that its proxies and certificates count; the hooks there would act on the machine. */
function aptConfiguration(work: string): string {
  return [
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    'Dir::Etc::sourcelist "/dev/null";',
    `Dir::Etc::sourceparts "${work}/sources";`,
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::State "${work}";`,
    `Dir::State::status "${work}/status";`,
    `Dir::Cache "${work}/cache";`,
    `Dir::Log "${work}";`,
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    // apt's own user may not enter a cache of mode 0700.
    'APT::Sandbox::User "root";',
    '',
  ].join('\n');
}

function sourceText(mirror: Mirror, suite: string): string {
  return `Types: deb\nURIs: ${mirror.uri}\nSuites: ${suite}\nComponents: main\nSigned-By: ${mirror.signedBy ?? debianKeyring}\n`;
}

function sourceFiles(): Map<string, string> {
  const parts = '/etc/apt/sources.list.d';
  const names = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const paths = ['/etc/apt/sources.list', ...names.toSorted().map((name) => join(parts, name))];
  return new Map(paths.filter((path) => existsSync(path)).map((path) => [path, readFileSync(path, 'utf8')]));
}
