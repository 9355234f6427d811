/**
 * Runs in a guest whose cgroup v2 has the controllers: limits that bite, as the kernel does it. No test of its own kind: cgroup.guest.test.ts
 * starts it there.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openCgroups } from '#agent/cgroup/hierarchy.ts';
import { limitWrites } from '#agent/cgroup/limits.ts';
import { emptyModel } from '#agent/inventory/model.ts';
import { openImageStore } from '#agent/image/store.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { createReadyPool } from '#agent/sandbox/ready-pool.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { endShim, startSandbox } from '#agent/sandbox/runner.ts';
import type { RunnerParts, Started } from '#agent/sandbox/runner.ts';
import { loadNative } from '#native/binding.ts';
import type { Resources } from '#shared/cgroup.ts';
import { createLog } from '#shared/log.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { desired } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { cgroupVariable } from '#test/support/own-cgroups.ts';

leakCheck();
const mib = 1024 * 1024;
const dirs = temporaryDirectories();
const cgroups = openCgroups('guest', cgroupVariable.NSFLEET_AGENT_CGROUP);
let parts: RunnerParts;
before(async () => {
  const native = loadNative();
  const program = native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  const [log, host, kernel] = [createLog('test', 'silent'), readHostRootFacts(), readKernelFacts(true)];
  const makeSpare = () => Promise.reject(new Error('none is kept ready'));
  const ready = createReadyPool({ native, program, cgroups, host, kernel, size: 0, makeSpare, log });
  const joins = { initOf: () => null, model: async () => emptyModel };
  const policy = policyOf(PolicyFile.parse({ version: 1 }), null, {}, []);
  const limits = { bytes: mib, entries: 10 };
  const images = await openImageStore({ native, program, stateDirectory: dirs.root, limits, keepBytes: mib, log });
  parts = { native, program, images, ready, cgroups, host, kernel, policy, owner: { uid: 0, gid: 0 }, joins, log };
  fileResources.defer(async () => {
    await ready.close();
    program.close();
    cgroups.close();
  });
});

type Running = Started & { ended: Promise<ExitStatus | null> };
let made = 0;

async function run(script: string, resources: Resources): Promise<Running> {
  const directory = join(dirs.root, `placement-${made++}`);
  mkdirSync(directory, { mode: 0o700 });
  const over = Promise.withResolvers<ExitStatus | null>();
  let exit: ExitStatus | null = null;
  const wish = desired(['sh', '-c', script]);
  const place = { path: directory, isThere: true, commit: () => undefined };
  const started = await startSandbox(parts, { ...wish, spec: { ...wish.spec, resources } }, place, {
    onExit: (told) => (exit = told),
    onGone: () => over.resolve(exit),
  });
  const ended = over.promise.then(async (status) => {
    started.link.close();
    await endShim(started.shim);
    await started.cgroup?.remove(5000);
    return status;
  });
  fileResources.defer(async () => {
    started.link.kill();
    await ended;
  });
  return { ...started, ended };
}

const usedUs = ({ cgroup }: Running): number => cgroup?.stats().cpu.usageUs ?? 0;

test('every controller is handed down', () => assert.deepEqual([...cgroups.lacks], []));

test('memory: the kernel kills at the limit, and it is told as that', async () => {
  const { ended } = await run('head -c 200000000 /dev/zero | tail -c 200000000 | wc -c', { memoryBytes: 32 * mib });
  const exit = await ended;
  assert.ok((exit?.oomKills ?? 0) >= 1, JSON.stringify(exit));
  const within = await (await run('head -c 1000000 /dev/zero | tail -c 1000000 | wc -c', { memoryBytes: 64 * mib })).ended;
  assert.deepEqual(within, { code: 0, signal: null });
});

test('pids: no more are forked than the limit says', async () => {
  const { ended } = await run('i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done', { pids: 8 });
  // dash ends with 2 where it cannot fork.
  assert.deepEqual(await ended, { code: 2, signal: null });
  const within = await (await run('i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done', { pids: 64 })).ended;
  assert.deepEqual(within, { code: 0, signal: null });
});

test('cpu: a fifth of a processor is not exceeded, and another share takes effect while it runs', async () => {
  const busy = await run('while :; do :; done', { cpus: 0.2 });
  await sleep(500);
  const [usedBefore, at] = [usedUs(busy), performance.now()];
  await sleep(3000);
  const share = (usedUs(busy) - usedBefore) / ((performance.now() - at) * 1000);
  assert.ok(share > 0.05 && share < 0.3, `${share} of a processor`);
  busy.cgroup?.limit(limitWrites({ cpus: 1 }, { cpus: 0.2 }));
  const [usedThen, then] = [usedUs(busy), performance.now()];
  await sleep(2000);
  const more = (usedUs(busy) - usedThen) / ((performance.now() - then) * 1000);
  assert.ok(more > 0.4, `${more} of a processor`);
  busy.link.kill();
  await busy.ended;
});

test('freezing takes less than 100 ms, and stops all of it', async () => {
  const busy = await run('while :; do :; done', {});
  const tookMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const began = performance.now();
    await busy.cgroup?.freeze(true, 5000);
    tookMs.push(performance.now() - began);
    const used = usedUs(busy);
    await sleep(100);
    // What it used up to then may be booked a moment later; running it would be 100,000 or so.
    assert.ok(usedUs(busy) - used < 10_000, `${usedUs(busy) - used} µs while frozen`);
    await busy.cgroup?.freeze(false, 5000);
  }
  // The median: the guest's processors are emulated, and share this machine's with whatever else runs there.
  assert.ok((tookMs.toSorted((a, b) => a - b)[2] ?? 0) < 100, `frozen after ${tookMs.map(Math.round).join(', ')} ms`);
  busy.link.kill();
  await busy.ended;
});

test('a fork storm ends with its cgroup', async () => {
  const storm = await run('while :; do (sleep 60 & sleep 60 &) ; done', { pids: 200 });
  await sleep(1000);
  assert.equal(await storm.cgroup?.remove(10_000), true);
  await storm.ended;
});
