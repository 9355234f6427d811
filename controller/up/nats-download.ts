/**
 * nats-server from Debian testing, without root and without touching the machine's packages: apt works on private directories under
 * the cache, and verifies the archive's signature as always. Debian 12's own 2.9.10 has known holes; testing's needs only glibc 2.34.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NsfleetError } from '#shared/errors.ts';
import { debianMirrors } from './apt-sources.ts';
import type { Mirror } from './apt-sources.ts';
import { run } from './run.ts';
import type { Say } from './progress.ts';

const suite = 'testing';
const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Package lists are 10 MB, the package 5 MB. */
const aptTimeoutMs = 180_000;

/** Downloads into `<cache>/nats-server/` and returns the binary's path. NATS_SERVER_MISSING, with what to install, elsewhere than on Debian. */
export async function downloadNatsServer(cacheDir: string, say: Say): Promise<string> {
  const mirrors = debianMirrors(sourceFiles());
  if (mirrors.length === 0 || !existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-deb')) {
    throw missing('this system’s package sources name no Debian mirror to download it from');
  }
  mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
  const work = join(cacheDir, `nats-server.new-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  const failures: string[] = [];
  try {
    for (const mirror of mirrors) {
      say(`nats-server: downloading Debian ${suite}’s package from ${mirror.uri} with apt, into ${cacheDir}`);
      const failure = await fetchPackage(mirror, work);
      if (failure === null) return install(work, join(cacheDir, 'nats-server'));
      failures.push(failure);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  throw missing(failures.join('; '));
}

/** Null when `<work>/root` holds the unpacked package, else why not. */
async function fetchPackage(mirror: Mirror, work: string): Promise<string | null> {
  for (const dir of ['lists/partial', 'cache/archives/partial', 'sources', 'root'])
    mkdirSync(join(work, dir), { recursive: true, mode: 0o700 });
  writeFileSync(join(work, 'status'), '');
  writeFileSync(join(work, 'sources', 'debian.sources'), sourceText(mirror));
  writeFileSync(join(work, 'apt.conf'), aptConfiguration(work));
  for (const step of [['update'], ['download', 'nats-server']]) {
    const result = await run('/usr/bin/apt-get', ['-q', '-c', join(work, 'apt.conf'), ...step], { cwd: work, timeoutMs: aptTimeoutMs });
    const told = result.stderr.split('\n').filter((line) => /^[EW]:/.test(line));
    // `update` exits 0 after a failed fetch: an archive that could not be read or verified is told in a warning.
    if (result.code !== 0 || told.some((line) => line.startsWith('E:'))) {
      return `apt-get ${step[0]}: ${told.slice(0, 3).join(' ') || `exit code ${result.code}`}`;
    }
  }
  const deb = readdirSync(work).find((name) => name.endsWith('.deb'));
  if (deb === undefined) return 'apt-get download left no package';
  const unpacked = await run('/usr/bin/dpkg-deb', ['-x', join(work, deb), join(work, 'root')], { cwd: work, timeoutMs: aptTimeoutMs });
  return unpacked.code === 0 ? null : `dpkg-deb: ${unpacked.stderr.trim()}`;
}

function install(work: string, target: string): string {
  const binary = ['usr/sbin/nats-server', 'usr/bin/nats-server'].map((path) => join(work, 'root', path)).find((path) => existsSync(path));
  if (binary === undefined) throw missing('the package holds no nats-server');
  renameSync(binary, target);
  return target;
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

function sourceText(mirror: Mirror): string {
  return `Types: deb\nURIs: ${mirror.uri}\nSuites: ${suite}\nComponents: main\nSigned-By: ${mirror.signedBy ?? debianKeyring}\n`;
}

function sourceFiles(): Map<string, string> {
  const parts = '/etc/apt/sources.list.d';
  const names = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const paths = ['/etc/apt/sources.list', ...names.toSorted().map((name) => join(parts, name))];
  return new Map(paths.filter((path) => existsSync(path)).map((path) => [path, readFileSync(path, 'utf8')]));
}

function missing(reason: string): NsfleetError {
  return new NsfleetError('NATS_SERVER_MISSING', { attempted: 'find', target: 'nats-server', reason });
}
