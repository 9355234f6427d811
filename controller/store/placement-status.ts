/** What a host's word about a placement changes: decided here as a value, written by placements.ts. */
import { isEnded, mayBecome } from '#shared/sandbox.ts';
import type { PlacementStatus } from '#shared/sandbox.ts';
import type { NewEvent } from './events.ts';
import type { SandboxRow } from './sandbox-row.ts';

export type Advance = {
  row: SandboxRow;
  events: NewEvent[];
  /** A transition that the table in shared/sandbox.ts does not have: the state stays as it is. */
  illegal: boolean;
};

/**
 * `row` after `status`, or null where the status is not newer than what was told before. A sandbox that is to be removed when it has
 * ended gets that wish here.
 */
export function advance(row: SandboxRow, status: PlacementStatus): Advance | null {
  if (status.statusSeq <= row.statusSeq) return null;
  const heard = {
    ...row,
    statusSeq: status.statusSeq,
    // a host cannot have answered what was not asked yet
    answeredGeneration: Math.max(row.answeredGeneration, Math.min(status.generation, row.generation)),
  };
  const moves = status.state !== row.state;
  if (moves && !mayBecome(row.state, status.state)) return { row: heard, events: [], illegal: true };
  const told: SandboxRow = {
    ...heard,
    state: status.state,
    initPid: status.initPid,
    commandPid: status.commandPid,
    // one that has ended has none any more, and its history keeps those that it had
    namespaces: status.namespaces.length === 0 ? row.namespaces : status.namespaces,
    lacks: status.lacks.length === 0 ? row.lacks : status.lacks,
    observed: status.observed ?? row.observed ?? null,
    exit: status.exit ?? row.exit,
    error: status.error ?? row.error,
    startedAt: status.startedAt ?? row.startedAt,
    endedAt: status.endedAt ?? row.endedAt,
  };
  const events = moves ? [stateEvent(told)] : [];
  if (!moves || !row.autoRemove || row.wanted === 'removed' || !isEnded(told.state) || told.state === 'removed') {
    return { row: told, events, illegal: false };
  }
  const wished: SandboxRow = { ...told, wanted: 'removed', generation: told.generation + 1 };
  const { id: sandboxId, hostId, generation } = wished;
  events.push({ type: 'sandbox.removed-wanted', sandboxId, hostId, detail: { generation, reason: 'autoRemove' } });
  return { row: wished, events, illegal: false };
}

function stateEvent({ id, hostId, placementId, state, name, exit, error }: SandboxRow): NewEvent {
  return {
    type: `sandbox.${state}`,
    hostId,
    sandboxId: id,
    detail: {
      name,
      placementId,
      ...(exit === null ? {} : { exit }),
      ...(error === null ? {} : { error: { code: error.code, message: error.message } }),
    },
  };
}
