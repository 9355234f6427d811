/** What a hostile command, a second agent or a flooding asker tries against the shim. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { before, test } from 'node:test';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, pidsOf, planOf, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { isAlive, loadShims } from '#test/support/shim.ts';
import type { ShimRun, Shims } from '#test/support/shim.ts';

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});
async function withSandbox(work: (sandbox: ShimRun, init: number) => Promise<void>): Promise<void> {
  const sandbox = shims.run(shellPlan('exec sleep 600'), stateDirectory(dirs.root));
  try {
    await work(sandbox, (await pidsOf(sandbox)).init);
  } finally {
    sandbox.send('kill');
    await sandbox.ended();
  }
}

test('a range of ids that a living sandbox has is given to no other, whichever agent asks', () =>
  withSandbox(async (_, init) => {
    const second = shims.run(shellPlan('true'), stateDirectory(dirs.root));
    assert.equal(await second.line('failed'), `failed ${constants.errno.EADDRINUSE} -1 id_range another sandbox of this host has it`);
    await second.ended();
    assert.ok(isAlive(init));
  }));

test('a range is free again as soon as its sandbox has ended', async () => {
  for (let round = 0; round < 20; round++) {
    const { lines } = await runToEnd(shims, shellPlan('exit 3'), dirs.root);
    assert.equal(lines.at(-1), 'exit 3 0');
  }
});

test('PTRACE_TRACEME ends nothing: PID 1 lets its unasked-for tracee go', async () => {
  const ptrace = process.arch === 'x64' ? 101 : 117;
  const script = `$SIG{USR1} = sub { print "handled\\n" }; syscall(${ptrace}, 0, 0, 0, 0); kill "USR1", $$; print "on\\n"; exit 5`;
  const { lines, stdout } = await runToEnd(shims, planOf({ command: ['perl', '-e', script] }), dirs.root);
  assert.equal(lines.at(-1), 'exit 5 0');
  assert.equal(stdout, 'handled\non\n');
});

test('an agent that the OOM killer spares, or prefers, does not pass that on to what it executes', () =>
  withSandbox(async (_, init) => {
    const own = '/proc/self/oom_score_adj';
    const before = readFileSync(own, 'utf8').trim();
    writeFileSync(own, '100');
    try {
      using handle = shims.native.openProcess(init, shims.native.processStart(init));
      const entered = shims.enter(enterPlanOf(['sleep', '600']), handle.pidfd);
      const { command } = await pidsOf(entered);
      assert.equal(readFileSync(`/proc/${command}/oom_score_adj`, 'utf8').trim(), '0');
      entered.send('kill');
      await entered.ended();
    } finally {
      writeFileSync(own, before);
    }
  }));

test('3,000 signals at once do not end what they are for', () =>
  withSandbox(async (_, init) => {
    using handle = shims.native.openProcess(init, shims.native.processStart(init));
    const entered = shims.enter(enterPlanOf(['sleep', '600']), handle.pidfd);
    const { command } = await pidsOf(entered);
    entered.send(Array.from({ length: 3000 }, () => 'signal 28').join('\n'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(isAlive(command));
    entered.send('kill');
    await entered.ended();
  }));
