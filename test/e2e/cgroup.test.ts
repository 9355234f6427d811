/** A sandbox and its cgroup, from the CLI to the kernel: everything is in it, it freezes, and nothing of it stays. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { Sandbox } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { ownCgroups } from '#test/support/own-cgroups.ts';

leakCheck();
const unified = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`));
const skip = process.geteuid?.() !== 0 ? 'needs root' : unified === undefined && 'there is no cgroup v2 here';
const hasMemory = unified !== undefined && readFileSync(`${unified}/cgroup.controllers`, 'utf8').includes('memory');

let fleet: Fleet;
before(async () => {
  if (skip === false) fleet = fileResources.use(await startFleet());
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}
async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await fleet.cli([...args.slice(0, 2), '--json', ...args.slice(2)]);
  assert.notEqual(code, 0);
  return (JSON.parse(stderr) as { error: { code: string } }).error.code;
}
const run = async (name: string, script: string): Promise<Sandbox> =>
  Sandbox.parse(JSON.parse(await ok('sandbox', 'run', '--json', '-d', '--name', name, '--', 'sh', '-c', script)));
const show = async (name: string): Promise<Sandbox> => Sandbox.parse(JSON.parse(await ok('sandbox', 'show', '--json', name)));
const cgroupOf = (pid: number | null): string => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
/** utime and stime, in clock ticks */
const cpuTicks = (pid: number | null): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
};

test('the first process, its init and one that entered are in it; it is the root of their cgroup namespace', { skip }, async () => {
  const { initPid, commandPid } = await run('inside', 'sleep 600');
  const path = cgroupOf(initPid);
  assert.match(path, /\/nsfleet-test-[^/]+\/[^/]+\/[0-9a-f]{12}$/);
  assert.equal(cgroupOf(commandPid), path);
  assert.equal((await ok('sandbox', 'exec', 'inside', '--', 'grep', '0::', '/proc/self/cgroup')).trim(), '0::/');
  assert.ok(ownCgroups().includes(`${unified}${path}`));
  await ok('sandbox', 'rm', '-f', 'inside');
  assert.ok(!ownCgroups().includes(`${unified}${path}`), 'it is gone with the sandbox');
});

test('pause freezes all of it, resume lets it go on, and a paused one can be stopped', { skip }, async () => {
  const { commandPid } = await run('frozen', 'trap "exit 7" TERM; while :; do :; done');
  await until('it to compute', () => cpuTicks(commandPid) > 5 || null);
  await ok('sandbox', 'pause', 'frozen');
  const paused = await show('frozen');
  assert.deepEqual([paused.state, paused.wanted, paused.observedGeneration], ['paused', 'paused', paused.generation]);
  const before = cpuTicks(commandPid);
  assert.match(await ok('sandbox', 'ls'), /Paused, up/);
  assert.equal(await refused('sandbox', 'exec', 'frozen', '--', 'true'), 'SANDBOX_NOT_RUNNING');
  assert.equal(cpuTicks(commandPid), before, 'nothing of it gets processor time');
  await ok('sandbox', 'pause', 'frozen');
  await ok('sandbox', 'resume', 'frozen');
  assert.equal((await show('frozen')).state, 'running');
  await until('it to go on', () => cpuTicks(commandPid) > before || null);
  await ok('sandbox', 'pause', 'frozen');
  // Frozen it could not hear the signal.
  await ok('sandbox', 'stop', 'frozen');
  assert.deepEqual((await show('frozen')).exit, { code: 7, signal: null, endedBy: 'stop' });
  assert.equal(await refused('sandbox', 'pause', 'frozen'), 'SANDBOX_NOT_RUNNING');
  await ok('sandbox', 'rm', 'frozen');
});

test('a paused one stays so while its agent is away, and is killed at its removal', { skip }, async () => {
  const { initPid } = await run('cold', 'sleep 600');
  await ok('sandbox', 'pause', 'cold');
  const path = `${unified}${cgroupOf(initPid)}`;
  const [agent] = fleet.agents;
  await agent?.end('SIGKILL');
  await agent?.start();
  await fleet.ready();
  assert.equal((await show('cold')).state, 'paused');
  // The host counts as ready until its beats are missed; its agent answers when it has taken stock.
  await until('the agent to answer', async () => (await fleet.cli(['sandbox', 'resume', 'cold'])).code === 0 || null);
  await ok('sandbox', 'pause', 'cold');
  await ok('sandbox', 'rm', '-f', 'cold');
  assert.ok(!existsSync(path));
});

test('stats tell what it uses', { skip }, async () => {
  const { commandPid } = await run('busy', 'while :; do :; done');
  await until('it to compute', () => cpuTicks(commandPid) > 5 || null);
  const { sandboxes } = JSON.parse(await ok('sandbox', 'stats', '--json')) as { sandboxes: { name: string; cpuPercent: number }[] };
  assert.deepEqual(
    sandboxes.map(({ name }) => name),
    ['busy'],
  );
  assert.ok((sandboxes[0]?.cpuPercent ?? 0) > 1, JSON.stringify(sandboxes));
  assert.match(await ok('sandbox', 'stats', 'busy'), /^NAME +CPU% .*\nbusy /);
  await ok('sandbox', 'rm', '-f', 'busy');
});

test(
  'limits that this host cannot give are refused with what is missing, before anything is made',
  { skip: skip || (hasMemory && 'this host has them') },
  async () => {
    assert.equal(await refused('sandbox', 'run', '--name', 'small', '--memory', '64m', '--', 'true'), 'SPEC_UNAVAILABLE');
    const { error } = await show('small');
    assert.match(
      error?.reason ?? '',
      /limits of memory: asked for memory.swap.max 0, memory.max 67108864, there is none \(cgroup v2 at .* has no such controller/,
    );
    await run('plain', 'sleep 600');
    await ok('sandbox', 'run', '-d', '--name', 'degraded', '--memory', '64m', '--allow-degraded', '--', 'sleep', '600');
    const degraded = await show('degraded');
    assert.deepEqual([degraded.state, degraded.error, degraded.lacks?.map(({ what }) => what)], ['running', null, ['limits of memory']]);
    assert.equal(await refused('sandbox', 'update', '--memory', '64m', 'plain'), 'LIMITS_UNAVAILABLE');
    assert.deepEqual((await show('plain')).spec.resources, {});
    assert.equal(await refused('sandbox', 'update', '--memory', '64q', 'plain'), 'USAGE');
    assert.equal(await refused('sandbox', 'update', 'plain'), 'USAGE');
    await ok('sandbox', 'rm', '-f', 'plain', 'degraded', 'small');
  },
);
