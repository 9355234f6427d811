/** Agents die and come back; sandboxes do not notice. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterEach, before, test } from 'node:test';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import { desired, range, startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import type { AgentProcess, ControllerSide } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';
import { decodeRecord, encodeRecord } from '#agent/sandbox/state.ts';

leakCheck();
let root: string;
const host = 'host-adopt';
let nats: TestNats;
let side: ControllerSide;
let agent: AgentProcess;
const made: DesiredPlacement[] = [];

before(async () => {
  ({ root } = temporaryDirectories());
  nats = fileResources.use(await startTestNats(root));
  side = fileResources.use(await startControllerSide(nats));
});
afterEach(async () => {
  side.do(
    host,
    made.map((placement) => ({ ...placement, generation: 1000, wanted: 'removed' as const })),
  );
  for (const { placementId } of made.splice(0)) await side.status(placementId, ({ state }) => state === 'removed');
  assert.deepEqual(readdirSync(join(root, host, 'placements')), []);
  await agent.end('SIGTERM');
});
const stateFile = (placementId: string) => join(root, host, 'placements', placementId, 'state');
const start = async () => {
  agent = await startAgentProcess(side, nats, root, host);
};
async function run(placements: DesiredPlacement[]): Promise<void> {
  made.push(...placements);
  side.do(host, placements);
  for (const { placementId } of placements) await side.status(placementId, ({ state }) => state === 'running');
}

test('20 sandboxes outlive a killed agent; the next one adopts them within 5 s and hears how they end', async () => {
  await start();
  const placements = Array.from({ length: 20 }, (_, n) =>
    desired(['sh', '-c', `trap 'exit ${n}' TERM; while :; do sleep 0.05; done`], { idRange: range(n) }),
  );
  await run(placements);
  const pids = placements.map(({ placementId }) => side.newest.get(placementId)?.commandPid ?? -1);
  const starts = pids.map(startTicks);
  await agent.end('SIGKILL');
  assert.deepEqual(pids.map(startTicks), starts);

  const told = side.statuses.length;
  const began = performance.now();
  await start();
  await until('all to be told again', () =>
    placements.every(({ placementId }) => side.statuses.slice(told).some((status) => status.placementId === placementId)),
  );
  assert.ok(performance.now() - began < 5000, `adopted after ${performance.now() - began} ms`);
  assert.deepEqual(pids.map(startTicks), starts);

  side.do(
    host,
    placements.map((placement) => ({ ...placement, generation: 2, wanted: 'stopped' as const })),
  );
  for (const [n, { placementId }] of placements.entries()) {
    const status = await side.status(placementId, ({ state }) => state === 'stopped');
    assert.deepEqual(status.exit, { code: n, signal: null, endedBy: 'stop' });
  }
});

test('what ended while no agent was there is told with its exit status', async () => {
  await start();
  const placement = desired(['sh', '-c', 'sleep 0.3; exit 7']);
  await run([placement]);
  await agent.end('SIGKILL');
  const directory = join(root, host, 'placements', placement.placementId);
  await until('the exit file', () => existsSync(join(directory, 'exit')));
  await start();
  const status = await side.status(placement.placementId, ({ state }) => state === 'stopped');
  assert.deepEqual(status.exit, { code: 7, signal: null });
});

test('a killed shim takes its sandbox along, and that is told as lost', async () => {
  await start();
  const placement = desired(['sleep', '60']);
  await run([placement]);
  const { shim, command } = decodeRecord(readFileSync(stateFile(placement.placementId)), 'state');
  await agent.end('SIGKILL');
  process.kill(shim!.pid, 'SIGKILL');
  await until('the command to be gone', () => startTicks(command!.pid) === null);
  await start();
  const status = await side.status(placement.placementId, ({ state }) => state === 'lost');
  assert.equal(status.exit, null);
});

test('after a reboot nothing of the old boot is trusted, not even a pid that exists', async () => {
  await start();
  const placement = desired(['sleep', '60']);
  await run([placement]);
  await agent.end('SIGKILL');
  const path = stateFile(placement.placementId);
  const record = decodeRecord(readFileSync(path), path);
  // The canary has the pid and start time that the record names, and must live: this process.
  const canary = { pid: process.pid, start: startTicks(process.pid) ?? '' };
  const reborn = { ...desired(['sleep', '60']), placementId: randomUUID() };
  mkdirSync(join(root, host, 'placements', reborn.placementId));
  writeFileSync(
    stateFile(reborn.placementId),
    encodeRecord({ ...record, desired: reborn, bootId: randomUUID(), init: canary, shim: canary, command: canary }),
  );
  made.push(reborn);
  await start();
  const status = await side.status(reborn.placementId, ({ state }) => state === 'lost');
  assert.ok(status.statusSeq > record.statusSeq + 1);
  await side.status(placement.placementId, ({ state }) => state === 'running');
});

test('damaged records are set aside, and the shim tells the truth', async () => {
  await start();
  // Of the first two only the newest record is damaged; of the others both, so that their names are known when they are asked for.
  const placements = [
    desired(['sleep', '60']),
    desired(['sh', '-c', 'exit 3'], { idRange: range(1) }),
    desired(['sleep', '60'], { idRange: range(2) }),
    desired(['sh', '-c', 'exit 3'], { idRange: range(3) }),
  ];
  made.push(...placements);
  side.do(host, placements);
  for (const [n, { placementId }] of placements.entries())
    await side.status(placementId, ({ state }) => state === (n % 2 === 0 ? 'running' : 'stopped'));
  const before = placements.map(({ placementId }) => side.newest.get(placementId)!);
  await agent.end('SIGKILL');
  for (const [n, { placementId }] of placements.entries()) {
    const files = [stateFile(placementId), join(root, host, 'placements', placementId, 'intent')];
    for (const path of n < 2 ? files.slice(0, 1) : files) {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path, bytes);
    }
  }
  const told = side.statuses.length;
  await start();
  side.do(host, placements);
  for (const [n, { placementId }] of placements.entries()) {
    const newer = () => side.statuses.slice(told).find((status) => status.placementId === placementId);
    await until('it to be told', () => newer() !== undefined);
    assert.ok((newer()?.statusSeq ?? 0) > (before[n]?.statusSeq ?? 0));
    assert.ok(existsSync(`${stateFile(placementId)}.damaged`));
    if (n % 2 === 0) assert.deepEqual([newer()?.state, newer()?.commandPid], ['running', before[n]?.commandPid]);
    else assert.deepEqual(newer()?.exit, { code: 3, signal: null });
  }
});

test('a second agent on the same state directory is refused', async () => {
  await start();
  await assert.rejects(startAgentProcess(side, nats, root, host), /the agent ended/);
  assert.match(readFileSync(join(root, `${host}.log`), 'utf8'), /ALREADY_RUNNING/);
});

test('an agent that is killed at any moment of creations leaves none half made', async () => {
  await start();
  for (let round = 0; round < 12; round++) {
    const placements = Array.from({ length: 4 }, (_, n) => desired(['sleep', '60'], { idRange: range(n) }));
    made.push(...placements);
    side.do(host, placements);
    await new Promise((resolve) => setTimeout(resolve, round));
    await agent.end('SIGKILL');
    await start();
    side.do(host, placements, true);
    for (const { placementId } of placements) {
      const status = await side.status(placementId, ({ state }) => state !== 'placed');
      assert.ok(status.state === 'running', `${status.state} ${JSON.stringify(status.error)}`);
    }
    assert.equal(shimsBelow(join(root, host)), 4);
    side.do(
      host,
      placements.map((placement) => ({ ...placement, generation: 1000, wanted: 'removed' as const })),
    );
    for (const { placementId } of made.splice(0)) await side.status(placementId, ({ state }) => state === 'removed');
    assert.equal(shimsBelow(join(root, host)), 0);
  }
});

test('an agent that is killed at any moment of removals finishes them afterwards', async () => {
  await start();
  for (let round = 0; round < 6; round++) {
    const placements = Array.from({ length: 6 }, (_, n) => desired(['sleep', '60'], { idRange: range(n) }));
    await run(placements);
    const pids = placements.map(({ placementId }) => side.newest.get(placementId)?.commandPid ?? -1);
    const began = pids.map(startTicks);
    side.do(
      host,
      placements.map((placement) => ({ ...placement, generation: 1000, wanted: 'removed' as const })),
    );
    await new Promise((resolve) => setTimeout(resolve, round * 2));
    await agent.end('SIGKILL');
    await start();
    side.do(
      host,
      placements.map((placement) => ({ ...placement, generation: 1000, wanted: 'removed' as const })),
    );
    for (const { placementId } of made.splice(0)) await side.status(placementId, ({ state }) => state === 'removed');
    assert.deepEqual(readdirSync(join(root, host, 'placements')), []);
    for (const [n, pid] of pids.entries()) assert.ok(began[n] === null || startTicks(pid) !== began[n], 'its command is gone');
  }
});

test('what runs by exec dies with its agent; the sandbox does not', async () => {
  await start();
  const placement = desired(['sleep', '60']);
  await run([placement]);
  const { id } = side.stream(host);
  const answer = await side.ask(host, {
    type: 'exec',
    streamId: id,
    placementId: placement.placementId,
    exec: { command: ['sleep', '603'], env: {} },
  });
  assert.equal(answer.error, null);
  const runs = (words: string) => readdirSync('/proc').some((pid) => /^[0-9]+$/.test(pid) && commandLine(pid) === words);
  assert.ok(runs('sleep 603 '));
  await agent.end('SIGKILL');
  await until('its end', () => !runs('sleep 603 '));
  assert.ok(startTicks(side.newest.get(placement.placementId)?.commandPid ?? -1) !== null);
  await start();
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Field 22 of /proc/<pid>/stat, null where there is no such process. */
function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** Outer halves: processes named nsfleet-shim whose parent is none. */
function shimsBelow(directory: string): number {
  const placements = readdirSync(join(directory, 'placements'));
  return placements.filter((placementId) => existsSync(join(directory, 'placements', placementId, 'shim.sock'))).length;
}
