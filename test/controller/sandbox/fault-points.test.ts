/**
 * The controller is killed at every await of the create path, as a power cut would; another one takes its place. The same request with
 * the same key ends with exactly one sandbox, in the database and on the host.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { createFaultPoints } from '#controller/fault-points.ts';
import { createClient } from '#shared/client.ts';
import type { Client } from '#shared/client.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';
import { freshDatabase } from '#test/support/postgres.ts';
import type { FreshDatabase } from '#test/support/postgres.ts';
import { spawnController, untilServing } from '../process.ts';
import { startScriptedAgent } from '../scripted-agent.ts';
import type { ScriptedAgent } from '../scripted-agent.ts';

leakCheck();
const dirs = temporaryDirectories();
const dir = join(dirs.root, 'controller');
let nats: TestNats;
let database: FreshDatabase;
let agent: ScriptedAgent;
/** Everything that the host was told to start, by placement. */
const started = new Map<string, DesiredPlacement>();

before(async () => {
  mkdirSync(dir);
  nats = fileResources.use(await startTestNats(dirs.root));
  database = fileResources.use(await freshDatabase());
  await withController({}, async (client) => {
    agent = fileResources.use(
      await startScriptedAgent(
        { client, nats },
        'h1',
        {
          become: (desired) => {
            started.set(desired.placementId, desired);
            return { state: 'running' };
          },
        },
        // One slot for each sandbox of this file: a second one of any request would not fit.
        { capacity: { sandboxes: createFaultPoints.length + 1, idRanges: createFaultPoints.length + 1 } },
      ),
    );
  });
});
/** Controllers come and go here for longer than a host counts as ready without a heartbeat. */
async function untilReady(client: Client): Promise<void> {
  for (;;) {
    agent.beat();
    const { status, lastBeatAt } = await client.call('hostShow', { params: { host: 'h1' } });
    if (status === 'ready' && Date.now() - Date.parse(lastBeatAt ?? '') < 5000) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function withController<T>(env: Record<string, string>, work: (client: Client) => Promise<T>): Promise<T> {
  rmSync(join(dir, 'address'), { force: true });
  const controller = spawnController({ nats, databaseUrl: database.url, dir, env });
  try {
    const { address, token } = await untilServing(controller, dir);
    return await work(createClient(address, token));
  } finally {
    controller.child.kill('SIGTERM');
    const how = await controller.ended;
    assert.equal(how, env['NSFLEET_FAULT_POINT'] === undefined ? 'code 0' : 'SIGKILL', controller.stderr());
  }
}

for (const point of createFaultPoints) {
  // Reached only where nothing fits: see the last test.
  if (point === 'create.looked-up') continue;
  test(`killed at ${point}: the retry makes exactly one`, async () => {
    const body = { name: `at-${point.replace('.', '-')}`, spec: { command: ['sleep', 'infinity'] } };
    const idempotencyKey = randomUUID();
    await withController({ NSFLEET_FAULT_POINT: point }, async (client) => {
      await untilReady(client);
      await assert.rejects(client.call('sandboxCreate', { body, idempotencyKey }), { code: 'NOT_RUNNING' });
    });
    await withController({}, async (client) => {
      await untilReady(client);
      const made = await client.call('sandboxCreate', { body, idempotencyKey });
      assert.equal(made.state, 'running');
      const { sandboxes } = await client.call('sandboxList', { query: { all: 'true' } });
      assert.equal(sandboxes.filter(({ name }) => name === body.name).length, 1);
      assert.equal([...started.values()].filter(({ name }) => name === body.name).length, 1);
    });
  });
}

test('killed at create.looked-up, when the first try took the last slot: the retry finds it', async () => {
  const body = { name: 'last', spec: { command: ['sleep', 'infinity'] } };
  const other = { name: 'one-too-many', spec: { command: ['sleep', 'infinity'] } };
  const idempotencyKey = randomUUID();
  await withController({}, async (client) => {
    await untilReady(client);
    const fill = { name: 'fill', spec: { command: ['sleep', 'infinity'] } };
    await client.call('sandboxCreate', { body: fill });
    await client.call('sandboxCreate', { body, idempotencyKey });
    await assert.rejects(client.call('sandboxCreate', { body: other }), { code: 'NOT_PLACED' });
  });
  await withController({ NSFLEET_FAULT_POINT: 'create.looked-up' }, async (client) => {
    await untilReady(client);
    await assert.rejects(client.call('sandboxCreate', { body, idempotencyKey }), { code: 'NOT_RUNNING' });
  });
  await withController({}, async (client) => {
    await untilReady(client);
    const made = await client.call('sandboxCreate', { body, idempotencyKey });
    assert.equal(made.name, 'last');
    const { sandboxes } = await client.call('sandboxList', { query: { all: 'true' } });
    assert.equal(sandboxes.length, createFaultPoints.length + 1);
    assert.equal(started.size, sandboxes.length);
  });
});
