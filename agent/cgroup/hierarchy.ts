/**
 * Where this agent's sandboxes have their cgroups: `<cgroup v2>/<parent>/<host id>/<one for each sandbox>`. Of the levels above only the
 * controllers are handed down; nothing runs there (cgroups(7), "no internal processes").
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cgroupControllers } from '#shared/cgroup.ts';
import type { CgroupController } from '#shared/cgroup.ts';
import { errorText } from '#shared/errors.ts';
import { rawBytes } from '#shared/raw-text.ts';
import { parseMountinfo } from '../inventory/mount-table.ts';
import { SandboxCgroup } from './sandbox-cgroup.ts';

export type Cgroups = {
  /** why sandboxes cannot be limited by a controller; those that are not named work */
  readonly lacks: ReadonlyMap<CgroupController, string>;
  /** A new, empty one, or null: sandboxes get none here. Throws the system's error. */
  make(): SandboxCgroup | null;
  /** The one of that name; null where there cannot be any. */
  open(name: string): SandboxCgroup | null;
  /** The name of the one that the process is in; null where that is none of these. */
  nameOf(pid: number): string | null;
  /** Removes what an earlier life left: those that no name of `used` is of and nothing runs in. Returns the others. */
  sweep(used: ReadonlySet<string>): string[];
  /** Removes what is empty of the levels above. */
  close(): void;
};

/** It cannot tell whose it is: one that waits ready is nobody's yet, and a cgroup cannot be renamed. */
const nameBytes = 6;
/** CGROUP2_SUPER_MAGIC of linux/magic.h. */
const cgroup2Magic = 0x63677270n;
const namePattern = /^[0-9a-f]{12}$/;

/** For an agent that may make none, or where the kernel offers none. */
export function noCgroups(reason: string): Cgroups {
  return {
    lacks: new Map(cgroupControllers.map((controller) => [controller, reason])),
    make: () => null,
    open: () => null,
    nameOf: () => null,
    sweep: () => [],
    close: () => undefined,
  };
}

/** Makes the levels and hands down what controllers there are; never throws. */
export function openCgroups(hostId: string, parent: string): Cgroups {
  const mount = findMount();
  if (mount === null) return noCgroups('cgroup v2 is not mounted');
  const base = join(mount, parent, hostId);
  try {
    mkdirSync(base, { recursive: true, mode: 0o755 });
  } catch (error) {
    return noCgroups(`no cgroup can be made below ${mount}: ${errorText(error)}`);
  }
  // Not those that this life makes: one is empty until its first process is born there.
  const left = readdirSync(base).filter((name) => namePattern.test(name));
  const lacks = new Map<CgroupController, string>();
  for (const controller of cgroupControllers) {
    const reason = handDown(controller, [mount, dirname(base), base]);
    if (reason !== null) lacks.set(controller, reason);
  }
  return {
    lacks,
    make() {
      const path = join(base, randomBytes(nameBytes).toString('hex'));
      mkdirSync(path, { mode: 0o755 });
      return new SandboxCgroup(path);
    },
    open: (name) => (namePattern.test(name) ? new SandboxCgroup(join(base, name)) : null),
    nameOf(pid) {
      const name = /^0::\/(?:.*\/)?([0-9a-f]{12})$/m.exec(readText(`/proc/${pid}/cgroup`))?.[1];
      return name !== undefined &&
        readText(join(base, name, 'cgroup.procs'))
          .split('\n')
          .includes(String(pid))
        ? name
        : null;
    },
    sweep(used) {
      return left.filter((name) => !used.has(name) && !removed(join(base, name)));
    },
    close() {
      if (removed(base)) removed(dirname(base));
    },
  };
}

/** The first mount that shows the whole hierarchy, or all that this cgroup namespace sees of it. */
function findMount(): string | null {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo'));
  const targets = mounts
    .filter(({ fsType, root }) => fsType === 'cgroup2' && root === '/')
    .map(({ target }) => rawBytes(target).toString());
  // What is mounted over it is another file system at the same path, where directories would be just that.
  return targets.find(isCgroup2) ?? null;
}

function isCgroup2(path: string): boolean {
  try {
    return statfsSync(path, { bigint: true }).type === cgroup2Magic;
  } catch {
    return false;
  }
}

/** Null, or why the lowest level cannot have it. */
function handDown(controller: CgroupController, levels: readonly string[]): string | null {
  for (const level of levels) {
    try {
      if (!readFileSync(join(level, 'cgroup.controllers'), 'utf8').trim().split(' ').includes(controller)) {
        return `cgroup v2 at ${level} has no such controller: it may be bound to cgroup v1`;
      }
      writeFileSync(join(level, 'cgroup.subtree_control'), `+${controller}`);
    } catch (error) {
      return `${level}: ${errorText(error)}`;
    }
  }
  return null;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** rmdir(2) refuses what holds processes or other cgroups. */
function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
