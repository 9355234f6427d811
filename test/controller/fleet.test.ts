/** Two controllers, several hosts: questions to many, races for one slot, and what the fleet says of itself. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningController } from '#controller/start.ts';
import type { Client } from '#shared/client.ts';
import type { NsfleetError } from '#shared/errors.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from './running.ts';
import type { TestController } from './running.ts';
import { startScriptedAgent } from './scripted-agent.ts';
import type { Script, ScriptedAgent } from './scripted-agent.ts';

leakCheck();
const dirs = temporaryDirectories();
let controller: TestController;
let second: RunningController & { client: Client };
const beating: ScriptedAgent[] = [];
let scans = 0;

before(async () => {
  controller = fileResources.use(await startTestController(dirs));
  second = await controller.another();
  const scanned: Script = { answer: ({ type }) => (type === 'scan' ? { seq: (scans += 1), namespaces: 0 } : undefined) };
  const one = { capacity: { sandboxes: 1, idRanges: 1 }, labels: { slots: 'one' } };
  beating.push(fileResources.use(await startScriptedAgent(controller, 'a', scanned, one)));
  beating.push(fileResources.use(await startScriptedAgent(controller, 'b', scanned)));
});
test('a fresh list asks every ready host, and names the one that does not answer', async () => {
  const { client } = controller;
  const all = await client.call('namespaceList', { query: { live: 'true' } });
  assert.deepEqual(all.stale, []);
  assert.equal(scans, 2);
  const cached = await client.call('namespaceList');
  assert.deepEqual([cached.stale, scans], [[], 2]);
  await client.call('namespaceList', { query: { live: 'true', host: 'b' } });
  assert.equal(scans, 3);
  await using mute: ScriptedAgent = await startScriptedAgent(controller, 'mute');
  const start = performance.now();
  const some = await client.call('namespaceList', { query: { live: 'true' } });
  assert.deepEqual(some.stale, ['mute']);
  assert.ok(performance.now() - start < 7000);
  // Its agent gone, the server knows at once that nobody listens.
  await mute.connection.close();
  const again = performance.now();
  const without = await client.call('namespaceList', { query: { live: 'true' } });
  assert.deepEqual(without.stale, ['mute']);
  assert.ok(performance.now() - again < 2000);
});

test('a host that says nothing is named when the deadline has passed', async () => {
  const question = { type: 'plan' as const, name: 'x', idRange: null, spec: spec() };
  await assert.rejects(controller.context.asker.ask({ id: 'b', name: 'b' }, question, 50), {
    code: 'HOST_UNREACHABLE',
    target: 'b',
    reason: 'no answer within 50 ms',
  });
});

const spec = () => SandboxSpec.parse({ command: ['true'], stopGraceMs: 1000 });

test('200 requests at once for one slot, on two controllers: one wins, every other is told why', async () => {
  const body = { spec: { command: ['sleep'], constraint: 'has(host.labels.slots)' } };
  const clients = [controller.client, second.client];
  const all = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => clients[index % 2]!.call('sandboxCreate', { body })));
  const won = all.filter((result) => result.status === 'fulfilled');
  const codes = new Set(all.flatMap((result) => (result.status === 'rejected' ? [(result.reason as NsfleetError).code] : [])));
  assert.equal(won.length, 1);
  assert.deepEqual([...codes], ['NOT_PLACED']);
  const { sandboxes } = await controller.client.call('sandboxList', { query: { host: 'a' } });
  assert.equal(sandboxes.length, 1);
});

test('what one controller did the other one’s waiters hear', async () => {
  const body = { name: 'shared', spec: { command: ['sleep'], constraint: 'host.id == "b"' } };
  await controller.client.call('sandboxCreate', { body });
  const waiting = second.client.call('sandboxShow', { params: { sandbox: 'shared' }, query: { wait: 'removed', waitMs: 10_000 } });
  await sleep(50);
  const start = performance.now();
  await controller.client.call('sandboxRemove', { params: { sandbox: 'shared' }, query: { force: 'true', wait: 'removed' } });
  assert.equal((await waiting).state, 'removed');
  assert.ok(performance.now() - start < 3000);
});

test('wait: an answer at once where the state cannot be reached, DEADLINE_EXCEEDED where it could', async () => {
  const { client } = controller;
  await client.call('sandboxCreate', { body: { name: 'waited', spec: { command: ['sleep'], constraint: 'host.id == "b"' } } });
  const target = { params: { sandbox: 'waited' } };
  assert.equal((await client.call('sandboxShow', { ...target, query: { wait: 'running' } })).state, 'running');
  await assert.rejects(client.call('sandboxShow', { ...target, query: { wait: 'stopped', waitMs: 50 } }), { code: 'DEADLINE_EXCEEDED' });
  await client.call('sandboxStop', { ...target, query: { wait: 'stopped' }, body: {} });
  assert.equal((await client.call('sandboxShow', { ...target, query: { wait: 'running' } })).state, 'stopped');
  assert.equal((await client.call('sandboxShow', { ...target, query: { wait: 'lost' } })).state, 'stopped');
});

test('what waits is answered when its controller ends', async () => {
  const third = await controller.another();
  const waiting = third.client.call('sandboxShow', { params: { sandbox: 'waited' }, query: { wait: 'removed', waitMs: 60_000 } });
  const refused = assert.rejects(waiting, { code: 'UNAVAILABLE', reason: 'this controller is ending' });
  await sleep(100);
  await third.close();
  await refused;
});

test('a controller that has just begun to listen waits for a heartbeat before it calls hosts silent', async () => {
  const silence = () => controller.context.store.pool.query(`update beats set at = now() - interval '1 hour'`);
  const body = { name: 'patient', spec: { command: ['sleep'], constraint: 'host.id == "b"' } };
  const fresh = await controller.another();
  await silence();
  await assert.rejects(fresh.client.call('sandboxCreate', { body, query: { waitMs: 200 } }), { code: 'NOT_PLACED', reason: /not ready/ });
  await assert.rejects(controller.client.call('sandboxCreate', { body }), { code: 'NOT_PLACED' }, 'the old one knows');
  const made = fresh.client.call('sandboxCreate', { body });
  await sleep(300);
  for (const agent of beating) agent.beat();
  assert.equal((await made).state, 'running');
});

test('removing what runs needs force', async () => {
  const { client } = controller;
  const body = { name: 'kept', spec: { command: ['sleep'], constraint: 'host.id == "b"' } };
  await client.call('sandboxCreate', { body });
  await assert.rejects(client.call('sandboxRemove', { params: { sandbox: 'kept' } }), { code: 'SANDBOX_STILL_RUNNING' });
});

test('status counts the fleet and says what is wrong with it', async () => {
  const status = await second.client.call('status');
  assert.equal(status.controllerId, second.context.controllerId);
  assert.equal(status.database.ok && status.nats.ok, true);
  assert.ok(status.hosts.ready >= 2);
  assert.match(status.database.migration, /^[0-9]{4}_/);
  // The one whose agent was closed above, and made silent.
  assert.equal(status.problems.length, 1);
  assert.match(status.problems[0] ?? '', /^Host mute is not ready: no heartbeat for \d+ s\.$/);
});

test('events tell of it in order', async () => {
  const { events } = await controller.client.call('eventList', { query: { limit: 10_000 } });
  const numbers = events.map(({ seq }) => BigInt(seq));
  assert.deepEqual(
    numbers,
    numbers.toSorted((x, y) => (x < y ? -1 : 1)),
  );
  const kept = events.filter(({ detail }) => detail['name'] === 'kept').map(({ type }) => type);
  assert.deepEqual(kept.slice(0, 2), ['sandbox.created', 'sandbox.placed']);
  const after = await controller.client.call('eventList', { query: { since: events[4]!.seq, limit: 3 } });
  assert.deepEqual(after.events, events.slice(5, 8));
});

test('when NATS is away, readiness and status say so, and requests that need it are refused', async () => {
  // The last test of this file: agents and controllers lose their server.
  const { client } = controller;
  await controller.nats[Symbol.asyncDispose]();
  for (;;) {
    const ready = await client.raw('/readyz');
    const text = await ready.text();
    if (ready.status === 503) {
      assert.match(text, /NATS at .* is not usable/);
      assert.ok(ready.headers.get('retry-after'));
      break;
    }
    await sleep(20);
  }
  const status = await client.call('status');
  assert.equal(status.ok, false);
  assert.match(status.problems[0] ?? '', /^NATS at /);
  assert.equal((await client.raw('/healthz')).status, 200);
  const plan = client.call('sandboxPlan', { body: { spec: { command: ['true'], constraint: 'host.id == "b"' } } });
  await assert.rejects(plan, { code: 'HOST_UNREACHABLE' });
});
