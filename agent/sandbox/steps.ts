/** Executors of the steps that reconcile.ts decides: one for each, exhaustive by type. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { deadline, sleep } from '#shared/async.ts';
import { NsfleetError, asNsfleetError, errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { choiceOf } from '#shared/sandbox-namespaces.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { signalNumber } from '#shared/signal.ts';
import { limitChanges, noCgroupOf } from '../cgroup/limits.ts';
import type { SandboxCgroup } from '../cgroup/sandbox-cgroup.ts';
import { readExitFile } from './exit-file.ts';
import { checkIdRange } from './ids.ts';
import type { IdPool } from './ids.ts';
import { shimEvents } from './placement.ts';
import type { Placement } from './placement.ts';
import { identify, isAlive, killExactly, readNamespaces } from './processes.ts';
import type { GenerationOf } from './processes.ts';
import type { Step, StepType } from './reconcile.ts';
import type { PlacementRecord } from './record.ts';
import { removeTree } from './remove-tree.ts';
import { endShim, startSandbox } from './runner.ts';
import type { Place, RunnerParts, Started } from './runner.ts';
import { checkLender, idSharersOf } from './shared-ids.ts';
import type { StateFiles } from './state.ts';
import type { Tombstones } from './tombstones.ts';

/** SIGKILL works at once unless a process sits in the kernel (a dead disk, a dead NFS server). */
const killBoundMs = 10_000;
/** Some rounds of signals. */
const remainsBoundMs = 2000;
/** A process that sits in the kernel freezes when it comes out. */
const freezeBoundMs = 5000;

export type StepParts = {
  runner: RunnerParts;
  files: StateFiles;
  tombstones: Tombstones;
  idPool: IdPool;
  generationOf: GenerationOf;
  log: Log;
  nowMs: () => number;
  /** all placements of this host */
  others: () => Iterable<Placement>;
  /** look for the next step again */
  advance: (placement: Placement) => void;
};

/**
 * Writes the changed record and marks the placement as to be told. A disk that is full must not keep a sandbox from being stopped or
 * removed: then the change holds in memory only, and a restarted agent asks the shim for the truth.
 */
export function change(parts: Pick<StepParts, 'files' | 'log'>, placement: Placement, changes: Partial<PlacementRecord>): void {
  const record = { ...placement.record, ...changes, statusSeq: placement.record.statusSeq + 1 };
  try {
    if (!placement.isWritten) writeFirst(parts, placement);
    parts.files.write(record);
  } catch (error) {
    parts.log.error({ placementId: record.desired.placementId, state: record.state }, errorText(error));
  }
  placement.record = record;
  placement.mustTell = true;
}

function writeFirst({ files, log }: Pick<StepParts, 'files' | 'log'>, placement: Placement): void {
  const { record } = placement;
  const { synced } = files.create(record, null);
  synced.catch((error: unknown) => log.error({ placementId: record.desired.placementId }, errorText(error)));
  placement.isWritten = true;
}

type Executor<T extends StepType> = (parts: StepParts, placement: Placement, step: Extract<Step, { type: T }>) => Promise<void> | void;

const executors: { [T in StepType]: Executor<T> } = {
  create,
  skip: (parts, placement) => change(parts, placement, { state: 'stopped', endedAt: at(parts) }),
  end: (parts, placement, { exit }) => end(parts, placement, { state: 'stopped', exit, endedAt: at(parts, placement.endedMs) }),
  lose,
  stop,
  wait(parts, placement, { untilMs }) {
    placement.timer = setTimeout(() => {
      placement.timer = null;
      parts.advance(placement);
    }, untilMs - parts.nowMs());
  },
  freeze: (parts, placement, { frozen }) => inCgroup(parts, placement, (cgroup) => freeze(cgroup, frozen)),
  limit: (parts, placement) => inCgroup(parts, placement, (cgroup) => limit(cgroup, placement.record)),
  kill: (parts, placement) => killAll(parts, placement),
  destroy,
};

export async function execute(parts: StepParts, placement: Placement, step: Step): Promise<void> {
  await (executors[step.type] as (...given: unknown[]) => Promise<void> | void)(parts, placement, step);
}

