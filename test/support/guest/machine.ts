/**
 * What a guest needs of Debian's archive, fetched once into the user's cache: the stock kernel of Debian 12, and QEMU where there is
 * none that can share a directory. Nothing is installed.
 */
import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { withDebianPackages } from '#controller/up/debian-package.ts';
import { progress } from '#controller/up/progress.ts';
import { run } from '#controller/up/run.ts';
import { directories } from '#shared/config.ts';

export type Machine = {
  /** the command that is QEMU, with the arguments and variables that it needs to run from where it is */
  qemu: { command: string[]; env: Record<string, string> };
  vmlinuz: string;
  /** paths of the modules that the guest loads */
  modules: string[];
};

/** Linux 6.1, without NS_GET_ID, listns and the namespace ioctls of pidfds. */
const kernelSuite = 'bookworm';

/** What the kernel of Debian has as modules of: virtio, the root, the network, and what the tests make. */
const moduleNames = [
  ['virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_console'],
  ['netfs', 'fscache', '9pnet', '9pnet_virtio', '9p', 'overlay'],
  ['failover', 'net_failover', 'virtio_net', 'tun', 'veth'],
].flat();

/** Asked before any test: what to run guests with, or why this machine cannot. */
export async function findMachine(env: NodeJS.ProcessEnv = process.env): Promise<Machine | { lacking: string }> {
  if (process.arch !== 'x64') return { lacking: `guests are made for x64, this is ${process.arch}` };
  const cache = join(directories(env).cache, 'guest');
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const kernel = await kept(
    join(cache, 'linux-6.1'),
    { packages: ['linux-image-amd64'], suite: kernelSuite, dependencies: /^linux-image-\d/ },
    keepKernel,
  );
  if ('lacking' in kernel) return kernel;
  const qemu = (await installedQemu(env)) ?? (await fetchedQemu(cache));
  if ('lacking' in qemu) return qemu;
  const modules = moduleNames.map((name) => join(kernel.path, `${name}.ko`)).filter((path) => existsSync(path));
  return { qemu, vmlinuz: join(kernel.path, 'vmlinuz'), modules };
}

type Wanted = { packages: string[]; suite: string; dependencies: RegExp };

/** `path`, made by `keep` from the unpacked packages if it is not there. Two that fetch at once do not disturb each other. */
async function kept(
  path: string,
  wanted: Wanted,
  keep: (root: string, path: string) => void,
): Promise<{ path: string } | { lacking: string }> {
  if (existsSync(path)) return { path };
  const say = progress(process.stderr);
  const fresh = `${path}.new-${process.pid}`;
  const result = await withDebianPackages({ ...wanted, workDir: `${path}.work-${process.pid}` }, say, (root) => {
    keep(root, fresh);
    try {
      renameSync(fresh, path);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(path)) throw error;
    }
  });
  return 'failures' in result ? { lacking: `${wanted.packages.join(', ')}: ${result.failures.join('; ')}` } : { path };
}

function keepKernel(root: string, path: string): void {
  mkdirSync(path);
  const [vmlinuz] = readdirSync(join(root, 'boot')).filter((name) => name.startsWith('vmlinuz-'));
  if (vmlinuz === undefined) throw new Error('the kernel’s package holds no vmlinuz');
  renameSync(join(root, 'boot', vmlinuz), join(path, 'vmlinuz'));
  const wanted = new Set(moduleNames.map((name) => `${name}.ko`));
  for (const module of globSync(join(root, 'lib/modules/**/*.ko'))) {
    if (wanted.has(basename(module))) renameSync(module, join(path, basename(module)));
  }
}

function keepQemu(root: string, path: string): void {
  const share = join(root, 'usr/share');
  for (const name of readdirSync(share).filter((name) => name !== 'qemu' && name !== 'seabios'))
    rmSync(join(share, name), { recursive: true });
  renameSync(root, path);
}

/** One on PATH, if it was built with the 9p device. */
async function installedQemu(env: NodeJS.ProcessEnv): Promise<Machine['qemu'] | null> {
  const candidates = (env['PATH'] ?? '').split(delimiter).filter((dir) => isAbsolute(dir));
  for (const command of candidates.map((dir) => join(dir, 'qemu-system-x86_64')).filter((path) => existsSync(path))) {
    if (await works({ command: [command], env: {} })) return { command: [command], env: {} };
  }
  return null;
}

/** With its own C library: it runs whatever distribution this is. */
async function fetchedQemu(cache: string): Promise<Machine['qemu'] | { lacking: string }> {
  const wanted = { packages: ['qemu-system-x86', 'seabios'], suite: kernelSuite, dependencies: /./ };
  const found = await kept(join(cache, 'qemu'), wanted, keepQemu);
  if ('lacking' in found) return found;
  const inside = (path: string): string => join(found.path, path);
  const libraries = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map(inside);
  const qemu = {
    command: [
      [inside('lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'), '--library-path', libraries.join(':'), inside('usr/bin/qemu-system-x86_64')],
      ['-L', inside('usr/share/qemu'), '-L', inside('usr/share/seabios')],
    ].flat(),
    env: { QEMU_MODULE_DIR: inside('usr/lib/x86_64-linux-gnu/qemu') },
  };
  return (await works(qemu)) ? qemu : { lacking: `the downloaded QEMU in ${found.path} does not run here` };
}

async function works({ command, env }: Machine['qemu']): Promise<boolean> {
  const [file = '', ...args] = command;
  const result = await run(file, [...args, '-device', 'help'], { timeoutMs: 20_000, env: { ...process.env, ...env } });
  return result.code === 0 && result.stdout.includes('"virtio-9p-pci"');
}
