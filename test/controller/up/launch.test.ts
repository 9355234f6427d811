/** What the launcher does with a program that does not stop: a busy loop hears no signal and no closed channel. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identify } from '#controller/up/identity.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const root = fileURLToPath(new URL('../../..', import.meta.url));
const module = new URL('../../../controller/up/launch.mjs', import.meta.url).href;

/** Listens to SIGTERM, so that the signal's default does not end it, and has a child of its own, as a set-up step is. */
const busy = `
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
process.on('SIGTERM', () => undefined);
const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
child.once('spawn', () => {
  writeSync(1, \`\${process.pid} \${child.pid}\\n\`);
  for (;;);
});
`;

function launchBusy(limits: { stopMs: number; hastenedMs: number }) {
  const program = join(dirs.root, 'busy.ts');
  writeFileSync(program, busy);
  const code = `import { launch } from ${JSON.stringify(module)}; await launch(${JSON.stringify(relative(root, program))}, [], ${JSON.stringify(limits)});`;
  const env = { ...process.env, ...dirs.env, HOME: dirs.root };
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  const started = new Promise<number[]>((resolve) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim().split(' ').map(Number)));
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, started, ended, told: () => told };
}

function assertGone(pids: readonly number[]): void {
  assert.deepEqual(
    pids.filter((pid) => identify(pid) !== null),
    [],
  );
}

test('a program that does not stop in its time is killed with what it runs', async () => {
  const { child, started, ended, told } = launchBusy({ stopMs: 300, hastenedMs: 60_000 });
  const pids = await started;
  child.kill('SIGTERM');
  assert.equal(await ended, 137, told());
  assert.match(told(), /busy\.ts did not stop within 0\.3 s: killed/);
  assertGone(pids);
});

test('a second signal hastens', async () => {
  const { child, started, ended, told } = launchBusy({ stopMs: 60_000, hastenedMs: 300 });
  const pids = await started;
  child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 500));
  child.kill('SIGTERM');
  assert.equal(await ended, 137, told());
  assertGone(pids);
});
