/**
 * What an earlier life of the agent left: each placement's directory is held against the truth that its shim, or the exit file, tells.
 * Running ones are taken over, ended ones are told with their status, half-made ones are reaped; nothing is guessed from a bare pid.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '#shared/errors.ts';
import type { NsfleetError } from '#shared/errors.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import { placementOf, shimEvents } from './placement.ts';
import type { Placement } from './placement.ts';
import type { Placements, PlacementsParts } from './placements.ts';
import { probeShim } from './probe.ts';
import { identify, killExactly, readNamespaces } from './processes.ts';
import { newRecord } from './record.ts';
import type { PlacementRecord } from './record.ts';
import { readExitFile } from './exit-file.ts';
import { removeTree } from './remove-tree.ts';
import type { StoredPlacement } from './state.ts';
import { createTurns } from './turns.ts';

/** Each is a connection and two small files; more at once would not be faster on any disk. */
const probesAtOnce = 64;
/** A power loss, or damage, may leave the first record of a placement, below statuses that were told from later ones: never as many. */
const statusSeqGap = 1000;

export type Adopted = {
  running: number;
  ended: number;
  reaped: number;
  /** directories whose record is damaged: who they belong to is known when the controller names them again */
  nameless: Map<string, string>;
};

export type AdoptParts = PlacementsParts & { placements: Placements; onDamaged: (error: NsfleetError) => void };

/** Takes in everything under the state directory. */
export async function adoptAll(parts: AdoptParts): Promise<Adopted> {
  const adopted: Adopted = { running: 0, ended: 0, reaped: 0, nameless: new Map() };
  const turns = createTurns(probesAtOnce);
  const stored = await parts.files.readAll(parts.onDamaged);
  await Promise.all(stored.map((one) => turns.take(() => adoptStored(parts, one, adopted))));
  return adopted;
}

async function adoptStored(parts: AdoptParts, stored: StoredPlacement, adopted: Adopted): Promise<void> {
  const { placementId, directory, outdated } = stored;
  // It may have come as far as any: what the shim or the exit file say is all there is to go by.
  const record =
    stored.record === null || !outdated
      ? stored.record
      : { ...stored.record, state: 'running' as const, statusSeq: stored.record.statusSeq + statusSeqGap };
  if (record === null) {
    if (leftTraces(directory)) {
      adopted.nameless.set(placementId, directory);
      return;
    }
    await removeTree(directory);
    adopted.reaped += 1;
    return;
  }
  if (parts.tombstones.has(placementId)) {
    // It was destroyed but for its directory, or for the telling.
    parts.placements.adopt(told(placementOf({ ...record, desired: { ...record.desired, wanted: 'removed' } })));
    adopted.reaped += 1;
    return;
  }
  const placement = await adoptRecord(parts, record, directory);
  if (isEnded(placement.record.state)) adopted.ended += 1;
  else adopted.running += 1;
  parts.placements.adopt(told(placement));
}

/**
 * Takes wishes, and holds back those of nameless directories until what is in them is known. Everything else goes straight on.
 */
export function acceptThrough(parts: AdoptParts, nameless: Map<string, string>): (desired: readonly DesiredPlacement[]) => void {
  const newest = new Map<string, DesiredPlacement>();
  const accept = (desired: readonly DesiredPlacement[]): void => {
    parts.placements.accept(desired.filter(({ placementId }) => !nameless.has(placementId)));
    for (const one of desired) {
      const directory = nameless.get(one.placementId);
      const before = newest.get(one.placementId);
      if (directory === undefined || (before !== undefined && before.generation >= one.generation)) continue;
      newest.set(one.placementId, one);
      if (before !== undefined) continue;
      void adoptNameless(parts, one, directory)
        .catch((error: unknown) => parts.log.error({ reason: errorText(error), directory }, 'cannot adopt what lies there'))
        .finally(() => {
          nameless.delete(one.placementId);
          accept([newest.get(one.placementId) ?? one]);
        });
    }
  };
  return accept;
}

