/** A question to the kernel, asked by the shim as it asks for a sandbox: a plan with nothing in it but what is tried. Nothing is left of it. */
import { openSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { encodePlan } from '#native/plan-wire.ts';
import { idRangeSize } from '#shared/host.ts';
import type { Plan } from '#shared/plan.ts';
import { removeTree } from '../sandbox/remove-tree.ts';
import { endShim } from '../sandbox/runner.ts';
import { openShimLink } from '../sandbox/shim-link.ts';
import type { ShimFailure } from '../sandbox/shim-link.ts';

/** Each takes milliseconds; on a host that swaps, more. */
const probeMs = 5000;
const prefix = 'doctor-';

export type ProbeParts = {
  native: Native;
  program: Fd;
  /** the agent's own ids */
  owner: { uid: number; gid: number };
  /** of ranges: an id of the last one is mapped */
  idPool: { start: number; count: number };
  /** on the file system that sandboxes' layers lie on */
  directory: string;
};

/** `failure` null: all of it worked. */
export type Probed = { failure: ShimFailure | null; notes: string[] };

export async function probe(parts: ProbeParts, wanted: Pick<Plan, 'namespaces' | 'operations'>): Promise<Probed> {
  const directory = await mkdtemp(join(parts.directory, prefix));
  try {
    return await run(parts, planOf(parts, wanted), directory);
  } finally {
    await removeTree(directory);
  }
}

/** Its command is a directory: who comes as far as to be refused that has all that the plan asks for. */
function planOf({ owner, idPool }: ProbeParts, { namespaces, operations }: Pick<Plan, 'namespaces' | 'operations'>): Plan {
  const last = idPool.start + idPool.count * idRangeSize - 1;
  const one = (id: number) => [{ inside: 0, outside: owner.uid === 0 ? last : id, count: 1 }];
  return {
    version: 1,
    kind: 'run',
    namespaces,
    joins: [],
    idMaps: { uid: one(owner.uid), gid: one(owner.gid) },
    setgroupsDeny: owner.uid !== 0,
    log: { maxBytes: 4096 },
    operations,
    exec: { argv: ['/'], env: {}, cwd: '/', uid: 0, gid: 0 },
  };
}

async function run({ native, program }: ProbeParts, plan: Plan, directory: string): Promise<Probed> {
  using fds = new DisposableStack();
  const encoded = fds.use(native.sealBytes(encodePlan(plan), 'nsfleet-plan'));
  const state = fds.use(native.openDir(directory));
  const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
  const [ours, theirs] = native.socketpair();
  fds.use(ours);
  fds.use(theirs);
  const { promise, resolve } = Promise.withResolvers<ShimFailure | null>();
  const broken = (detail: string): ShimFailure => ({ errnum: 0, op: -1, step: 'probe', detail });
  const notes: string[] = [];
  const child = native.spawn({
    program,
    args: ['nsfleet-shim', 'run'],
    fds: [nothing, nothing, nothing, encoded, theirs, state, nothing],
    newSession: true,
  });
  const link = openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), {
    onWord(word) {
      if (word.type === 'note') notes.push(word.text);
      if (word.type === 'failed') resolve(word.failure.step === 'exec' ? null : word.failure);
      if (word.type === 'running') resolve(null);
    },
    onClose: () => resolve(broken('its shim died')),
  });
  const timer = setTimeout(() => resolve(broken(`no answer after ${probeMs} ms`)), probeMs);
  try {
    return { failure: await promise, notes };
  } finally {
    clearTimeout(timer);
    link.kill();
    link.close();
    await endShim(child);
  }
}

/** Of who was killed over a probe. Only for who has the directory for itself. */
export async function removeLeftovers({ directory }: Pick<ProbeParts, 'directory'>): Promise<void> {
  for (const name of await readdir(directory)) if (name.startsWith(prefix)) await removeTree(join(directory, name));
}
