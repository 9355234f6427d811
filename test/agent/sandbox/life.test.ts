/** A sandbox's life through a real agent process, a real NATS server and the real kernel. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { sleep } from '#shared/async.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { desired, range, startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import type { AgentProcess, ControllerSide } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';

leakCheck();
let root: string;
const host = 'host-life';
const isRoot = process.getuid?.() === 0;
let nats: TestNats;
let side: ControllerSide;
let agent: AgentProcess;

before(async () => {
  ({ root } = temporaryDirectories());
  nats = fileResources.use(await startTestNats(root));
  side = fileResources.use(await startControllerSide(nats));
  agent = await startAgentProcess(side, nats, root, host);
  fileResources.defer(async () => {
    await agent.end('SIGTERM');
  });
});
const directory = (placementId: string) => join(root, host, 'placements', placementId);

async function remove(placement: ReturnType<typeof desired>): Promise<void> {
  side.do(host, [{ ...placement, generation: placement.generation + 100, wanted: 'removed' }]);
  await side.status(placement.placementId, ({ state }) => state === 'removed');
  assert.equal(existsSync(directory(placement.placementId)), false);
}

test('runs, tells its namespaces, and ends with the command’s status', async () => {
  const placement = desired(['sleep', '60']);
  side.do(host, [placement]);
  const status = await side.status(placement.placementId, ({ state }) => state !== 'placed');
  assert.equal(status.state, 'running', JSON.stringify(status.error));
  assert.ok(status.commandPid !== null && status.initPid !== null);
  assert.deepEqual(
    status.namespaces.map(({ type }) => type),
    [...namespaceTypes],
  );
  for (const { type, inode } of status.namespaces) {
    assert.equal(readlinkSync(`/proc/${status.commandPid}/ns/${type}`), `${type}:[${inode}]`);
    assert.notEqual(readlinkSync(`/proc/self/ns/${type}`), `${type}:[${inode}]`);
  }
  side.do(host, [{ ...placement, generation: 2, wanted: 'stopped' }]);
  const ended = await side.status(placement.placementId, ({ state }) => state === 'stopped');
  assert.deepEqual(ended.exit, { code: null, signal: 15, endedBy: 'stop' });
  assert.equal(ended.generation, 2);
  assert.ok(ended.startedAt !== null && ended.endedAt !== null);
  await remove(placement);
});

test('a short command: its exit code arrives', async () => {
  const placement = desired(['sh', '-c', 'echo out; echo err >&2; exit 42']);
  side.do(host, [placement]);
  const status = await side.status(placement.placementId, ({ state }) => state === 'stopped');
  assert.deepEqual(status.exit, { code: 42, signal: null });
  assert.equal(readFileSync(join(directory(placement.placementId), 'stdout.log'), 'utf8'), 'out\n');
  await remove(placement);
});

test('a command that ignores the stop signal is killed after the grace', async () => {
  const placement = desired(['sh', '-c', 'trap "" TERM; echo set; while :; do sleep 1; done']);
  side.do(host, [placement]);
  await side.status(placement.placementId, ({ state }) => state === 'running');
  // Running is told with the execve: the shell has yet to begin.
  await until('the trap to be set', () => readFileSync(join(directory(placement.placementId), 'stdout.log'), 'utf8') === 'set\n');
  side.do(host, [{ ...placement, generation: 2, wanted: 'stopped', stopGraceMs: 200 }]);
  const status = await side.status(placement.placementId, ({ state }) => state === 'stopped');
  assert.deepEqual(status.exit, { code: null, signal: 9, endedBy: 'stop' });
  assert.ok(side.statuses.some(({ placementId, state }) => placementId === placement.placementId && state === 'stopping'));
  await remove(placement);
});

test('what cannot be made fails with its code and leaves nothing', async () => {
  const refusals: [ReturnType<typeof desired>, string][] = [
    [desired(['no-such-command']), 'COMMAND_NOT_FOUND'],
    [desired(['/etc/ld.so.cache']), 'COMMAND_NOT_EXECUTABLE'],
    [desired(['true'], {}, { cwd: '/no/such/place' }), 'CWD_REFUSED'],
    [desired(['true'], {}, { root: { type: 'directory', path: '/no/such/root' } }), 'ROOT_REFUSED'],
    [desired(['true'], { idRange: { start: 100_000, count: 65_536 } }), 'ID_RANGE_REFUSED'],
    ...(isRoot ? [[desired(['true'], { idRange: null }), 'ID_RANGE_REFUSED'] satisfies [ReturnType<typeof desired>, string]] : []),
  ];
  for (const [placement, code] of refusals) {
    side.do(host, [placement]);
    const status = await side.status(placement.placementId, ({ state }) => state !== 'placed');
    assert.equal(status.state, 'failed');
    assert.equal(status.error?.code, code, JSON.stringify(status.error));
    assert.deepEqual(readdirSync(directory(placement.placementId)), ['intent', 'state']);
    await remove(placement);
  }
});

test('a hundred lives leave no descriptor open in the agent', async () => {
  const open = () => readdirSync(`/proc/${agent.pid}/fd`).length;
  const lives = async (count: number) => {
    for (let done = 0; done < count; done += 10) {
      const placements = Array.from({ length: 10 }, (_, n) => desired([n % 2 === 0 ? 'true' : 'no-such-command'], { idRange: range(n) }));
      side.do(host, placements);
      for (const { placementId } of placements) await side.status(placementId, ({ state }) => state === 'stopped' || state === 'failed');
      side.do(
        host,
        placements.map((placement) => ({ ...placement, generation: 2, wanted: 'removed' as const })),
      );
      for (const { placementId } of placements) await side.status(placementId, ({ state }) => state === 'removed');
    }
  };
  await lives(10);
  // Shims that wait ready are held open too, and the pool fills up for a second after the last create.
  await sleep(2000, new AbortController().signal);
  const before = open();
  await lives(100);
  await sleep(2000, new AbortController().signal);
  await until('descriptors to be closed', () => open() <= before);
});

test('two placements never share a range of ids', { skip: isRoot ? false : 'a plain user’s sandboxes have none' }, async () => {
  const first = desired(['sleep', '60'], { idRange: range(7) });
  const second = desired(['sleep', '60'], { idRange: range(7) });
  side.do(host, [first, second]);
  await side.status(first.placementId, ({ state }) => state === 'running');
  const refused = await side.status(second.placementId, ({ state }) => state === 'failed');
  assert.equal(refused.error?.code, 'ID_RANGE_REFUSED');
  await remove(first);
  await remove(second);
});

test('the highest generation wins, in whatever order and however often wishes come', async () => {
  const placement = desired(['sleep', '60']);
  side.do(host, [{ ...placement, generation: 3, wanted: 'removed' }]);
  await side.status(placement.placementId, ({ state }) => state === 'removed');
  const second = desired(['sleep', '60']);
  side.do(host, [second]);
  side.do(host, [{ ...second, generation: 3, wanted: 'removed' }]);
  side.do(host, [{ ...second, generation: 2, wanted: 'stopped' }]);
  side.do(host, [second]);
  await side.status(second.placementId, ({ state }) => state === 'removed');
  side.do(host, [second, second]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(side.newest.get(second.placementId)?.state, 'removed');
  assert.equal(existsSync(directory(second.placementId)), false);
});

test('a status that nobody answered is sent again', async () => {
  side.answerStatuses = false;
  const placement = desired(['true']);
  side.do(host, [placement]);
  await side.status(placement.placementId, ({ state }) => state === 'stopped');
  const before = side.statuses.length;
  side.answerStatuses = true;
  await until('the repeated status', () => side.statuses.slice(before).some(({ placementId }) => placementId === placement.placementId));
  await remove(placement);
});

test('malformed, oversized and unknown messages change nothing', async () => {
  const bytes = [
    Buffer.from('{'),
    Buffer.from('{"v":2}'),
    Buffer.from('{"v":1,"placements":[{}]}'),
    Buffer.alloc(250_000, 32),
    Buffer.from([0xff, 0xfe]),
  ];
  for (const data of bytes) {
    side.publish(`nsf.v1.cmd.${host}.do`, data);
    side.publish(`nsf.v1.cmd.${host}.ask`, data);
  }
  const placement = desired(['true']);
  side.do(host, [placement]);
  await side.status(placement.placementId, ({ state }) => state === 'stopped');
  await remove(placement);
});
