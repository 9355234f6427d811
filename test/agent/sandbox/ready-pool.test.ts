/** Sandboxes kept ready: filled up, used once, never in the way, and gone with their agent. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { noCgroups, openCgroups } from '#agent/cgroup/hierarchy.ts';
import { createReadyPool } from '#agent/sandbox/ready-pool.ts';
import { emptyModel } from '#agent/inventory/model.ts';
import { openImageStore } from '#agent/image/store.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import type { ReadyPool } from '#agent/sandbox/ready-pool.ts';
import { firstPlan } from '#agent/sandbox/ready-plan.ts';
import { newRecord } from '#agent/sandbox/record.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { endShim, startSandbox } from '#agent/sandbox/runner.ts';
import type { RunnerParts } from '#agent/sandbox/runner.ts';
import type { SpareDirectory } from '#agent/sandbox/spare-directories.ts';
import { openStateFiles } from '#agent/sandbox/state.ts';
import type { StateFiles } from '#agent/sandbox/state.ts';
import { loadNative } from '#native/binding.ts';
import type { Native } from '#native/binding.ts';
import { buildNative } from '#native/build.mjs';
import type { Fd } from '#native/handles.ts';
import { NsfleetError } from '#shared/errors.ts';
import { createLog } from '#shared/log.ts';
import type { DesiredPlacement, ExitStatus } from '#shared/sandbox.ts';
import { desired, range, startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import { cgroupVariable } from '#test/support/own-cgroups.ts';
import { isAlive, statusField } from '#test/support/shim.ts';

leakCheck();
const skip = process.getuid?.() === 0 ? false : 'a plain user’s agent keeps none ready';
const dirs = temporaryDirectories();
const log = createLog('test', 'silent');
const kernel = readKernelFacts(true);
const cgroups = skip === false ? openCgroups('host', cgroupVariable.NSFLEET_AGENT_CGROUP) : noCgroups('a plain user');
let native: Native;
let program: Fd;
let files: StateFiles;
before(async () => {
  await buildNative();
  native = loadNative();
  program = native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  fileResources.defer(() => program.close());
  files = openStateFiles(dirs.root);
  fileResources.defer(() => files.close());
});

/** The ready shims below an agent. */
function readyBelow(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return children.filter((child) => statusField(child, 'Name') === 'nsfleet-ready');
}

function poolOf(size: number): ReadyPool {
  return createReadyPool({ native, program, cgroups, host: readHostRootFacts(), kernel, size, makeSpare: () => files.makeSpare(), log });
}

/** Where the newest lies. */
let directory = '';

function write(placement: DesiredPlacement, spare: SpareDirectory | null): void {
  if (!existsSync(files.directoryOf(placement.placementId)))
    void files.create(newRecord(placement, randomUUID(), Date.now()), spare).synced;
}

/** Makes a sandbox, waits for its end, and tells by which shim it was made. */
async function runOne(
  ready: ReadyPool,
  command: string[],
  idRange = range(0),
  commit = write,
): Promise<{ exit: ExitStatus | null; pid: number }> {
  const parts: RunnerParts = {
    native,
    program,
    ready,
    cgroups,
    log,
    host: readHostRootFacts(),
    policy: policyOf(PolicyFile.parse({ version: 1 }), null, {}, []),
    images: await openImageStore({
      native,
      program,
      stateDirectory: dirs.root,
      limits: { bytes: 1 << 30, entries: 10_000 },
      keepBytes: 1 << 30,
      log,
    }),
    kernel,
    joins: { initOf: () => null, model: async () => emptyModel },
    owner: { uid: 0, gid: 0 },
  };
  const placement = desired(command, { idRange });
  directory = files.directoryOf(placement.placementId);
  const place = { path: directory, isThere: false, commit: (spare: SpareDirectory | null) => commit(placement, spare) };
  const over = Promise.withResolvers<void>();
  let exit: ExitStatus | null = null;
  const events = { onExit: (told: ExitStatus) => (exit = told), onGone: () => over.resolve() };
  const { shim, link, cgroup } = await startSandbox(parts, placement, place, events);
  await over.promise;
  link.close();
  await endShim(shim);
  await cgroup?.remove(1000);
  return { exit, pid: shim.pid };
}

test('fills up, gives each away once, and fills up again', { skip }, async () => {
  const pool = poolOf(2);
  await until('two to be ready', () => pool.waiting === 2);
  const first = readyBelow(process.pid);
  assert.equal(first.length, 2);
  const { exit, pid } = await runOne(pool, ['sh', '-c', 'exit 3']);
  assert.deepEqual(exit, { code: 3, signal: null });
  assert.ok(first.includes(pid));
  await until('the second to be replaced', () => pool.waiting === 2);
  assert.ok(!readyBelow(process.pid).includes(pid));
  await pool.close();
  assert.deepEqual(readyBelow(process.pid), []);
  assert.equal(pool.take(firstPlan(readHostRootFacts(), kernel)), null);
});

