/** What this process, and what it started, occupy on the host right now: the two sides that leaks.ts compares. */
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { identify } from '#controller/up/identity.ts';
import { ownDirectories, testBase } from './own-directories.ts';

/** Each is a list of lines that a person can act on. */
export type Footprint = Record<'processes' | 'descriptors' | 'mounts' | 'cgroups' | 'links' | 'directories', string[]>;

/** Set in this process's environment, and so in that of all it starts: `<variable>=<value>`. */
export type Marker = { variable: string; value: string };

export function footprint(marker: Marker): Footprint {
  return {
    processes: processes(marker),
    descriptors: descriptors(),
    mounts: mounts(),
    cgroups: cgroups(),
    links: existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [],
    directories: ownDirectories(),
  };
}

/** Children of children too, and those that a dead parent left: they carry the marker, or hold a file below this file's directory. */
function processes(marker: Marker): string[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const parents = new Map(all.map((pid) => [pid, parentOf(pid)]));
  const roots = ownDirectories();
  return all
    .filter((pid) => pid !== process.pid && identify(pid) !== null)
    .filter((pid) => descends(pid, parents) || carries(pid, marker) || roots.some((root) => holdsBelow(pid, root)))
    .map(
      (pid) =>
        `${pid} ${readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() || readText(`/proc/${pid}/comm`).trim()} (${namespacesOf(pid)})`,
    );
}

function descends(pid: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = parents.get(pid) ?? 0, depth = 0; at > 1 && depth < 64; at = parents.get(at) ?? 0, depth += 1) {
    if (at === process.pid) return true;
  }
  return false;
}

function parentOf(pid: number): number {
  const stat = readText(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function carries(pid: number, marker: Marker): boolean {
  return readText(`/proc/${pid}/environ`).split('\0').includes(`${marker.variable}=${marker.value}`);
}

/** A shim has an empty environment and outlives its parent; what it keeps open is its sandbox's state directory. */
function holdsBelow(pid: number, root: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => link(`/proc/${pid}/fd/${fd}`).startsWith(`${root}/`));
  } catch {
    return false;
  }
}

/** Only those that are not ours: what a leaked process keeps alive beside itself. */
function namespacesOf(pid: number): string {
  const other = ['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'].filter((type) => {
    const theirs = link(`/proc/${pid}/ns/${type}`);
    return theirs !== '' && theirs !== link(`/proc/self/ns/${type}`);
  });
  return other.length === 0 ? 'no namespaces of its own' : `own namespaces: ${other.join(', ')}`;
}

/** By kind, as two sockets are never the same one: `socket #3`, and `net:[4026531840] #1` for a namespace that is held open. */
function descriptors(): string[] {
  const counts = new Map<string, number>();
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const target = link(`/proc/self/fd/${fd}`).replace(/^(socket|pipe):\[\d+\]$/, '$1');
    if (target === '' || /^\/proc\/\d+\/fd$/.test(target)) return [];
    const count = (counts.get(target) ?? 0) + 1;
    counts.set(target, count);
    return [`${target} #${count}`];
  });
}

/** Mount point, type and source. What other test files mount below directories of their own is theirs. */
function mounts(): string[] {
  const own = ownDirectories();
  return readText('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ');
      return `${left.split(' ')[4]} ${right.split(' ').slice(0, 2).join(' ')}`;
    })
    .filter((line) => !line.startsWith(`${testBase()}/`) || own.some((root) => line.startsWith(`${root}/`)));
}

function cgroups(): string[] {
  const unified = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
  if (unified === undefined) return [];
  return readdirSync(unified, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.includes('nsfleet'));
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
