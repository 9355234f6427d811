/** One more process in a running sandbox: bound as its first one, and gone with whoever asked for it. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { afterEach, before, beforeEach, test } from 'node:test';
import type { Fd } from '#native/handles.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, pidsOf, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { isAlive, loadShims, statusField } from '#test/support/shim.ts';
import type { ShimRun, Shims } from '#test/support/shim.ts';

const { ENOENT, ESRCH } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
let sandbox: ShimRun;
let command: number;
let init: number;
let pidfd: Fd;

before(async () => {
  shims = fileResources.use(await loadShims());
});
beforeEach(async () => {
  // Symlinks that lead to descriptors which an entering process might hold.
  const links = 'for fd in 3 4 5 6 7 8; do ln -s /proc/self/fd/$fd /tmp/fd$fd; done;';
  sandbox = shims.run(shellPlan(`${links} exec sleep 600`), stateDirectory(dirs.root));
  ({ init, command } = await pidsOf(sandbox));
  while (!readFileSync(`/proc/${command}/cmdline`, 'utf8').startsWith('sleep')) await new Promise((resolve) => setTimeout(resolve, 2));
  const handle = shims.native.openProcess(init, shims.native.processStart(init));
  pidfd = handle.pidfd;
});
afterEach(async () => {
  sandbox.send('kill');
  await sandbox.ended();
  pidfd.close();
});

const bindings = [
  'Uid',
  'Gid',
  'Groups',
  'CapInh',
  'CapPrm',
  'CapEff',
  'CapBnd',
  'CapAmb',
  'NoNewPrivs',
  'Seccomp',
  'SigIgn',
  'SigBlk',
  'Umask',
];

test('bound as the first process: ids, capabilities, namespaces, limits, root', async () => {
  const entered = shims.enter(enterPlanOf(['sleep', '600']), pidfd);
  const { command: second } = await pidsOf(entered);
  for (const field of bindings) assert.equal(statusField(second, field), statusField(command, field), field);
  for (const type of namespaceTypes)
    assert.equal(readlinkSync(`/proc/${second}/ns/${type}`), readlinkSync(`/proc/${command}/ns/${type}`), type);
  assert.equal(readFileSync(`/proc/${second}/limits`, 'utf8'), readFileSync(`/proc/${command}/limits`, 'utf8'));
  assert.equal(readFileSync(`/proc/${second}/oom_score_adj`, 'utf8'), readFileSync(`/proc/${command}/oom_score_adj`, 'utf8'));
  assert.equal(readFileSync(`/proc/${second}/cgroup`, 'utf8'), readFileSync(`/proc/${command}/cgroup`, 'utf8'));
  assert.equal(readFileSync(`/proc/${second}/mountinfo`, 'utf8'), readFileSync(`/proc/${command}/mountinfo`, 'utf8'));
  const stat = readFileSync(`/proc/${second}/stat`, 'utf8').split(' ');
  assert.equal(stat[5], String(second), 'its own session');
  assert.equal(stat[6], '0', 'no terminal');
  entered.send('kill');
  assert.equal(await entered.line('exit'), 'exit -1 9');
  await entered.ended();
});

test('streams, exit code, working directory, environment, user', async () => {
  const script =
    'cat; echo problem >&2; pwd; id -u; id -g; echo $GREETING; echo more > /dev/stdout; ls /proc/self/fd | tr "\\n" " "; exit 3';
  const plan = enterPlanOf(['sh', '-c', script], { env: { GREETING: 'hello' }, cwd: '/tmp', user: { uid: 5, gid: 6, groups: [] } });
  const entered = shims.enter(plan, pidfd, 'typed\n');
  const { stdout, stderr } = await entered.output;
  assert.equal(stdout, 'typed\n/tmp\n5\n6\nhello\nmore\n0 1 2 3 ', 'ls itself holds 3');
  assert.equal(stderr, 'problem\n');
  assert.equal(await entered.line('exit'), 'exit 3 0');
  await entered.ended();
});

test('signals, and ending by one', async () => {
  const entered = shims.enter(enterPlanOf(['sleep', '600']), pidfd);
  await entered.line('running');
  entered.send('signal 15');
  assert.equal(await entered.line('exit'), 'exit -1 15');
  await entered.ended();
});

test('what cannot be run, and where it may not stand', async () => {
  const missing = shims.enter(enterPlanOf(['no-such']), pidfd);
  await missing.ended();
  assert.deepEqual(missing.lines, [`failed ${ENOENT} -1 exec no-such`]);
  const cwds = Array.from({ length: 18 }, (_, index) => `/proc/self/fd/${index + 3}`);
  for (const cwd of [...cwds, ...[3, 4, 5, 6, 7, 8].map((fd) => `/tmp/fd${fd}`)]) {
    const refused = shims.enter(enterPlanOf(['true'], { cwd }), pidfd);
    await refused.ended();
    assert.match(refused.lines[0] ?? '', /^failed \d+ -1 cwd /, cwd);
  }
});

test('dies with the connection of who asked, and all its process group', async () => {
  const entered = shims.enter(enterPlanOf(['sh', '-c', 'sleep 600 & sleep 601']), pidfd);
  const { command: second } = await pidsOf(entered);
  while (children(second).length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  const family = [second, ...children(second)];
  entered.hangUp();
  await entered.ended();
  await entered.output;
  while (family.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.ok(isAlive(command), 'the sandbox runs on');
});

test('dies with its shim', async () => {
  const entered = shims.enter(enterPlanOf(['sleep', '600']), pidfd);
  const { init: shim, command: second } = await pidsOf(entered);
  process.kill(shim, 'SIGKILL');
  await entered.ended();
  await entered.output;
  while (isAlive(second)) await new Promise((resolve) => setTimeout(resolve, 2));
});

test('a sandbox that ends takes it along; one that has ended is refused', async () => {
  const entered = shims.enter(enterPlanOf(['sleep', '600']), pidfd);
  await entered.line('running');
  sandbox.send('kill');
  assert.equal(await entered.line('exit'), 'exit -1 9');
  await Promise.all([entered.ended(), sandbox.ended()]);
  const late = shims.enter(enterPlanOf(['true']), pidfd);
  await late.ended();
  assert.deepEqual(late.lines, [`failed ${ESRCH} -1 setns -`]);
});

test('the joiner shows nothing of the host: not dumpable, never the host’s root inside', async () => {
  const watcher = shims.enter(
    enterPlanOf([
      'sh',
      '-c',
      'while :; do for d in /proc/[0-9]*; do ls -l $d/fd $d/cwd $d/exe 2>/dev/null; done; done | grep -v -E "pipe:|/dev/null|/usr/bin|/proc/|total|^$|-> /$" | head -c 65536',
    ]),
    pidfd,
  );
  await watcher.line('running');
  for (let round = 0; round < 30; round++) {
    const entered = shims.enter(enterPlanOf(['true']), pidfd);
    await entered.ended();
    assert.equal(entered.lines.at(-1), 'exit 0 0');
  }
  watcher.send('kill');
  await watcher.ended();
  assert.equal((await watcher.output).stdout, '');
});

function children(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}
