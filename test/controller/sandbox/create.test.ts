import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import type { SandboxRequest } from '#shared/sandbox.ts';
import type { z } from 'zod';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from '../running.ts';
import type { TestController } from '../running.ts';
import { startScriptedAgent } from '../scripted-agent.ts';

leakCheck();
const dirs = temporaryDirectories();
let controller: TestController;

const commandNotFound = {
  code: 'COMMAND_NOT_FOUND',
  message: 'cannot execute nope: ENOENT',
  attempted: 'execute',
  target: 'nope',
  reason: 'ENOENT',
  remedy: 'check the command',
};

before(async () => {
  controller = fileResources.use(await startTestController(dirs));
  fileResources.use(
    await startScriptedAgent(controller, 'h1', {
      become: ({ spec }) => {
        if (spec.command[0] === 'nope') return { state: 'failed', error: commandNotFound };
        if (spec.command[0] === 'silent') return null;
        return { state: 'running' };
      },
      answer: (question) =>
        question.type === 'plan'
          ? { plan: { version: 1 }, lines: [`mount for ${question.name}`, JSON.stringify(question.idRange)] }
          : undefined,
    }),
  );
});
const request = (command: string, change: Partial<z.input<typeof SandboxRequest>> = {}) => ({ spec: { command: [command] }, ...change });

test('a sandbox is created, is shown with its decision, is stopped and removed', async () => {
  const { client } = controller;
  const made = await client.call('sandboxCreate', { body: request('sleep', { name: 'first' }) });
  assert.equal(made.state, 'running');
  assert.equal(made.hostName, 'h1');
  assert.equal(made.decision?.chosen, 'h1');
  assert.equal(made.idRange?.start, 0x7000_0000);
  const stopped = await client.call('sandboxStop', { params: { sandbox: 'first' }, query: { wait: 'stopped' }, body: {} });
  assert.equal(stopped.state, 'stopped');
  assert.deepEqual(stopped.exit, { code: null, signal: 15 });
  const again = await client.call('sandboxStop', { params: { sandbox: made.id }, query: { wait: 'stopped' }, body: {} });
  assert.equal(again.state, 'stopped');
  const removed = await client.call('sandboxRemove', { params: { sandbox: made.id }, query: { wait: 'removed' } });
  assert.equal(removed.state, 'removed');
});

test('a name is made up: two words and four digits', async () => {
  const made = await controller.client.call('sandboxCreate', { body: request('sleep') });
  assert.match(made.name, /^[a-z]+-[a-z]+-[0-9]{4}$/);
});

test('the same key makes one sandbox; another request with it is refused', async () => {
  const { client } = controller;
  const idempotencyKey = randomUUID();
  const bodies = [request('sleep', { labels: { a: '1', b: '2' } }), request('sleep', { labels: { b: '2', a: '1' } })];
  const all = await Promise.all([...bodies, ...bodies].map((body) => client.call('sandboxCreate', { body, idempotencyKey })));
  assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  await assert.rejects(client.call('sandboxCreate', { body: request('true'), idempotencyKey }), { code: 'IDEMPOTENCY_KEY_REUSED' });
});

test('a name that is taken is refused', async () => {
  const { client } = controller;
  await client.call('sandboxCreate', { body: request('sleep', { name: 'taken' }) });
  await assert.rejects(client.call('sandboxCreate', { body: request('sleep', { name: 'taken' }) }), { code: 'SANDBOX_NAME_TAKEN' });
});

test('a sandbox that fails answers with the host’s error, names the sandbox, and stays to be looked at', async () => {
  const { client } = controller;
  await assert.rejects(
    client.call('sandboxCreate', { body: request('nope', { name: 'failing' }) }),
    (error: Error & { code: string; target: string }) => {
      assert.equal(error.code, 'COMMAND_NOT_FOUND');
      assert.match(error.target, /nope \(sandbox failing, [0-9a-f-]{36}\)/);
      return true;
    },
  );
  const shown = await client.call('sandboxShow', { params: { sandbox: 'failing' } });
  assert.equal(shown.state, 'failed');
  assert.equal(shown.error?.code, 'COMMAND_NOT_FOUND');
});