test('a burst that is larger than the pool is made from new ones; nothing is left of 200', { skip }, async () => {
  const pool = poolOf(2);
  await until('two to be ready', () => pool.waiting === 2);
  const pids = new Set<number>();
  for (let round = 0; round < 25; round++) {
    const ended = await Promise.all(Array.from({ length: 8 }, (_, n) => runOne(pool, ['true'], range(n))));
    for (const { exit, pid } of ended) {
      assert.deepEqual(exit, { code: 0, signal: null });
      pids.add(pid);
    }
  }
  assert.equal(pids.size, 200, 'a shim for each');
  await until('it to be filled up after the burst', () => pool.waiting === 2);
  await pool.close();
});

test('one that does not answer is killed before another is made', { skip }, async () => {
  const pool = poolOf(1);
  await until('one to be ready', () => pool.waiting === 1);
  const [stopped = 0] = readyBelow(process.pid);
  const init = Number(readFileSync(`/proc/${stopped}/task/${stopped}/children`, 'utf8'));
  process.kill(stopped, 'SIGSTOP');
  const began = performance.now();
  const { exit, pid } = await runOne(pool, ['sh', '-c', 'exit 4']);
  assert.deepEqual(exit, { code: 4, signal: null });
  assert.notEqual(pid, stopped);
  assert.ok(performance.now() - began < 5000);
  assert.ok(!isAlive(stopped) && !isAlive(init));
  await pool.close();
});

test('one that was killed while it waited is replaced, and its init is gone', { skip }, async () => {
  const pool = poolOf(1);
  await until('one to be ready', () => pool.waiting === 1);
  const [killed = 0] = readyBelow(process.pid);
  const init = Number(readFileSync(`/proc/${killed}/task/${killed}/children`, 'utf8'));
  process.kill(killed, 'SIGKILL');
  await until('another one', () => readyBelow(process.pid).some((pid) => pid !== killed) && pool.waiting === 1);
  assert.ok(!isAlive(killed) && !isAlive(init));
  await pool.close();
});

test('what a ready one cannot make says the same as otherwise', { skip }, async () => {
  const pool = poolOf(1);
  await until('one to be ready', () => pool.waiting === 1);
  await assert.rejects(runOne(pool, ['no-such-command']), { code: 'COMMAND_NOT_FOUND' });
  assert.deepEqual(readdirSync(directory).sort(), ['intent', 'state', 'stderr.log', 'stdout.log']);
  await pool.close();
});

test('what cannot be written down does not run', { skip }, async () => {
  for (const size of [1, 0]) {
    const pool = poolOf(size);
    await until('it to be filled', () => pool.waiting === size);
    const refuse = (): never => {
      throw new NsfleetError('STATE_DIRECTORY_UNUSABLE', { attempted: 'write', target: 'intent', reason: 'ENOSPC' });
    };
    await assert.rejects(runOne(pool, ['sh', '-c', 'echo it ran'], range(0), refuse), { code: 'STATE_DIRECTORY_UNUSABLE' });
    assert.equal(existsSync(directory), false);
    await pool.close();
    assert.deepEqual(readdirSync(join(dirs.root, 'spare')), []);
  }
});

test('they die with their agent, and end with it', { skip }, async () => {
  await using nats = await startTestNats(dirs.root);
  await using side = await startControllerSide(nats);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await using agent = await startAgentProcess(side, nats, dirs.root, `host-${signal.toLowerCase()}`, { NSFLEET_AGENT_READY: '3' });
    await until('three to be ready', () => readyBelow(agent.pid).length === 3);
    const shims = readyBelow(agent.pid);
    const inits = shims.map((pid) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')));
    const placement = desired(['sleep', '60'], { idRange: range(9) });
    side.do(agent.hostId, [placement]);
    const { initPid } = await side.status(placement.placementId, ({ state }) => state === 'running');
    assert.ok(inits.includes(initPid ?? 0), 'the sandbox is one of them');
    side.do(agent.hostId, [{ ...placement, generation: 2, wanted: 'removed' }]);
    await side.status(placement.placementId, ({ state }) => state === 'removed');
    await agent.end(signal);
    await until('all to be gone', () => ![...shims, ...inits].some((pid) => isAlive(pid)), 1000);
  }
  await using none = await startAgentProcess(side, nats, dirs.root, 'host-none', { NSFLEET_AGENT_READY: '0' });
  await sleep(500);
  assert.deepEqual(readyBelow(none.pid), []);
  await none.end('SIGTERM');
});