async function create(parts: StepParts, placement: Placement): Promise<void> {
  const { desired } = placement.record;
  const { placementId } = desired;
  const directory = parts.files.directoryOf(placementId);
  const { native } = parts.runner;
  const events = shimEvents(placement, () => parts.advance(placement));
  try {
    checkRoom(parts, placement);
    // The disk works while the kernel does; both must be done before anybody is told (state.ts says what survives what).
    const place = placeOf(parts, placement);
    const started = await startSandbox(parts.runner, desired, place, events);
    await place.synced()?.catch((error: unknown) => abandon(started, error));
    try {
      checkLender(native, parts.runner.joins.initOf, desired.spec, desired.name);
    } catch (error) {
      await abandon(started, error);
    }
    placement.link = started.link;
    placement.child = started.shim;
    change(parts, placement, {
      state: 'running',
      shim: { pid: started.shim.pid, start: started.shim.startTicks.toString() },
      init: identify(native, started.initPid),
      command: identify(native, started.commandPid),
      cgroup: started.cgroup?.name ?? null,
      resources: started.resources,
      lacks: started.lacks,
      namespaces: readNamespaces(native, [started.initPid, started.commandPid], parts.generationOf),
      startedAt: at(parts),
    });
  } catch (error) {
    const refusal = asNsfleetError(error, 'create sandbox', desired.name);
    parts.log.info({ placementId, code: refusal.code, reason: refusal.reason }, 'sandbox not created');
    await clearDirectory(directory);
    placement.exit = null;
    placement.vanished = false;
    change(parts, placement, { state: 'failed', error: refusal.toWire(), endedAt: at(parts) });
  }
}

/** `synced`: from the commit on, when what it wrote survives a power loss. */
function placeOf({ files }: StepParts, placement: Placement): Place & { synced: () => Promise<void> | null } {
  const { placementId } = placement.record.desired;
  let synced: Promise<void> | null = null;
  return {
    path: files.directoryOf(placementId),
    // A wish that came meanwhile may have been written.
    get isThere() {
      return placement.isWritten;
    },
    commit(spare) {
      if (synced !== null) return;
      synced = placement.isWritten ? files.sync(placementId) : files.create(placement.record, spare).synced;
      synced.catch(() => undefined);
      placement.isWritten = true;
    },
    synced: () => synced,
  };
}

/** The state file cannot be kept: a sandbox that nobody would know of after a power loss must not run. */
async function abandon(started: Started, error: unknown): Promise<never> {
  started.link.kill();
  await endShim(started.shim);
  started.link.close();
  await started.cgroup?.remove(killBoundMs);
  throw error;
}

function checkRoom(parts: StepParts, placement: Placement): void {
  const { desired } = placement.record;
  const others = [...parts.others()].filter((other) => other !== placement && other.record.state !== 'removed');
  const live = others.filter((other) => !isEnded(other.record.state)).length;
  const most = parts.runner.policy.sandboxes;
  if (live >= most) {
    throw new NsfleetError('SANDBOX_CREATE_FAILED', {
      attempted: 'create sandbox',
      target: desired.name,
      reason: `this host runs ${live} of at most ${most}, as its policy says`,
    });
  }
  checkIdRange(
    desired,
    parts.idPool,
    parts.runner.owner,
    others.map((other) => other.record.desired),
  );
}

async function stop(parts: StepParts, placement: Placement, { signal, graceMs }: Extract<Step, { type: 'stop' }>): Promise<void> {
  const { state, cgroup } = placement.record;
  change(parts, placement, { state: 'stopping', stopDeadlineMs: parts.nowMs() + graceMs });
  await placement.link?.signal(signalNumber(signal)).catch((error: unknown) => {
    // It ended in this moment: its exit is on the way.
    parts.log.debug({ error, placementId: placement.record.desired.placementId }, 'stop signal not delivered');
  });
  // What is frozen cannot heed a signal. SIGKILL after the grace reaches it all the same.
  if (state === 'paused' && cgroup !== null)
    await parts.runner.cgroups
      .open(cgroup)
      ?.freeze(false, freezeBoundMs)
      .catch(() => undefined);
}

async function end(
  parts: StepParts,
  placement: Placement,
  changes: { state: 'stopped' | 'lost'; exit: ExitStatus | null; endedAt: string },
): Promise<void> {
  await letGo(placement);
  const { exit } = changes;
  const asked = placement.record.state === 'stopping' && exit !== null && exit.endedBy === undefined;
  if (asked) changes = { ...changes, exit: { ...exit, endedBy: 'stop' } };
  change(parts, placement, { ...changes, stopDeadlineMs: null, ...(await leaveCgroup(parts, placement)) });
}

/** The shim is gone without a word; init dies with it (PDEATHSIG), which is made sure of. */
async function lose(parts: StepParts, placement: Placement): Promise<void> {
  const { record } = placement;
  const directory = parts.files.directoryOf(record.desired.placementId);
  if (choiceOf(record.desired.spec.namespaces, 'pid').from !== 'new') await endsRemains(parts, placement);
  killExactly(parts.runner.native, record.init);
  killExactly(parts.runner.native, record.shim);
  // Its last words may have been written, though not heard.
  const ended = await readExitFile(directory);
  if (ended !== null) {
    await end(parts, placement, { state: 'stopped', exit: ended.exit, endedAt: at(parts, ended.endedMs) });
    return;
  }
  await end(parts, placement, { state: 'lost', exit: null, endedAt: at(parts) });
}

