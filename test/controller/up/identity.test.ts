/** Nothing is signalled by a bare pid. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endProcess } from '#controller/up/end.ts';
import { identify, isAlive, signalProcess } from '#controller/up/identity.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();

function sleeper(argv0 = 'sleep', file = 'sleep') {
  const child = spawn(file, ['60'], { argv0, stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  return { pid: child.pid ?? 0, ended };
}

test('a process is its pid with its start time', async () => {
  const { pid, ended } = sleeper();
  const identity = identify(pid);
  assert.ok(identity);
  assert.equal(identity.start, readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21]);
  assert.equal(isAlive(identity), true);
  assert.equal(await endProcess(identity, 'SIGTERM', 5000), 'ended');
  assert.equal(await ended, 'SIGTERM');
  assert.equal(isAlive(identity), false);
  assert.equal(await endProcess(identity, 'SIGTERM', 5000), 'gone');
});

test('a name with parentheses and spaces does not shift the fields', async () => {
  const path = join(dirs.root, 'a) S 1 (b');
  symlinkSync('/usr/bin/sleep', path);
  const { pid, ended } = sleeper(path, path);
  const identity = identify(pid);
  assert.ok(identity);
  assert.match(identity.start, /^\d{3,}$/);
  assert.equal(await endProcess(identity, 'SIGKILL', 5000), 'ended');
  await ended;
});

test('another process with the same pid is left alone', async () => {
  const { pid, ended } = sleeper();
  const real = identify(pid);
  assert.ok(real);
  const earlier = { pid, start: String(Number(real.start) - 1) };
  assert.equal(signalProcess(earlier, 'SIGKILL'), false);
  assert.equal(await endProcess(earlier, 'SIGKILL', 1000), 'gone');
  assert.equal(isAlive(real), true);
  await endProcess(real, 'SIGTERM', 5000);
  await ended;
});

test('who does not listen is killed after the grace, or at once when it is hastened', async () => {
  for (const hastened of [false, true]) {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const identity = identify(child.pid ?? 0);
    assert.ok(identity);
    const startedAt = performance.now();
    assert.equal(await endProcess(identity, 'SIGTERM', hastened ? 60_000 : 100, hastened ? AbortSignal.timeout(50) : undefined), 'killed');
    assert.ok(performance.now() - startedAt < 5000);
    await ended;
  }
});