/** A placement whose record was damaged, now that the controller has said who it is: its state is what the kernel shows. */
async function adoptNameless(parts: AdoptParts, desired: DesiredPlacement, directory: string): Promise<void> {
  const record = newRecord(desired, parts.bootId, parts.nowMs());
  // The lost record may have said anything; that it had one says that its shim may have worked.
  const placement = await adoptRecord(parts, { ...record, state: 'running' }, directory);
  parts.placements.adopt(told(placement));
}

async function adoptRecord(parts: AdoptParts, record: PlacementRecord, directory: string): Promise<Placement> {
  const placement = placementOf(record);
  if (isEnded(record.state)) return placement;
  if (record.bootId !== parts.bootId) {
    const ended = await readExitFile(directory);
    const changes = ended === null ? lost(parts, 'the host was rebooted') : stopped(ended);
    return rewrite(parts, placement, { ...changes, bootId: parts.bootId, shim: null, init: null, command: null }, statusSeqGap);
  }
  const { native } = parts.runner;
  const events = shimEvents(placement, () => parts.placements.adopt(placement));
  const probe = await probeShim(native, directory, record.state === 'placed', events);
  switch (probe.type) {
    case 'running': {
      const { shimPid, initPid, commandPid } = probe;
      placement.link = probe.link;
      if (record.init?.pid === initPid && record.shim?.pid === shimPid) {
        return rewrite(parts, placement, { stopDeadlineMs: graceFrom(parts, record) });
      }
      // The agent died before it could write this down. Whoever answers on the socket in our own directory is our shim.
      return rewrite(parts, placement, {
        state: record.state === 'placed' ? 'running' : record.state,
        shim: identify(native, shimPid),
        init: identify(native, initPid),
        command: identify(native, commandPid),
        namespaces: readNamespaces(native, [initPid, commandPid], parts.generationOf),
        cgroup: parts.runner.cgroups.nameOf(initPid),
        startedAt: record.startedAt ?? new Date().toISOString(),
      });
    }
    case 'ended':
      return rewrite(parts, placement, stopped(probe));
    case 'nothing':
      // Never made, so making it now is no second time. A record that says more than that has lost its shim.
      if (record.state === 'placed') return placement;
      return loseOne(parts, placement);
    case 'failed':
    case 'gone':
      return loseOne(parts, placement);
  }
}

function loseOne(parts: AdoptParts, placement: Placement): Placement {
  killExactly(parts.runner.native, placement.record.init);
  killExactly(parts.runner.native, placement.record.shim);
  return rewrite(parts, placement, lost(parts, 'its shim ended without writing down how'));
}

function lost(parts: AdoptParts, reason: string): Partial<PlacementRecord> {
  parts.log.warn({ reason }, 'a sandbox was lost');
  return { state: 'lost', endedAt: new Date().toISOString(), stopDeadlineMs: null };
}

function stopped({ exit, endedMs }: { exit: PlacementRecord['exit']; endedMs: number }): Partial<PlacementRecord> {
  return { state: 'stopped', exit, endedAt: new Date(endedMs).toISOString(), stopDeadlineMs: null };
}

function rewrite(parts: AdoptParts, placement: Placement, changes: Partial<PlacementRecord>, gap = 1): Placement {
  const record = { ...placement.record, ...changes, statusSeq: placement.record.statusSeq + gap };
  parts.files.write(record);
  placement.record = record;
  return placement;
}

/** The clock may have been set meanwhile: no grace gets longer than it was asked for. */
function graceFrom(parts: AdoptParts, { stopDeadlineMs, desired }: PlacementRecord): number | null {
  if (stopDeadlineMs === null) return null;
  return Math.min(stopDeadlineMs, parts.nowMs() + (desired.stopGraceMs ?? desired.spec.stopGraceMs));
}

/** Anything but an empty record: a shim worked here. */
function leftTraces(directory: string): boolean {
  return ['stdout.log', 'shim.sock', 'exit'].some((name) => existsSync(join(directory, name)));
}

/** What was told before may not have been heard. */
function told(placement: Placement): Placement {
  placement.mustTell = placement.record.state !== 'placed';
  return placement;
}
