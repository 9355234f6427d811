/** From a wish to a shim that has its plan: a ready one where one fits, else a new one. */
import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import type { Child } from '#native/types.ts';
import { asNsfleetError } from '#shared/errors.ts';
import type { Resources } from '#shared/cgroup.ts';
import type { Lack } from '#shared/lack.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import { limitWrites } from '../cgroup/limits.ts';
import type { SandboxCgroup } from '../cgroup/sandbox-cgroup.ts';
import { judgedPlan } from './judged-plan.ts';
import type { Place, RunnerParts } from './runner.ts';
import { openShimLink } from './shim-link.ts';
import type { ShimEar, ShimLink } from './shim-link.ts';

const removeBoundMs = 1000;

export type Launched = {
  shim: Child;
  link: ShimLink;
  cgroup: SandboxCgroup | null;
  /** what it runs without */
  lacks: Lack[];
  /** the limits that hold */
  resources: Resources;
};

/** The limits hold before anything of the sandbox runs. What is thrown is an error of the catalogue, and then nothing is left. */
export async function launch(parts: RunnerParts, desired: DesiredPlacement, place: Place, ear: ShimEar): Promise<Launched> {
  const { native, ready } = parts;
  const { name } = desired;
  using fds = new DisposableStack();
  try {
    const root = desired.spec.root.type;
    // What it is unpacked from is noted there.
    if (root !== 'host' && root !== 'directory') place.commit(null);
    const { plan, targets, lacks, spec } = fds.use(await judgedPlan(parts, desired, place.path));
    const { resources } = spec;
    const limits = limitWrites(resources);
    const encoded = fds.use(native.sealBytes(encodePlan(plan), 'nsfleet-plan'));
    const waiting = place.isThere ? null : ready.take(plan);
    if (waiting !== null) {
      const link = await waiting.give(encoded, limits, place, ear);
      if (link !== null) return { shim: waiting.shim, link, cgroup: waiting.cgroup, lacks, resources };
    }
    place.commit(null);
    const state = fds.use(native.openDir(place.path));
    const cgroup = parts.cgroups.make();
    try {
      cgroup?.limit(limits);
      return { ...start(parts, fds, { plan: encoded, state, targets }, cgroup, ear), cgroup, lacks, resources };
    } catch (error) {
      await cgroup?.remove(removeBoundMs);
      throw error;
    }
  } catch (error) {
    throw asNsfleetError(error, 'create sandbox', name);
  }
}

function start(
  { native, program }: RunnerParts,
  fds: DisposableStack,
  { plan, state, targets }: { plan: Fd; state: Fd; targets: readonly Fd[] },
  cgroup: SandboxCgroup | null,
  ear: ShimEar,
): { shim: Child; link: ShimLink } {
  const [ours, theirs] = native.socketpair();
  fds.use(ours);
  fds.use(theirs);
  const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
  const shim = native.spawn({
    program,
    args: ['nsfleet-shim', 'run'],
    fds: [nothing, nothing, nothing, plan, theirs, state, cgroup === null ? nothing : fds.use(native.openDir(cgroup.path)), ...targets],
    newSession: true,
  });
  return { shim, link: openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), ear) };
}
