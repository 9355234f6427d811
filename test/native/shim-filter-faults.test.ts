/** Each system call by which a filter or a Landlock rule is made fails once: nothing runs, nothing is left, and the step is named. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';
import { encodePlan } from '#native/plan-wire.ts';
import type { Plan } from '#shared/plan.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { conversation } from '#test/support/shim.ts';

const { ENOMEM } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
before(() => buildNative());

/** What the shim says, and what it leaves, where the n-th such call of each of its processes fails. */
async function withFault(plan: Plan, call: string, nth: number): Promise<{ lines: string[]; left: string[] }> {
  const file = join(mkdtempSync(join(dirs.root, 'plan-')), 'plan');
  writeFileSync(file, encodePlan(plan));
  const state = stateDirectory(dirs.root);
  const fds = [openSync(file, 'r'), openSync(state, 'r')] as const;
  const shim = fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim'));
  const injecting = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:error=ENOMEM:when=${nth}`];
  const child = spawn('strace', [...injecting, shim, 'run'], { stdio: ['ignore', 'ignore', 'ignore', fds[0], 'pipe', fds[1]], env: {} });
  for (const fd of fds) closeSync(fd);
  let exit: { code: number; signal: number } | null = null;
  child.on('exit', (code) => (exit = { code: code ?? -1, signal: 0 }));
  const run = conversation({ wait: () => exit, close: () => undefined }, child.stdio[4] as Socket);
  await run.ended();
  return { lines: run.lines.filter((line) => !line.startsWith('note')), left: readdirSync(state).filter((name) => name === 'exit') };
}

const landlock = { readable: ['/usr', '/etc'], writable: ['/tmp'], bindTcp: [80] };
/** Whether the kernel takes the action is asked for first; then PID 1 and the command install it. */
const cases = [
  ['seccomp', 1, 'seccomp strict'],
  ['seccomp', 2, 'seccomp strict'],
  ['landlock_create_ruleset', 2, 'landlock -'],
  ['landlock_add_rule', 1, 'landlock_path /usr'],
  ['landlock_add_rule', 3, 'landlock_path /tmp'],
  ['landlock_add_rule', 5, 'landlock_port -'],
  ['landlock_restrict_self', 1, 'landlock_restrict -'],
] as const;

for (const [call, nth, step] of cases) {
  test(`${call}, the ${nth}. time`, async (t) => {
    if (spawnSync('strace', ['-V']).status !== 0) return t.skip('no strace here');
    const plan = shellPlan('true', { landlock });
    const { lines, left } = await withFault(plan, call, nth);
    const name = step.split(' ')[0];
    const at = plan.operations.findIndex((one) => one.op === name && (one.op !== 'landlock_path' || step.endsWith(one.path)));
    assert.deepEqual([lines, left], [[`failed ${ENOMEM} ${at} ${step}`], []]);
  });
}
