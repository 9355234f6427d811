/** The profile `log`: nothing is refused, and every call of the command and its children is written down once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parseCalled, readCalled, reportOf } from '#agent/sandbox/seccomp/called.ts';
import { architectureHere } from '#agent/sandbox/seccomp/filter.ts';
import type { CalledReport } from '#shared/seccomp.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { pidsOf, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});

const seccomp = { profile: 'log' as const };
const logged = async (script: string): Promise<{ report: CalledReport; stdout: string; lines: string[] }> => {
  const { state, stdout, stderr, lines } = await runToEnd(shims, shellPlan(script, { seccomp }), dirs.root);
  assert.doesNotMatch(stderr, /[a-z]:/);
  return { report: await readCalled(state, 'log', 'tested'), stdout, lines };
};

test('what is within strict is suggested strict', async () => {
  const { report, stdout, lines } = await logged('echo out; seq 2000 | sort -n | tail -1; exit 3');
  assert.equal(stdout, 'out\n2000\n');
  assert.equal(lines.at(-1), 'exit 3 0');
  for (const name of ['execve', 'read', 'write', 'mmap', 'exit_group', 'wait4']) assert.ok(report.calls.includes(name), name);
  assert.deepEqual([report.refused.strict, report.suggestion], [[], 'strict']);
});

test('what is not, is named with what decides; the profile that would do is suggested', async () => {
  const alg = await logged(
    `perl -e 'socket(my $s, 38, 5, 0); syscall(${process.arch === 'x64' ? '16, 0, 0x5423, 0' : '29, 0, 0x5423, 0'}); print "on"'`,
  );
  assert.equal(alg.stdout, 'on');
  assert.deepEqual(alg.report.refused, { strict: ['ioctl(0, 21539, 0)', 'socket(38, 5, 0)'], container: [] });
  assert.equal(alg.report.suggestion, 'container');
  const uring = await logged(`perl -e 'syscall(425, 1, 0); print "on"'; unshare -n true 2>/dev/null; true`);
  assert.ok(uring.report.refused.container.includes('io_uring_setup'));
  assert.ok(uring.report.refused.container.some((use) => use.startsWith('unshare(')));
  assert.equal(uring.report.suggestion, 'none');
});

test('a ready sandbox too; signals, threads and its end are as without', async () => {
  const script = `trap 'echo heard' USR1; (sleep 0.2; kill -USR1 $$) & wait; wait; perl -e 'kill 9, $$'; echo $?`;
  const { stdout } = await logged(script);
  assert.equal(stdout, 'heard\n137\n');
  const state = stateDirectory(dirs.root);
  const ready = shims.ready(state);
  await ready.line('ready');
  ready.give(shellPlan('exec sleep 600', { seccomp }));
  const { command, init } = await pidsOf(ready);
  assert.equal(statusField(command, 'Seccomp'), '2');
  assert.equal(statusField(init, 'Seccomp'), '0');
  ready.send('signal 15');
  assert.match(await ready.line('exit'), /^exit -1 15$/);
  await ready.ended();
  assert.ok(reportOf(parseCalled(readFileSync(join(state, 'calls'), 'utf8')), architectureHere()).calls.includes('execve'));
});

test('a sandbox of another profile has nothing to tell', async () => {
  await assert.rejects(readCalled(dirs.root, 'strict', 'x'), { code: 'SANDBOX_NOT_LOGGED', reason: 'its profile is strict' });
  await assert.rejects(readCalled(join(dirs.root, 'none'), 'log', 'x'), { code: 'SANDBOX_NOT_LOGGED' });
});

test('a line that is being written is not yet read', () => {
  assert.deepEqual(parseCalled('1 0 0 0\n41 2 1'), [{ number: 1, args: [0n, 0n, 0n] }]);
});
