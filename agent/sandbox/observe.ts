/** Reads what a sandbox's command really got out of the kernel. No part of the spec is known here, so none can be echoed. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Native } from '#native/binding.ts';
import { capabilitiesOf } from '#shared/capability.ts';
import { errorText } from '#shared/errors.ts';
import { interfacesShownMax, mountsShownMax } from '#shared/observed.ts';
import type { SandboxObserved } from '#shared/observed.ts';
import { rawText } from '#shared/raw-text.ts';
import { parseIdMap, parseTimeOffsets } from '../inventory/describe/proc-text.ts';
import { parseMountinfo } from '../inventory/mount-table.ts';
import type { MountRow } from '../inventory/mount-table.ts';
import { parseLimits } from './kernel-facts.ts';
import { isAlive } from './processes.ts';
import type { ProcessIdentity } from './record.ts';

type IdMap = SandboxObserved['uidMap'];
const noDomain = '(none)';
const masksMax = 64;
const groupsMax = 256;
const textMax = 1024;

/** Null where the process is not there any more, or was not all the while: then nothing of it is believed. */
export async function observe(
  native: Pick<Native, 'processStart' | 'lookInside' | 'relate'>,
  command: ProcessIdentity,
  at: string,
): Promise<SandboxObserved | null> {
  try {
    const path = `/proc/${command.pid}`;
    const text = (name: string): string => readFileSync(`${path}/${name}`, 'latin1');
    const unread: string[] = [];
    const maybe = <T>(name: string, read: () => T): T | null => attempt(read, (reason) => unread.push(`${name}: ${reason}`));
    const uidMap = parseIdMap(text('uid_map'));
    const gidMap = parseIdMap(text('gid_map'));
    const table = maybe('mounts', () => parseMountinfo(readFileSync(`${path}/mountinfo`))) ?? [];
    const offsets = maybe('timeOffsets', () => parseTimeOffsets(text('timens_offsets')));
    const observed: SandboxObserved = {
      at,
      pid: command.pid,
      uidMap,
      gidMap,
      ...statusOf(text('status'), uidMap, gidMap),
      rlimits: parseLimits(text('limits')),
      nice: niceOf(text('stat')),
      oomScoreAdj: Number(text('oom_score_adj')),
      cgroups: lines(maybe('cgroups', () => text('cgroup')) ?? '').slice(0, 32),
      ...mountsOf(table),
      interfaces: interfacesOf(maybe('interfaces', () => text('net/dev')) ?? '').slice(0, interfacesShownMax),
      timeOffsets: offsets === null ? null : { monotonicNs: offsets.monotonic, boottimeNs: offsets.boottime },
      ...(await namesOf(native, `${path}/ns/uts`, unread)),
      unread,
    };
    return isAlive(native as Native, command) ? observed : null;
  } catch {
    return null;
  }
}

/** Of proc_pid_status(5). A name that holds a newline stands there escaped, so a line that begins with a key is the kernel's. */
export function statusOf(
  text: string,
  uidMap: IdMap,
  gidMap: IdMap,
): Pick<SandboxObserved, 'uid' | 'gid' | 'groups' | 'capabilities' | 'noNewPrivs' | 'seccomp' | 'umask'> {
  const field = (name: string): string | null => new RegExp(`\n${name}:[ \t]*([^\n]*)\n`).exec(`\n${text}\n`)?.[1]?.trim() ?? null;
  const needed = (name: string): string => {
    const value = field(name);
    if (value === null) throw new Error(`no ${name} in status`);
    return value;
  };
  const set = (name: string): string[] => capabilitiesOf(BigInt(`0x${needed(name)}`));
  const both = (map: IdMap, outside: number) => ({ outside, inside: insideId(map, outside) });
  const numbers = (name: string): number[] =>
    needed(name) === ''
      ? []
      : needed(name)
          .split(/[ \t]+/)
          .map(Number);
  const filters = field('Seccomp_filters');
  return {
    // Real, effective, saved, file system: the command is started with all four the same.
    uid: both(uidMap, numbers('Uid')[1] ?? 0),
    gid: both(gidMap, numbers('Gid')[1] ?? 0),
    groups: numbers('Groups')
      .slice(0, groupsMax)
      .map((group) => both(gidMap, group)),
    capabilities: {
      inheritable: set('CapInh'),
      permitted: set('CapPrm'),
      effective: set('CapEff'),
      bounding: set('CapBnd'),
      ambient: set('CapAmb'),
    },
    noNewPrivs: needed('NoNewPrivs') === '1',
    seccomp: {
      mode: (['disabled', 'strict', 'filter'] as const)[Number(needed('Seccomp'))] ?? 'filter',
      filters: filters === null ? null : Number(filters),
    },
    umask: needed('Umask'),
  };
}

/** Null: nobody inside has that id. */
export function insideId(map: IdMap, outside: number): number | null {
  const line = map.find((one) => outside >= one.outside && outside < one.outside + one.count);
  return line === undefined ? null : outside - line.outside + line.inside;
}

/** Field 19 of proc_pid_stat(5), behind the last ) of a name that may hold anything. */
export function niceOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}

/** The second field of each line after the two that head proc_net_dev(5). */
export function interfacesOf(text: string): string[] {
  return lines(text)
    .slice(2)
    .flatMap((line) => /^ *([^ :]{1,64}):/.exec(line)?.[1] ?? []);
}

function mountsOf(table: readonly MountRow[]): Pick<SandboxObserved, 'root' | 'mounts' | 'mountCount' | 'masked'> {
  const root = table.findLast(({ target }) => target === '/');
  const masked = table.filter(isMask);
  return {
    root:
      root === undefined
        ? null
        : { source: cut(root.source), type: cut(root.fsType), options: cut(root.options), superOptions: cut(root.superOptions) },
    mounts: table
      .filter((row) => !isMask(row))
      .slice(0, mountsShownMax)
      .map(({ target, fsType, source, options }) => ({
        target: cut(target),
        type: cut(fsType),
        source: cut(source),
        options: cut(options),
      })),
    mountCount: table.length,
    masked: masked.slice(0, masksMax).map(({ target }) => cut(target)),
  };
}

/** The host's /dev/null on a file, or a read-only tmpfs on a directory, below what the kernel shows. */
function isMask({ target, root, fsType, options }: MountRow): boolean {
  if (!/^\/(proc|sys)\//.test(target)) return false;
  return root === '/null' || root === '/dev/null' || (fsType === 'tmpfs' && options.split(',').includes('ro'));
}

async function namesOf(
  native: Pick<Native, 'lookInside' | 'relate'>,
  path: string,
  unread: string[],
): Promise<Pick<SandboxObserved, 'hostname' | 'domainname'>> {
  try {
    const fd = openSync(path, 'r');
    try {
      const { inode, id } = native.relate({ path });
      const [view] = await native.lookInside([{ type: 'uts', inode, id, fd, wanted: true }]);
      if (view?.failed === null && view.type === 'uts') {
        const domainname = rawText(view.domainname);
        return { hostname: rawText(view.hostname), domainname: domainname === noDomain ? '' : domainname };
      }
      unread.push(`hostname: ${view?.failed ?? 'no answer'}`.slice(0, 200));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    unread.push(`hostname: ${errorText(error)}`.slice(0, 200));
  }
  return { hostname: null, domainname: null };
}

function attempt<T>(read: () => T, failed: (reason: string) => void): T | null {
  try {
    return read();
  } catch (error) {
    failed(errorText(error).slice(0, 150));
    return null;
  }
}

const cut = (text: string): string => text.slice(0, textMax);
const lines = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(cut);
