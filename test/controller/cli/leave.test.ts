import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, test } from 'node:test';
import type { Sandbox } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startFleet } from './fleet.ts';
import type { Fleet } from './fleet.ts';
import { cliProcess } from './run.ts';

leakCheck();
const dirs = temporaryDirectories();
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet(dirs));
});
const run = (...argv: string[]) => cliProcess(dirs.env, 'sandbox', 'run', ...argv);
const named = (name: string): Sandbox | undefined => fleet.sandboxes.all().find((sandbox) => sandbox.name === name);
const deaf = ['sh', '-c', 'trap "" HUP TERM INT; echo ready; while :; do sleep 0.05; done'];
const until = async (holds: () => boolean) => {
  const end = Date.now() + 5000;
  while (!holds() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
};

test('run --rm: a reader that goes away stops and removes it; 141', async () => {
  const { child, ended } = run('--rm', '--name', 'piped', '--', 'yes');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr], [141, '']);
  assert.equal(named('piped')?.state, 'removed');
});

test('run --rm: a closed terminal stops and removes it, also one that takes no notice, within 3 s; 129', async () => {
  for (const [name, command] of [
    ['hung-up', ['sh', '-c', 'echo ready; exec sleep 60']],
    ['deaf', deaf],
  ] as const) {
    const { child, ended } = run('--rm', '--name', name, '--', ...command);
    await once(child.stdout, 'data');
    const start = performance.now();
    // What a closed terminal does: the signal, and nobody left to write to.
    child.kill('SIGHUP');
    child.stdout.destroy();
    child.stderr.destroy();
    assert.equal((await ended).code, 129);
    assert.ok(performance.now() - start < 4000, name);
    assert.equal(named(name)?.state, 'removed');
  }
});

test('run without --rm: a closed terminal and a reader that goes away stop it and leave it to be looked at', async () => {
  const hungUp = run('--name', 'kept-hup', '--', 'sh', '-c', 'trap "exit 6" HUP; echo ready; while :; do sleep 0.05; done');
  await once(hungUp.child.stdout, 'data');
  hungUp.child.kill('SIGHUP');
  assert.equal((await hungUp.ended).code, 129);
  await until(() => named('kept-hup')?.state === 'stopped');
  assert.deepEqual(named('kept-hup')?.exit, { code: 6, signal: null });
  const piped = run('--name', 'kept-pipe', '--', 'yes');
  await once(piped.child.stdout, 'data');
  piped.child.stdout.destroy();
  assert.equal((await piped.ended).code, 141);
  await until(() => named('kept-pipe')?.state === 'stopped');
});

test('run --rm: a hang-up while it is being made leaves none behind', async () => {
  const { child, ended } = run('--rm', '--name', 'early', '--', 'sleep', '60');
  fleet.sandboxes.beforeReply.create = () => void child.kill('SIGHUP');
  assert.equal((await ended).code, 129);
  fleet.sandboxes.beforeReply.create = () => undefined;
  assert.equal(named('early')?.state, 'removed');
});
