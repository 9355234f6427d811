/** What is asked of a running sandbox's cgroup before anything is changed: answered by what would be written, or by a refusal. */
import type { LimitWrite, Resources } from '#shared/cgroup.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Cgroups } from '../cgroup/hierarchy.ts';
import { limitChanges, noCgroupOf, requireControllers } from '../cgroup/limits.ts';
import type { SandboxCgroup } from '../cgroup/sandbox-cgroup.ts';
import type { Placement } from './placement.ts';

/** SANDBOX_NOT_RUNNING, LIMITS_UNAVAILABLE. */
export function cgroupOf(cgroups: Cgroups, { record }: Placement): SandboxCgroup {
  const { desired, state, cgroup } = record;
  if (state !== 'running' && state !== 'paused' && state !== 'stopping') {
    throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'look into sandbox', target: desired.name, reason: `it is ${state}` });
  }
  const found = cgroup === null ? null : cgroups.open(cgroup);
  if (found === null) throw noCgroupOf(desired.name);
  return found;
}

/** `resources` null: nothing would be written; only that it has a cgroup is checked. */
export function previewLimits(cgroups: Cgroups, placement: Placement, resources: Resources | null): { writes: LimitWrite[] } {
  cgroupOf(cgroups, placement);
  if (resources === null) return { writes: [] };
  const writes = limitChanges(resources, placement.record);
  requireControllers(cgroups.lacks, writes, placement.record.desired.name);
  return { writes };
}
