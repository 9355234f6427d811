/** What this process, and what it started, occupy on the host right now: the two sides that leaks.ts compares. */
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { ownCgroups } from './own-cgroups.ts';
import { ownDirectories, sharedMountDirectories, testBase } from './own-directories.ts';
import { belongingTo, commandOf } from './process-tree.ts';
import type { Marker } from './process-tree.ts';

/** Each is a list of lines that a person can act on. */
export type Footprint = Record<'processes' | 'descriptors' | 'mounts' | 'cgroups' | 'links' | 'directories', string[]>;

export function footprint(marker: Marker): Footprint {
  return {
    processes: processes(marker),
    descriptors: descriptors(),
    mounts: mounts(),
    cgroups: ownCgroups(),
    links: existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [],
    directories: ownDirectories(),
  };
}

function processes(marker: Marker): string[] {
  return belongingTo(process.pid, marker, ownDirectories()).map((pid) => `${pid} ${commandOf(pid)} (${namespacesOf(pid)})`);
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
    .filter((line) => ![testBase(), ...sharedMountDirectories].some((root) => lies(line, root)) || own.some((root) => lies(line, root)));
}

function lies(mount: string, directory: string): boolean {
  return mount.startsWith(`${directory}/`) || mount.startsWith(`${directory} `);
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