/** In a pid namespace of others init itself ends what is left, when its shim is gone (native/shim/remains.c): it is given the time for that. */
async function endsRemains({ runner }: StepParts, { record }: Placement): Promise<void> {
  for (let waited = 0; waited < remainsBoundMs && isAlive(runner.native, record.init); waited += 20) await sleep(20);
}

/** SIGKILL to everything, and wait until the shim has told the end. */
async function killAll(parts: StepParts, placement: Placement): Promise<void> {
  const { native } = parts.runner;
  const { shim, init, desired } = placement.record;
  if (placement.record.cgroup !== null) parts.runner.cgroups.open(placement.record.cgroup)?.kill();
  if (placement.link !== null) {
    placement.link.kill();
    const bound = deadline(placement.over.promise, killBoundMs, 'kill sandbox', desired.name);
    if (await bound.then(() => true).catch(() => false)) return;
  }
  // Nobody to talk to, or no answer: by identity.
  killExactly(native, init);
  killExactly(native, shim);
  for (let waited = 0; isAlive(native, init) || isAlive(native, shim); waited += 20) {
    if (waited >= killBoundMs || placement.child !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (placement.exit === null) placement.vanished = true;
}

async function destroy(parts: StepParts, placement: Placement): Promise<void> {
  const { placementId } = placement.record.desired;
  if (placement.record.state !== 'placed' && !isEnded(placement.record.state)) await killAll(parts, placement);
  for (const sharer of idSharersOf(placement, parts.others())) await killAll(parts, sharer);
  await letGo(placement);
  await leaveCgroup(parts, placement);
  await removeTree(parts.files.directoryOf(placementId));
  parts.tombstones.add(placementId);
  placement.record = {
    ...placement.record,
    state: 'removed',
    statusSeq: placement.record.statusSeq + 1,
    endedAt: placement.record.endedAt ?? at(parts),
  };
  placement.mustTell = true;
}

/** A change of what runs: done, or refused with an error that its status tells; it runs on as it did. */
async function inCgroup(
  parts: StepParts,
  placement: Placement,
  act: (cgroup: SandboxCgroup) => Promise<Partial<PlacementRecord>> | Partial<PlacementRecord>,
): Promise<void> {
  const { desired, cgroup: name } = placement.record;
  try {
    const cgroup = name === null ? null : parts.runner.cgroups.open(name);
    if (cgroup === null) throw noCgroupOf(desired.name);
    change(parts, placement, { ...(await act(cgroup)), error: null });
  } catch (error) {
    change(parts, placement, { refused: desired.generation, error: asNsfleetError(error, 'change sandbox', desired.name).toWire() });
  }
}

async function freeze(cgroup: SandboxCgroup, frozen: boolean): Promise<Partial<PlacementRecord>> {
  await cgroup.freeze(frozen, freezeBoundMs);
  return { state: frozen ? 'paused' : 'running' };
}

function limit(cgroup: SandboxCgroup, record: PlacementRecord): Partial<PlacementRecord> {
  const { desired } = record;
  cgroup.limit(limitChanges(desired.spec.resources, record));
  return { resources: desired.spec.resources };
}

/** Its cgroup goes once nothing runs in it; what was left of it is killed. */
async function leaveCgroup({ runner, log }: StepParts, { record }: Placement): Promise<Pick<PlacementRecord, 'cgroup'>> {
  const cgroup = record.cgroup === null ? null : runner.cgroups.open(record.cgroup);
  if (cgroup !== null && !(await cgroup.remove(killBoundMs))) {
    log.warn({ cgroup: cgroup.path }, 'a cgroup is in use though its sandbox has ended; the next start of the agent tries again');
  }
  return { cgroup: null };
}

/** What this agent held of a sandbox that has ended. */
async function letGo(placement: Placement): Promise<void> {
  if (placement.timer !== null) clearTimeout(placement.timer);
  placement.timer = null;
  placement.link?.close();
  placement.link = null;
  if (placement.child !== null) await endShim(placement.child);
  placement.child = null;
}

/** Of a creation that failed nothing is left but its record. */
async function clearDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => []))
    if (name !== 'state' && name !== 'intent') await removeTree(join(directory, name));
}

function at(parts: StepParts, ms: number | null = null): string {
  return new Date(ms ?? parts.nowMs()).toISOString();
}