test('one that fails with autoRemove is removed', async () => {
  const { client } = controller;
  await assert.rejects(client.call('sandboxCreate', { body: request('nope', { name: 'gone', autoRemove: true }) }), {
    code: 'COMMAND_NOT_FOUND',
  });
  for (;;) {
    const { sandboxes } = await client.call('sandboxList', { query: { all: 'true' } });
    const gone = sandboxes.find(({ name }) => name === 'gone');
    if (gone?.state === 'removed') break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a host that says nothing: DEADLINE_EXCEEDED, the command is sent again, and it may still start', async () => {
  const { client } = controller;
  await assert.rejects(client.call('sandboxCreate', { body: request('silent', { name: 'slow' }), query: { waitMs: 200 } }), {
    code: 'DEADLINE_EXCEEDED',
    reason: 'it is placed after 200 ms, not running',
  });
  const { state } = await client.call('sandboxShow', { params: { sandbox: 'slow' } });
  assert.equal(state, 'placed');
  await client.call('sandboxRemove', { params: { sandbox: 'slow' }, query: { force: 'true', wait: 'removed' } });
});

test('nothing fits: NOT_PLACED says how many hosts each filter refused, and nothing is made', async () => {
  const { client } = controller;
  const body = { name: 'nowhere', spec: { command: ['true'], constraint: 'host.labels.zone == "moon"' } };
  await assert.rejects(client.call('sandboxCreate', { body }), {
    code: 'NOT_PLACED',
    reason: '1 host seen: 1 refused by constraint (No such key: zone (column 13))',
  });
  await assert.rejects(client.call('sandboxShow', { params: { sandbox: 'nowhere' } }), { code: 'SANDBOX_NOT_FOUND' });
  const wrong = { spec: { command: ['true'], constraint: 'host.labels.zone ==' } };
  await assert.rejects(client.call('sandboxCreate', { body: wrong }), { code: 'CONSTRAINT_INVALID' });
});

test('a host whose pool has less than its capacity says: NOT_PLACED, not an endless search', async () => {
  const change = { labels: { small: 'yes' }, idPool: { start: 0x7000_0000, count: 1, size: 65_536 } };
  await using small = await startScriptedAgent(controller, 'small', {}, change);
  const body = { spec: { command: ['sleep'], constraint: 'has(host.labels.small)' } };
  await controller.client.call('sandboxCreate', { body });
  await assert.rejects(controller.client.call('sandboxCreate', { body }), {
    code: 'NOT_PLACED',
    reason: /1 full \(no slot at the commit\)/,
  });
  assert.equal(small.held.size, 1);
});

test('a dry run shows the decision, the range and the host’s plan, and makes nothing', async () => {
  const { client } = controller;
  const before = await client.call('sandboxList', { query: { all: 'true' } });
  const plan = await client.call('sandboxPlan', { body: request('true', { name: 'planned' }) });
  assert.equal(plan.hostName, 'h1');
  assert.equal(plan.lines[0], 'mount for planned');
  assert.equal(plan.lines[1], JSON.stringify(plan.idRange));
  assert.equal(plan.idRange?.count, 65_536);
  const afterwards = await client.call('sandboxList', { query: { all: 'true' } });
  assert.equal(afterwards.sandboxes.length, before.sandboxes.length);
});

test('a lost command is sent again by the loop', async () => {
  let dropped = 0;
  await using second = await startScriptedAgent(
    controller,
    'h2',
    {
      become: () => {
        dropped += 1;
        return dropped === 1 ? null : { state: 'running' };
      },
    },
    { labels: { only: 'h2' } },
  );
  const body = { spec: { command: ['true'], constraint: 'has(host.labels.only)' } };
  const made = await controller.client.call('sandboxCreate', { body, query: { waitMs: 10_000 } });
  assert.equal(made.state, 'running');
  assert.equal(dropped, 2);
  assert.equal(second.held.size, 1);
});
