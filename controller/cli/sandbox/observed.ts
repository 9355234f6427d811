/** What a sandbox really got, as lines of `sandbox show`: pure. */
import { lackText } from '#shared/lack.ts';
import type { SandboxObserved } from '#shared/observed.ts';
import type { SandboxDetail } from '#shared/resources.ts';
import type { Field } from '../output/block.ts';

/** Nothing where nothing was told: a host that has not answered is no host that gave nothing. */
export function observedFields({ observed, lacks }: SandboxDetail): Field[] {
  const without: Field[] = lacks.length === 0 ? [] : [['Runs without', lacks.map(lackText)]];
  if (observed === null) return without;
  const { uid, gid, groups, capabilities, seccomp, root, interfaces, timeOffsets } = observed;
  return [
    ...without,
    ['Seen', `${observed.at}, of process ${observed.pid}`],
    ['  ids', `${idText(uid)}:${idText(gid)}${groups.length === 0 ? ', no groups' : `, groups ${groups.map(idText).join(' ')}`}`],
    ['  uid map', mapText(observed.uidMap)],
    ['  gid map', mapText(observed.gidMap)],
    ['  capabilities', Object.entries(capabilities).map(([set, names]) => `${set.padEnd(11)} ${names.join(' ') || 'none'}`)],
    ['  no new privs', observed.noNewPrivs ? 'yes' : 'no'],
    ['  seccomp', seccomp.mode + (seccomp.filters === null ? '' : ` (${seccomp.filters} filters)`)],
    ['  umask', observed.umask],
    ['  priority', `nice ${observed.nice}, oom_score_adj ${observed.oomScoreAdj}`],
    ['  rlimits', Object.entries(observed.rlimits).map(([name, { soft, hard }]) => `${name.padEnd(10)} ${soft} of ${hard}`)],
    ['  cgroup', observed.cgroups],
    ['  root', root === null ? null : `${root.type} ${root.source} (${root.options}; ${root.superOptions})`],
    ['  mounts', [`${observed.mountCount}`, ...observed.mounts.map(mountText)]],
    ['  masked', observed.masked],
    ['  interfaces', interfaces.join(' ')],
    ['  hostname', observed.hostname],
    ['  domainname', observed.domainname],
    ['  time offsets', timeOffsets === null ? null : `monotonic ${timeOffsets.monotonicNs} ns, boottime ${timeOffsets.boottimeNs} ns`],
    ...(observed.unread.length === 0 ? [] : [['  not readable', observed.unread] as const]),
  ];
}

function idText({ inside, outside }: SandboxObserved['uid']): string {
  return `${inside ?? '?'} (outside ${outside})`;
}

function mapText(map: SandboxObserved['uidMap']): string {
  return map.map(({ inside, outside, count }) => `${inside} → ${outside} × ${count}`).join(', ');
}

function mountText({ target, type, source, options }: SandboxObserved['mounts'][number]): string {
  return `${target} ${type} ${source} ${options}`;
}
