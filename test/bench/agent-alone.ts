/** The agent's own path without NATS and controller: a wish goes in, statuses come out; state files, fsync and all. */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { readBootId } from '#agent/fingerprint.ts';
import { openCgroups } from '#agent/cgroup/hierarchy.ts';
import { emptyModel } from '#agent/inventory/model.ts';
import { openImageStore } from '#agent/image/store.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { createPlacements } from '#agent/sandbox/placements.ts';
import { createReadyPool } from '#agent/sandbox/ready-pool.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { openStateFiles } from '#agent/sandbox/state.ts';
import { openTombstones } from '#agent/sandbox/tombstones.ts';
import type { Native } from '#native/binding.ts';
import { createLog } from '#shared/log.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { DesiredPlacement, PlacementStatus, SandboxState } from '#shared/sandbox.ts';

export type AgentAlone = AsyncDisposable & {
  /** Resolves when as many wait ready as shall. */
  filled(): Promise<void>;
  /** Milliseconds from the wish to `running`, and to `stopped`; the sandbox is removed before it resolves. */
  create(command: readonly string[]): Promise<{ runningMs: number; endedMs: number }>;
};

/** Not where the stack of whole-path.ts may take its ranges from. */
const idPool = { start: 1_879_048_192 - 65_536, count: 1 };

/** `readySandboxes`: as of NSFLEET_AGENT_READY. */
export async function startAgentAlone(native: Native, stateDirectory: string, readySandboxes: number): Promise<AgentAlone> {
  const waiting = new Map<string, (status: PlacementStatus) => void>();
  const program = native.sealProgram(fileURLToPath(new URL('../../native/build/nsfleet-shim', import.meta.url)));
  const log = createLog('bench', 'warn');
  const host = readHostRootFacts();
  const kernel = readKernelFacts(true);
  const cgroups = openCgroups('bench', `nsfleet-bench-${process.pid}`);
  const files = openStateFiles(stateDirectory);
  const makeSpare = () => files.makeSpare();
  const ready = createReadyPool({ native, program, cgroups, host, kernel, size: readySandboxes, makeSpare, log });
  const placements = createPlacements({
    runner: {
      native,
      program,
      ready,
      cgroups,
      host,
      policy: policyOf(PolicyFile.parse({ version: 1 }), null, {}, []),
      images: await openImageStore({
        native,
        program,
        stateDirectory,
        limits: { bytes: 1 << 30, entries: 10_000 },
        keepBytes: 1 << 30,
        log,
      }),
      kernel,
      joins: { initOf: () => null, model: async () => emptyModel },
      owner: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
      log,
    },
    files,
    tombstones: await openTombstones(stateDirectory),
    idPool,
    generationOf: () => 0,
    log,
    nowMs: Date.now,
    bootId: readBootId(),
    tell(status) {
      placements.acknowledged(status);
      waiting.get(status.placementId)?.(status);
    },
    onChange: () => undefined,
  });
  const reached = (placementId: string, states: readonly SandboxState[]) =>
    new Promise<PlacementStatus>((resolve) => {
      waiting.set(placementId, (status) => {
        if (states.includes(status.state)) resolve(status);
      });
    });
  return {
    async filled() {
      while (ready.waiting < readySandboxes) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async create(command) {
      const desired = desire(command);
      const began = performance.now();
      const running = reached(desired.placementId, ['running', 'stopped', 'failed']);
      placements.accept([desired]);
      const first = await running;
      const runningMs = performance.now() - began;
      if (first.state === 'failed') throw new Error(first.error?.message);
      if (first.state === 'running') await reached(desired.placementId, ['stopped']);
      const endedMs = performance.now() - began;
      const removed = reached(desired.placementId, ['removed']);
      placements.accept([{ ...desired, generation: 2, wanted: 'removed' }]);
      await removed;
      waiting.delete(desired.placementId);
      return { runningMs, endedMs };
    },
    async [Symbol.asyncDispose]() {
      await placements.close();
      await ready.close();
      cgroups.close();
      files.close();
      program.close();
    },
  };
}

function desire(command: readonly string[]): DesiredPlacement {
  return {
    placementId: randomUUID(),
    sandboxId: randomUUID(),
    name: 'bench',
    generation: 1,
    wanted: 'running',
    idRange: { start: idPool.start, count: 65_536 },
    spec: SandboxSpec.parse({ command: [...command], hostname: 'bench' }),
  };
}
