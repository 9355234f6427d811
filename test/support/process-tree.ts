/** Which processes belong to another one: its descendants, and those that carry a variable that only it gave to its children. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { identify } from '#controller/up/identity.ts';

/** Set in a process's environment, and so in that of all it starts: `<variable>=<value>`. */
export type Marker = { variable: string; value: string };

/** Pids of all that `pid` started and their children too, also where a dead parent left them; of those that hold a file below `roots`. */
export function belongingTo(pid: number, marker: Marker, roots: readonly string[]): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const parents = new Map(all.map((each) => [each, parentOf(each)]));
  return all
    .filter((each) => each !== pid && identify(each) !== null)
    .filter((each) => descends(each, pid, parents) || carries(each, marker) || roots.some((root) => holdsBelow(each, root)));
}

function descends(pid: number, from: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = parents.get(pid) ?? 0, depth = 0; at > 1 && depth < 64; at = parents.get(at) ?? 0, depth += 1) {
    if (at === from) return true;
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

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Its arguments, or its name where it has none. */
export function commandOf(pid: number): string {
  return readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() || readText(`/proc/${pid}/comm`).trim();
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
