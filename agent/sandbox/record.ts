/** What the agent knows of one placement, as it lies in its state file, and the status that is told of it. */
import { z } from 'zod';
import { Resources } from '#shared/cgroup.ts';
import { Lacks } from '#shared/lack.ts';
import { BootId } from '#shared/namespace.ts';
import { SandboxObserved } from '#shared/observed.ts';
import { DesiredPlacement, ExitStatus, SandboxNamespace, SandboxState, WireError } from '#shared/sandbox.ts';
import type { PlacementStatus } from '#shared/sandbox.ts';

/** A process by what the kernel never gives twice in one boot. `start` in clock ticks since boot. */
export const ProcessIdentity = z.object({ pid: z.int().positive(), start: z.string().regex(/^[0-9]{1,20}$/) });
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

export const PlacementRecord = z.object({
  /** the highest generation that was heard */
  desired: DesiredPlacement,
  /** the boot that it was made in: identities of another one mean nothing */
  bootId: BootId,
  state: SandboxState,
  statusSeq: z.int().positive(),
  shim: ProcessIdentity.nullable(),
  init: ProcessIdentity.nullable(),
  /** null too where the command had ended before it could be looked at */
  command: ProcessIdentity.nullable(),
  namespaces: z.array(SandboxNamespace).max(8),
  /** the name of its cgroup below the agent's; null: it has none, or none any more */
  cgroup: z.string().nullable().default(null),
  /** the limits that hold */
  resources: Resources.default({}),
  /** the generation of a change that the kernel refused: it is not tried again */
  refused: z.int().nullable().default(null),
  lacks: Lacks.default([]),
  observed: SandboxObserved.nullable().default(null),
  exit: ExitStatus.nullable(),
  error: WireError.nullable(),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  /** stopping: when SIGKILL follows, milliseconds since 1970 */
  stopDeadlineMs: z.int().nullable(),
});
export type PlacementRecord = z.infer<typeof PlacementRecord>;

/** A placement that was just heard of. */
export function newRecord(desired: DesiredPlacement, bootId: string, now: number): PlacementRecord {
  return {
    desired,
    bootId,
    state: 'placed',
    // Begins at the clock: it grows even if the record of an earlier life of the same placement was lost with its disk.
    statusSeq: now,
    shim: null,
    init: null,
    command: null,
    namespaces: [],
    cgroup: null,
    resources: {},
    refused: null,
    lacks: [],
    observed: null,
    exit: null,
    error: null,
    startedAt: null,
    endedAt: null,
    stopDeadlineMs: null,
  };
}

export function statusOf(record: PlacementRecord): PlacementStatus {
  const { desired, statusSeq, state, namespaces, lacks, observed, exit, error, startedAt, endedAt } = record;
  return {
    placementId: desired.placementId,
    sandboxId: desired.sandboxId,
    generation: desired.generation,
    statusSeq,
    state,
    initPid: record.init?.pid ?? null,
    commandPid: record.command?.pid ?? null,
    namespaces,
    lacks,
    observed,
    exit,
    error,
    startedAt,
    endedAt,
  };
}
