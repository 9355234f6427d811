/** The operations that make a sandbox's root file system, for each type of root. Pure. */
import { dirname } from 'node:path/posix';
import { pathsDownTo } from '#shared/paths.ts';
import type { PlanOperation } from '#shared/plan.ts';
import type { LayeredRoot } from '#shared/root.ts';
import type { ResolvedSpec } from '../image/process.ts';
import { etcOperations, ownEtcOperations } from './etc.ts';
import { inodesOf, mkdir, readOnlyTree, symlink, tmpfs } from './mounts.ts';
import type { RootOperations, Slots } from './mounts.ts';
import type { HostRootFacts } from './root-facts.ts';

const mebibyte = 1024 * 1024;

/** Memory that a sandbox's temporary files may take, each; a memory limit for all of them is the cgroup's. */
const tmpfsSizes = { root: 4 * mebibyte, tmp: 512 * mebibyte, run: 32 * mebibyte, varTmp: 256 * mebibyte, home: 256 * mebibyte } as const;
export type RootInput = {
  spec: ResolvedSpec;
  hostname: string;
  /** First id of the sandbox outside; null: a plain user's, who owns all that is made. */
  idBase: number | null;
  host: HostRootFacts;
  /** directories of the host that make up a root that is not the host's, the uppermost first */
  layers: readonly string[];
};

export function rootOperations(input: RootInput, slots: Slots): RootOperations {
  return input.spec.root.type === 'host' ? hostRoot(input, slots) : layeredRoot(input, input.spec.root, slots);
}

/** /usr of the host read-only; everything else is made. */
function hostRoot({ spec, hostname, idBase, host }: RootInput, slots: Slots): RootOperations {
  const side = idBase === null ? 'inner' : 'host';
  const binds = [
    { path: '/usr', directory: true },
    ...host.topLevel.filter(({ link }) => link === null).map(({ name }) => ({ path: `/${name}`, directory: true })),
    ...host.etc,
  ].map((bind) => ({ ...bind, slot: slots.next() }));
  const etcParents = new Set(binds.map(({ path }) => dirname(path)).filter((path) => path.startsWith('/etc/')));

  return {
    sources: binds.map(({ slot, path, directory }) => readOnlyTree(slot, path, directory, side)),
    tree: [
      { op: 'root', side: 'inner', source: { type: 'tmpfs', sizeBytes: tmpfsSizes.root, inodes: 1024 } },
      ...['/etc', '/proc', '/sys', '/dev', '/tmp', '/run', '/var', '/var/tmp', '/root', '/home'].map((path) => mkdir(path)),
      ...[...etcParents].flatMap((path) => pathsDownTo(path).slice(1)).map((path) => mkdir(path)),
      ...host.topLevel.flatMap(({ name, link }): PlanOperation[] => (link === null ? [] : [symlink(`/${name}`, link)])),
      symlink('/var/run', '../run'),
      ...etcOperations(spec, hostname),
      ...binds.map(({ slot, path, directory }): PlanOperation => ({
        op: 'attach',
        side: 'inner',
        slot,
        target: path,
        create: directory ? 'directory' : 'file',
        followSymlinks: false,
        optional: path !== '/usr',
      })),
      ...temporaryFiles(),
      tmpfs('/root', 0o700, tmpfsSizes.home, { noexec: false }),
    ],
  };
}

/** Directories of the host under overlayfs, so that making mount points never changes them, read-only or not. */
function layeredRoot({ hostname, idBase, host, layers }: RootInput, { writable, upper }: LayeredRoot, slots: Slots): RootOperations {
  const side = idBase === null ? 'inner' : 'host';
  const slot = slots.next();
  const owner = { uid: idBase, gid: idBase };
  const memory = upper.type === 'disk' ? null : { sizeBytes: upper.sizeBytes, inodes: inodesOf(upper.sizeBytes), ...owner };
  const names = { upper: 'upper', work: 'work' };
  const stateDirectories = Object.values(names).map((name): PlanOperation => ({ op: 'state_mkdir', side, name, mode: 0o755, ...owner }));
  return {
    sources: [
      ...(memory === null ? stateDirectories : []),
      ...layers.map((path): PlanOperation => ({ op: 'lower', side, path })),
      { op: 'overlay', side, slot, ...names, memory, mapOwners: idBase !== null && idBase !== 0, userxattr: idBase === null },
    ],
    tree: [
      { op: 'root', side: 'inner', source: { type: 'slot', slot } },
      mkdir('/proc', 0o555),
      mkdir('/sys', 0o555),
      mkdir('/dev'),
      ...(writable ? [] : [mkdir('/tmp', 0o1777, true), mkdir('/run', 0o755, true), mkdir('/var'), mkdir('/var/tmp', 0o1777, true)]),
      ...ownEtcOperations(hostname, host.resolvConf),
      ...(writable ? [] : temporaryFiles(true)),
    ],
  };
}

function temporaryFiles(followSymlinks = false): PlanOperation[] {
  return [
    tmpfs('/tmp', 0o1777, tmpfsSizes.tmp, { noexec: false, followSymlinks }),
    tmpfs('/run', 0o755, tmpfsSizes.run, { noexec: true, followSymlinks }),
    tmpfs('/var/tmp', 0o1777, tmpfsSizes.varTmp, { noexec: false, followSymlinks }),
  ];
}
