/** The doctor's rules: which settings stand in the way, what is left, and the command that mends each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingSentences } from '#agent/doctor.ts';
import { namespaceFinding } from '#agent/doctor/kernel-parts.ts';
import { sysctlFindings } from '#agent/doctor/sysctls.ts';
import { landlockFinding, taskIteratorFinding } from '#agent/doctor/watching.ts';
import { formatFindings, isLacking } from '#shared/doctor-text.ts';
import { DoctorFinding } from '#shared/doctor.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const healthy: Record<string, string> = {
  '/proc/sys/user/max_net_namespaces': '96365\n',
  '/proc/sys/kernel/pid_max': '4194304\n',
  '/proc/sys/kernel/threads-max': '200000\n',
  '/proc/loadavg': '0.10 0.20 0.30 2/312 4711\n',
  '/proc/sys/fs/file-nr': '1024\t0\t9223372036854775807\n',
};
const findings = (changed: Record<string, string>, privileged = true) =>
  sysctlFindings((path) => ({ ...healthy, ...changed })[path] ?? null, privileged).map((finding) => DoctorFinding.parse(finding));
const wrong = (changed: Record<string, string>, privileged = true) =>
  findings(changed, privileged)
    .filter(({ state }) => state !== 'ok')
    .map(({ id, state, remedy }) => [id, state, remedy]);

test('a host that is well has nothing to mend', () => {
  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ '/proc/sys/kernel/unprivileged_userns_clone': '0' }), [], 'root needs no leave of plain users');
});

test('each setting that stands in the way comes with its command', () => {
  assert.deepEqual(wrong({ '/proc/sys/user/max_net_namespaces': '0\n' }), [
    ['sysctl.max_net_namespaces', 'missing', 'sysctl -w user.max_net_namespaces=65536'],
  ]);
  assert.deepEqual(wrong({ '/proc/sys/user/max_user_namespaces': '10\n' }), [
    ['sysctl.max_user_namespaces', 'limited', 'sysctl -w user.max_user_namespaces=65536'],
  ]);
  assert.deepEqual(wrong({ '/proc/sys/kernel/pid_max': '32768' })[0]?.slice(0, 2), ['sysctl.pid_max', 'limited']);
  const plain = { '/proc/sys/kernel/unprivileged_userns_clone': '0', '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' };
  assert.deepEqual(
    wrong(plain, false).map(([id, state]) => [id, state]),
    [
      ['sysctl.unprivileged_userns_clone', 'missing'],
      ['sysctl.apparmor_restrict_unprivileged_userns', 'missing'],
    ],
  );
});

test('what is nearly used up is told', () => {
  assert.deepEqual(wrong({ '/proc/loadavg': '1 1 1 9/190000 5\n' })[0]?.slice(0, 2), ['limit.tasks', 'limited']);
  assert.deepEqual(wrong({ '/proc/sys/fs/file-nr': '95\t0\t100\n' })[0]?.slice(0, 2), ['limit.files', 'limited']);
  assert.deepEqual(wrong({ '/proc/sys/fs/file-nr': 'nonsense', '/proc/loadavg': '' }), []);
});

test('a namespace that cannot be made: by its errno', () => {
  const failed = (errnum: number, step = 'clone3') => namespaceFinding('time', { errnum, op: -1, step, detail: '-' }, true);
  assert.equal(namespaceFinding('time', null, true).state, 'ok');
  assert.match(failed(28).remedy ?? '', /^sysctl -w user\.max_time_namespaces/);
  assert.equal(failed(22).remedy, 'run a kernel with CONFIG_TIME_NS');
  assert.match(failed(1).remedy ?? '', /CAP_SYS_ADMIN/);
  assert.match(failed(1, 'uid_map').remedy ?? '', /idPool/);
});

test('text: what is wrong first, each with what mends it; and the sentences of the facts', () => {
  const all = [
    landlockFinding(7),
    taskIteratorFinding('no BTF'),
    namespaceFinding('net', { errnum: 28, op: -1, step: 'clone3', detail: '-' }, true),
  ];
  const report = { findings: all };
  const lines = formatFindings(report).split('\n');
  assert.deepEqual(
    lines.filter((line) => /^\w/.test(line)).map((line) => line.split(/\s+/)[0]),
    ['missing', 'limited', 'ok'],
  );
  assert.match(lines[1] ?? '', /^ +→ sysctl -w/);
  assert.equal(isLacking(report), true);
  assert.equal(isLacking({ findings: [landlockFinding(-38)] }), false);
  const features = {} as never;
  assert.deepEqual(missingSentences({ features, findings: all }).length, 1);
  assert.match(missingSentences({ features, findings: all })[0] ?? '', /clone3 ENOSPC; sysctl -w/);
});
