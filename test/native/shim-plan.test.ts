/** The wire form of plans: the shim's decoder takes what the encoder gives, refuses all else, and crashes on nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findCompiler, run } from '#native/compiler.mjs';
import { encodePlan } from '#native/plan-wire.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, planOf, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EBADMSG, EFBIG, EPROTONOSUPPORT } = constants.errno as Record<string, number>;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});
test('every mutation of every byte and every truncation', async () => {
  const sources = ['plan-decode.c', '../../native/shim/plan.c'].map((file) => fileURLToPath(new URL(`../fuzz/${file}`, import.meta.url)));
  const output = join(dirs.root, 'plan-decode');
  const build = async (sanitize: boolean): Promise<void> => {
    const compiler = await findCompiler({ work: dirs.root, log: () => undefined, sanitize });
    const flags = sanitize ? ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'] : [...compiler.target('shim')];
    await run([...compiler.command, ...flags, '-O1', '-std=gnu11', '-D_GNU_SOURCE', ...sources, '-o', output], {
      what: 'build plan-decode',
    });
  };
  // Where there is no sanitizer the guard page still sees reads past the end.
  await build(true).catch(() => build(false));
  const plans = [
    shellPlan('true', { env: { A: 'b' }, user: { uid: 1, gid: 2 } }),
    planOf({ command: ['/bin/x', ''], root: { type: 'directory', path: '/srv/root' } }),
    enterPlanOf(['x']),
  ];
  for (const plan of plans) {
    const { stdout, stderr, status, signal } = spawnSync(output, { input: encodePlan(plan), encoding: 'utf8' });
    assert.deepEqual([status, signal], [0, null], stderr);
    assert.match(stdout, /^\d{4,} tried, \d+ accepted\n$/);
  }
});

test('refusals come with the step', async () => {
  const good = encodePlan(shellPlan('true'));
  const version = good.slice();
  version[4] = 9;
  for (const [bytes, expected] of [
    [version, `failed ${EPROTONOSUPPORT} -1 plan decode`],
    [good.subarray(0, good.length - 1), `failed ${EBADMSG} -1 plan decode`],
    [new Uint8Array(0), `failed ${EFBIG} -1 plan size`],
    [new Uint8Array(1024 * 1024 + 1), `failed ${EFBIG} -1 plan size`],
    [encodePlan(enterPlanOf(['true'])), `failed ${EBADMSG} -1 plan kind`],
  ] as const) {
    const run = shims.run(bytes, stateDirectory(dirs.root));
    assert.equal((await run.ended()).code, 1);
    assert.deepEqual(run.lines, [expected]);
  }
});

test('large commands and environments arrive whole; larger ones are refused by the encoder', async () => {
  const big = 'x'.repeat(100_000);
  const plan = planOf({ command: ['sh', '-c', 'echo ${#1} ${#BIG} $#', 'sh', big, ...Array<string>(4000).fill('y')], env: { BIG: big } });
  assert.equal((await runToEnd(shims, plan, dirs.root)).stdout, '100000 100000 4001\n');
  assert.throws(() => encodePlan(planOf({ command: Array<string>(11).fill(big) })), /the limit is 1048576/);
  const withNul = enterPlanOf(['a\0b']);
  assert.throws(() => encodePlan(withNul), /NUL/);
});
