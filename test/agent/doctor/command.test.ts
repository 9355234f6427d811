/** `nsfleet-agent doctor` on this kernel: as it is, and where one kind of namespace is forbidden to it; nothing is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';
import { DoctorReport } from '#shared/doctor.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const program = fileURLToPath(import.meta.resolve('#agent/main.ts'));
before(async () => {
  await buildNative();
});

test('as it is: every part was tried, and nothing of it stays', async () => {
  const child = spawn(process.execPath, [program, 'doctor', '--json'], {
    env: { ...process.env, ...dirs.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.equal(stderr, '');
  const report = DoctorReport.parse(JSON.parse(stdout));
  assert.equal(code, report.findings.some(({ state }) => state === 'missing') ? 1 : 0);
  assert.deepEqual(Object.keys(report.features.namespaces), [...namespaceTypes]);
  assert.equal(new Set(report.findings.map(({ id }) => id)).size, report.findings.length, 'ids are unique');
  for (const type of namespaceTypes) {
    const made = report.features.namespaces[type];
    assert.equal(report.findings.find(({ id }) => id === `namespace.${type}`)?.state, made === true ? 'ok' : 'missing');
  }
  assert.deepEqual(readdirSync(dirs.state), []);
});

test('where network namespaces are forbidden: that one, with the command, and no other', { skip: process.geteuid?.() !== 0 }, async () => {
  // A host of its own kind: a user namespace with ids for an agent and for a pool, and a limit that binds in it.
  const [own, pool] = [testIdRange(40), testIdRange(41)];
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/',
    XDG_STATE_HOME: '/nowhere',
    NSFLEET_ID_POOL: '100000:1',
    NSFLEET_AGENT_POLICY: '',
  };
  const script = `read go; exec setpriv --reuid 0 --regid 0 --clear-groups sh -c 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"' sh "$@"`;
  const asRoot = ['--user', '--keep-caps', 'sh', '-c', script, 'sh'];
  const child = spawn('unshare', [...asRoot, process.execPath, program, 'doctor', '--json'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  await once(child, 'spawn');
  const outer = readFileSync('/proc/self/uid_map', 'latin1');
  const lines = `0 ${own.start} 65536\n100000 ${pool.start} 65536\n`;
  // Until unshare(1) has unshared, the maps are those of this test's own namespace.
  while (child.exitCode === null && readFileSync(`/proc/${child.pid}/uid_map`, 'latin1') === outer)
    await new Promise((resolve) => setTimeout(resolve, 1));
  for (const file of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${file}`, lines);
  child.stdin.end('go\n');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.notEqual(stdout, '', stderr);
  const { features, findings } = DoctorReport.parse(JSON.parse(stdout));
  for (const type of namespaceTypes) assert.equal(features.namespaces[type], type !== 'net', type);
  const net = findings.find(({ id }) => id === 'namespace.net');
  assert.match(net?.detail ?? '', /clone3 ENOSPC/);
  assert.match(net?.remedy ?? '', /^sysctl -w user\.max_net_namespaces=/);
  assert.equal(findings.find(({ id }) => id === 'sysctl.max_net_namespaces')?.state, 'missing');
});
