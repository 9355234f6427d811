/** Lifetimes: the shim ends a sandbox by itself, with agent and controller both dead. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Sandbox } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { isAlive } from '#test/support/shim.ts';

leakCheck();
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}
const run = async (name: string, options: string[], script: string): Promise<Sandbox> =>
  Sandbox.parse(JSON.parse(await ok('sandbox', 'run', '--json', '-d', '--name', name, ...options, '--', 'sh', '-c', script)));
const show = async (name: string): Promise<Sandbox> => Sandbox.parse(JSON.parse(await ok('sandbox', 'show', '--json', name)));
const stopped = (name: string): Promise<Sandbox> =>
  until(`${name} to stop`, async () => {
    const sandbox = await show(name);
    return sandbox.state === 'stopped' ? sandbox : null;
  });
const polite = 'trap "exit 9" TERM; while :; do sleep 0.05; done';

test('a time to live ends it by the stop signal, and tells so', async () => {
  const { startedAt } = await run('mortal', ['--ttl', '1s'], polite);
  const { exit, endedAt } = await stopped('mortal');
  assert.deepEqual(exit, { code: 9, signal: null, endedBy: 'ttl' });
  const livedMs = Date.parse(endedAt ?? '') - Date.parse(startedAt ?? '');
  assert.ok(livedMs > 900, `it lived ${livedMs} ms`);
  assert.match(await ok('sandbox', 'show', 'mortal'), /code 9, ended by its time to live/);
});

test('who does not heed the signal is killed after the grace', async () => {
  await run('stubborn', ['--ttl', '300ms', '--stop-grace', '300ms'], 'trap "" TERM; while :; do sleep 0.05; done');
  assert.deepEqual((await stopped('stubborn')).exit, { code: null, signal: 9, endedBy: 'ttl' });
});

test('with agent and controller dead it ends all the same, and the next agent tells how', async () => {
  const [agent] = fleet.agents;
  const { commandPid, initPid } = await run('orphan', ['--deadline', '+6s'], polite);
  await Promise.all([agent?.end('SIGKILL'), fleet.controller.end('SIGKILL')]);
  assert.ok(isAlive(commandPid ?? 0), 'it outlives them');
  await until('it to end', () => !isAlive(initPid ?? 0) || null);
  await fleet.controller.start();
  await agent?.start();
  await fleet.ready();
  assert.deepEqual((await stopped('orphan')).exit, { code: 9, signal: null, endedBy: 'deadline' });
});

test('idle is what writes nothing and in which nothing is executed', async () => {
  const idle = ['--idle', '4s'];
  await run('visited', idle, polite);
  const visit = ok('sandbox', 'exec', 'visited', '--', 'sleep', '9');
  visit.catch(() => undefined);
  await run('quiet', idle, polite);
  await run('talking', idle, 'trap "exit 9" TERM; while :; do echo; sleep 0.3; done');
  assert.deepEqual((await stopped('quiet')).exit, { code: 9, signal: null, endedBy: 'idle' });
  assert.equal((await show('talking')).state, 'running');
  await visit;
  assert.deepEqual((await stopped('visited')).exit, { code: 9, signal: null, endedBy: 'idle' });
  assert.equal((await show('talking')).state, 'running');
});

test('a stop by a user is told as that', async () => {
  await run('asked', [], polite.replace(';', '; echo trapped;'));
  await until('the trap to be set', async () => (await ok('sandbox', 'logs', 'asked')).includes('trapped') || null);
  await ok('sandbox', 'stop', 'asked');
  assert.deepEqual((await show('asked')).exit, { code: 9, signal: null, endedBy: 'stop' });
});
