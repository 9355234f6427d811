/** The operations that make a sandbox's root file system, for each type of root. Pure. */
import { dirname } from 'node:path/posix';
import type { PlanOperation } from '#shared/plan.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import { etcOperations } from './etc.ts';
import type { HostRootFacts } from './root-facts.ts';

const mebibyte = 1024 * 1024;

/** Memory that a sandbox's temporary files may take, each; a memory limit for all of them is the cgroup's. */
const tmpfsSizes = { root: 4 * mebibyte, tmp: 512 * mebibyte, run: 32 * mebibyte, varTmp: 256 * mebibyte, home: 256 * mebibyte } as const;
/** One inode a 16 KiB: enough for source trees, and it bounds the kernel memory that a file bomb takes. */
const bytesPerInode = 16 * 1024;

export type RootInput = {
  spec: SandboxSpec;
  hostname: string;
  /** First id of the sandbox outside; null: a plain user's, who owns all that is made. */
  idBase: number | null;
  host: HostRootFacts;
};

type Tree = Extract<PlanOperation, { op: 'tree' }>;

/** Slots as they are needed, in the plan's order. */
export type Slots = { next(): number };

/** The operations that clone or mount things of the host, and those that put the new root together from them. */
export type RootOperations = { sources: PlanOperation[]; tree: PlanOperation[] };

export function rootOperations(input: RootInput, slots: Slots): RootOperations {
  return input.spec.root.type === 'host' ? hostRoot(input, slots) : directoryRoot(input, input.spec.root, slots);
}

/** A read-only copy of something of the host. */
export function readOnlyTree(slot: number, path: string, directory: boolean, side: 'host' | 'inner'): Tree {
  return {
    op: 'tree',
    side,
    slot,
    path,
    readonly: true,
    nosuid: true,
    nodev: true,
    noexec: false,
    // A plain user may only copy a directory together with the mounts below it, which are locked to it.
    recursive: directory,
    followSymlinks: true,
    // What was there when the facts were read may be gone; only /usr is needed.
    optional: path !== '/usr',
    device: null,
  };
}

export function tmpfs(target: string, mode: number, sizeBytes: number, noexec: boolean, followSymlinks = false): PlanOperation {
  const inodes = Math.max(64, Math.ceil(sizeBytes / bytesPerInode));
  const attributes = { readonly: false, nosuid: true, nodev: true, noexec };
  return { op: 'tmpfs', side: 'inner', target, mode, sizeBytes, inodes, ...attributes, followSymlinks };
}

export function mkdir(path: string, mode = 0o755, followSymlinks = false): PlanOperation {
  return { op: 'mkdir', side: 'inner', path, mode, followSymlinks };
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
      ...['/etc', '/proc', '/dev', '/tmp', '/run', '/var', '/var/tmp', '/root', '/home'].map((path) => mkdir(path)),
      ...[...etcParents].flatMap(pathsDownTo).map((path) => mkdir(path)),
      ...host.topLevel.flatMap(({ name, link }): PlanOperation[] => (link === null ? [] : [symlink(`/${name}`, link)])),
      symlink('/var/run', '../run'),
      ...etcOperations(spec, hostname),
      ...binds.map(({ slot, path, directory }): PlanOperation => ({
        op: 'attach',
        side: 'inner',
        slot,
        target: path,
        create: directory ? 'directory' : 'file',
        optional: path !== '/usr',
      })),
      ...temporaryFiles(),
      tmpfs('/root', 0o700, tmpfsSizes.home, false),
    ],
  };
}

/** A directory of the host under overlayfs, so that making mount points never changes it, read-only or not. */
function directoryRoot({ idBase }: RootInput, root: Extract<SandboxSpec['root'], { type: 'directory' }>, slots: Slots): RootOperations {
  const side = idBase === null ? 'inner' : 'host';
  const slot = slots.next();
  return {
    sources: [
      { op: 'state_mkdir', side, name: 'upper', mode: 0o755, uid: idBase, gid: idBase },
      { op: 'state_mkdir', side, name: 'work', mode: 0o755, uid: idBase, gid: idBase },
      { op: 'overlay', side, slot, lower: root.path, upper: 'upper', work: 'work', mapOwners: idBase !== null, userxattr: idBase === null },
    ],
    tree: [
      { op: 'root', side: 'inner', source: { type: 'slot', slot } },
      mkdir('/proc', 0o555),
      mkdir('/dev'),
      ...(root.writable ? [] : [mkdir('/tmp', 0o1777, true), mkdir('/run', 0o755, true), mkdir('/var'), mkdir('/var/tmp', 0o1777, true)]),
      ...(root.writable ? [] : temporaryFiles(true)),
    ],
  };
}

function temporaryFiles(followSymlinks = false): PlanOperation[] {
  return [
    tmpfs('/tmp', 0o1777, tmpfsSizes.tmp, false, followSymlinks),
    tmpfs('/run', 0o755, tmpfsSizes.run, true, followSymlinks),
    tmpfs('/var/tmp', 0o1777, tmpfsSizes.varTmp, false, followSymlinks),
  ];
}

function symlink(path: string, to: string): PlanOperation {
  return { op: 'symlink', side: 'inner', path, to };
}

/** `/etc/pki/tls` as `/etc/pki`, `/etc/pki/tls`. */
function pathsDownTo(path: string): string[] {
  const parts = path.split('/').slice(2);
  return parts.map((_, index) => `/etc/${parts.slice(0, index + 1).join('/')}`);
}
