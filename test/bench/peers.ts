/**
 * The peers: unshare(1) of the machine, bubblewrap and crun from Debian's archive, unpacked into the cache and never installed. Each makes
 * what comes nearest to our sandbox: all the namespaces it knows, the host's /usr read-only, a fresh /proc, a minimal /dev.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withDebianPackages } from '#controller/up/debian-package.ts';

export type Peer = { name: string; argv: string[]; missing?: string };

const packages = ['bubblewrap', 'crun', 'libyajl2'];

/** `payload` is what runs inside; `workDir` takes crun's bundle. A peer that cannot be had is named, with the reason. */
export async function findPeers(cacheDir: string, workDir: string, payload: readonly string[]): Promise<Peer[]> {
  const root = join(cacheDir, 'bench-peers');
  const reason = existsSync(root) ? null : await fetchPeers(cacheDir, root);
  const libraries = `LD_LIBRARY_PATH=${['x86_64', 'aarch64'].map((machine) => join(root, `usr/lib/${machine}-linux-gnu`)).join(':')}`;
  const peer = (name: string, binary: string, argv: string[]): Peer =>
    existsSync(binary) ? { name, argv } : { name, argv, missing: reason ?? `${binary} is not there` };
  const bwrap = join(root, 'usr/bin/bwrap');
  const crun = join(root, 'usr/bin/crun');
  return [
    peer('bubblewrap', bwrap, [bwrap, ...bubblewrapOptions, ...payload]),
    peer('crun', crun, [
      '/usr/bin/env',
      libraries,
      crun,
      '--root',
      join(workDir, 'crun'),
      '--cgroup-manager=disabled',
      'run',
      '--bundle',
      bundle(workDir, payload),
      'bench',
    ]),
    peer('unshare', '/usr/bin/unshare', ['/usr/bin/unshare', ...unshareOptions, ...payload]),
  ];
}

/** Null when they lie in `root`, else why not. */
async function fetchPeers(cacheDir: string, root: string): Promise<string | null> {
  mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const download = { packages, suite, workDir: join(cacheDir, `bench-peers.new-${process.pid}`) };
  const result = await withDebianPackages(
    download,
    () => console.log(`fetching ${packages.join(', ')} of Debian ${suite} into the cache`),
    (unpacked) => renameSync(unpacked, root),
  );
  return 'value' in result ? null : result.failures.join('; ');
}

/** All that it can unshare: everything but time. */
const bubblewrapOptions = [
  '--unshare-all --hostname bench --new-session --cap-drop ALL',
  '--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64',
  '--proc /proc --dev /dev --tmpfs /tmp',
].flatMap((line) => line.split(' '));

const unshareOptions = '--user --map-root-user --mount --uts --ipc --net --pid --fork --cgroup --time --mount-proc'.split(' ');

/** An OCI bundle with the same promises: namespaces, ids, read-only /usr, masked paths, no capabilities. */
function bundle(workDir: string, payload: readonly string[]): string {
  const dir = join(workDir, 'bundle');
  rmSync(dir, { recursive: true, force: true });
  for (const name of ['usr', 'proc', 'dev', 'tmp']) mkdirSync(join(dir, 'rootfs', name), { recursive: true });
  for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(dir, 'rootfs', name));
  mkdirSync(join(workDir, 'crun'), { recursive: true });
  const ids = [{ containerID: 0, hostID: 1_000_000, size: 65_536 }];
  const tmpfs = { type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777'] };
  writeFileSync(
    join(dir, 'config.json'),
    JSON.stringify({
      ociVersion: '1.0.0',
      hostname: 'bench',
      process: { args: payload, cwd: '/', env: ['PATH=/usr/bin'], user: { uid: 0, gid: 0 }, noNewPrivileges: true, capabilities: {} },
      root: { path: 'rootfs', readonly: true },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', ...tmpfs, options: ['nosuid', 'mode=755'] },
        { destination: '/tmp', ...tmpfs },
        { destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro', 'nosuid', 'nodev'] },
      ],
      linux: {
        namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'user', 'cgroup'].map((type) => ({ type })),
        uidMappings: ids,
        gidMappings: ids,
        maskedPaths: [
          '/proc/acpi',
          '/proc/asound',
          '/proc/kcore',
          '/proc/keys',
          '/proc/latency_stats',
          '/proc/timer_list',
          '/proc/sched_debug',
          '/proc/scsi',
        ],
        readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
      },
    }),
  );
  return dir;
}
