/** Namespaces of a sandbox that are not new: the host's and joined ones, of every type and by every name, through the whole path; what the policy refuses. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { loadNative } from '#native/binding.ts';
import { exitCodes } from '#shared/errors.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
let fleet: Fleet;
let holder: ChildProcess;
let policyFile: string;
const mapped = testIdRange(20);
const here = ['--constraint', 'host.id != ""'];

before(async () => {
  const { root } = temporaryDirectories();
  policyFile = join(root, 'agent.yaml');
  const text = `version: 1
actions: [exec]
hostNamespaces: [net, uts, ipc, cgroup, time, user, pid]
joins: {other: [net, uts, ipc, cgroup, time, user, pid, mnt]}
idMaps: [{start: ${mapped.start}, count: ${mapped.count}}]
`;
  writeFileSync(policyFile, text, { mode: 0o600 });
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_AGENT_POLICY: policyFile } }));
  // A process with namespaces of its own that nobody made for a sandbox.
  holder = spawn('unshare', ['--net', '--uts', '--ipc', '--cgroup', 'sleep', '600'], { stdio: 'ignore' });
  fileResources.defer(async () => {
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
  });
  while (readFileSync(`/proc/${holder.pid}/comm`, 'latin1') !== 'sleep\n') await new Promise((resolve) => setTimeout(resolve, 5));
  const web = await fleet.cli(['sandbox', 'run', '-d', '--name', 'web', '--', 'sleep', '600']);
  assert.equal(web.code, 0, web.stderr);
});

const insideOf = (type: NamespaceType) => `readlink /proc/self/ns/${type}`;
const run = (options: readonly string[], ...command: string[]) => fleet.cli(['sandbox', 'run', '--rm', ...options, '--', ...command]);
const shell = (options: readonly string[], script: string) => run(options, 'sh', '-c', script);
const linkOf = (pid: number | string, type: NamespaceType): string => readlinkSync(`/proc/${pid}/ns/${type}`);
const initOf = async (name: string): Promise<number> =>
  (await fleet.client.call('sandboxShow', { params: { sandbox: name } })).initPid ?? 0;
const flagOf: Partial<Record<NamespaceType, string>> = {
  net: '--network',
  user: '--userns',
  cgroup: '--cgroupns',
  mnt: '--mntns',
  time: '--timens',
};
const flag = (type: NamespaceType): string => flagOf[type] ?? `--${type}`;

test('each type of another sandbox, its owner together with what needs it; the others stay new', async () => {
  const web = await initOf('web');
  for (const type of namespaceTypes) {
    const also: NamespaceType[] = type === 'pid' ? ['user'] : type === 'mnt' ? ['user', 'pid'] : [];
    const joined = [type, ...also];
    const { code, stdout, stderr } = await shell(
      joined.flatMap((one) => [flag(one), 'sandbox:web']),
      namespaceTypes.map(insideOf).join(';'),
    );
    assert.equal(code, 0, `${type}: ${stderr}`);
    const seen = stdout.trim().split('\n');
    for (const [index, one] of namespaceTypes.entries()) {
      assert.equal(seen[index] === linkOf(web, one), joined.includes(one), `${type}: ${one} is ${seen[index]}`);
      assert.notEqual(seen[index], linkOf('self', one));
    }
  }
});

test('by a pid, a path and an id: each is the one that was named', async () => {
  const native = loadNative();
  const wanted = linkOf(String(holder.pid), 'net');
  const { id } = native.relate({ pid: holder.pid ?? 0, type: 'net' });
  const names = [`pid:${holder.pid}`, `path:/proc/${holder.pid}/ns/net`, ...(id === null ? [] : [`id:${id}`])];
  for (const name of names) {
    const { code, stdout, stderr } = await shell([...here, '--net', name], insideOf('net'));
    assert.equal(code, 0, `${name}: ${stderr}`);
    assert.equal(stdout.trim(), wanted, name);
  }
});

test('the host’s own, where its policy allows; without capabilities over them', async () => {
  const shared: NamespaceType[] = ['net', 'uts', 'ipc', 'cgroup', 'time'];
  const script = [...shared, 'user' as const].map(insideOf).join(';');
  const { stdout, stderr } = await shell(
    shared.flatMap((type) => [flag(type), 'host']),
    `${script}; hostname intruder 2>/dev/null || echo kept; test -e /dev/mqueue || echo none`,
  );
  const seen = stdout.trim().split('\n');
  for (const [index, type] of shared.entries()) assert.equal(seen[index], linkOf('self', type), `${type} ${stderr}`);
  assert.notEqual(seen[shared.length], linkOf('self', 'user'));
  assert.deepEqual(seen.slice(-2), ['kept', 'none']);
});

test('without a user namespace of its own: the host’s ids, none of them root, and no power', async () => {
  const script = `id -u; ${insideOf('user')}; cat /proc/self/uid_map; grep CapEff /proc/self/status; cat /etc/shadow 2>&1; echo 1 > /proc/sys/kernel/panic`;
  const { stdout } = await shell(['--userns', 'host', '--user', '12345'], script);
  const [uid, user, map = '', capabilities] = stdout.split('\n');
  assert.deepEqual([uid, user], ['12345', linkOf('self', 'user')]);
  assert.match(map, /^\s+0\s+0\s+4294967295$/);
  assert.match(capabilities ?? '', /CapEff:\s+0{16}/);
  assert.ok(Number(readFileSync('/proc/sys/user/max_user_namespaces', 'latin1')) > 0, 'the host keeps its own limit');
  const root = await run(['--userns', 'host'], 'true');
  assert.deepEqual([root.code, /other than 0/.test(root.stderr)], [2, true], root.stderr);
});

test('the pid namespace of the host or of another: its processes are seen, and what the command left there ends with it', async () => {
  const marker = String(700_000 + process.pid);
  for (const options of [
    ['--pid', 'host', '--userns', 'host', '--user', '12345'],
    ['--pid', 'sandbox:web', '--userns', 'sandbox:web'],
  ]) {
    const script = `sh -c 'setsid sleep ${marker} & setsid sh -c "sleep ${marker} & exec sleep ${marker}" & sleep 0.1'; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'`;
    const { code, stdout, stderr } = await shell(options, script);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.split('\n')[0], options[1] === 'host' ? readFileSync('/proc/1/comm', 'latin1').trim() : 'nsfleet-init');
    assert.ok(Number(stdout.split('\n')[1]) > 2);
    assert.deepEqual(processesOf(marker), []);

    const name = `ends-${options[1]?.slice(0, 4)}`.replace(/[^a-z-]/gu, '');
    const started = await fleet.cli([
      'sandbox',
      'run',
      '-d',
      '--name',
      name,
      ...options,
      '--',
      'sh',
      '-c',
      `setsid sleep ${marker} & sleep ${marker}`,
    ]);
    assert.equal(started.code, 0, started.stderr);
    assert.equal((await fleet.cli(['sandbox', 'rm', '-f', name])).code, 0);
    assert.deepEqual(processesOf(marker), [], 'after a forced end');
  }
});

test('exec goes into the same namespaces as the first process', async () => {
  const name = 'joiner';
  const options = ['--network', 'sandbox:web', '--ipc', 'host', '--pid', 'sandbox:web', '--userns', 'sandbox:web'];
  const started = await fleet.cli(['sandbox', 'run', '-d', '--name', name, ...options, '--', 'sleep', '600']);
  assert.equal(started.code, 0, started.stderr);
  const script = `${namespaceTypes.map(insideOf).join(';')}; id -u; grep Cap /proc/self/status`;
  const { stdout, stderr, code } = await fleet.cli(['sandbox', 'exec', name, '--', 'sh', '-c', script]);
  assert.equal(code, 0, stderr);
  const [init, web] = [await initOf(name), await initOf('web')];
  const seen = stdout.split('\n');
  for (const [index, type] of namespaceTypes.entries()) assert.equal(seen[index], linkOf(init, type), type);
  assert.equal(linkOf(init, 'net'), linkOf(web, 'net'));
  assert.equal(seen[8], '0');
  assert.ok(seen.slice(9, 14).every((line) => /0{16}$/.test(line)));
  assert.equal((await fleet.cli(['sandbox', 'rm', '-f', name])).code, 0);
});

test('clocks, names and queues of its own', async () => {
  const { code, stdout, stderr } = await shell(
    ['--time-offset', 'boottime=240h', '--time-offset', 'monotonic=-500ms', '--hostname', 'a', '--domainname', 'example.org'],
    `cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname; ${insideOf('time')}`,
  );
  assert.equal(code, 0, stderr);
  const [monotonic = '', boottime = '', uptime, hostname, domainname, time] = stdout.trim().split('\n');
  assert.match(monotonic, /^monotonic\s+-1\s+500000000$/);
  assert.match(boottime, /^boottime\s+864000\s+0$/);
  const own = Number(readFileSync('/proc/uptime', 'latin1').split('.')[0]);
  assert.ok(Math.abs(Number(uptime) - own - 864_000) < 30, uptime);
  assert.deepEqual([hostname, domainname], ['a', 'example.org']);
  assert.notEqual(time, linkOf('self', 'time'));
  assert.match((await shell([], 'cat /proc/sys/kernel/domainname')).stdout, /^\(none\)$/m);
  const early = await run(['--time-offset', 'boottime=-200000h'], 'true');
  assert.deepEqual([early.code, /time_offsets/.test(early.stderr)], [125, true], early.stderr);
});

test('maps that a user wrote: those ids and no others, never shared with a live sandbox', async () => {
  const { start } = mapped;
  const map = `0:${start}:1000`;
  const { code, stdout, stderr } = await run(['--uidmap', map], 'cat', '/proc/self/uid_map', '/proc/self/gid_map');
  assert.equal(code, 0, stderr);
  assert.equal(stdout.replace(/ +/gu, ' '), ` 0 ${start} 1000\n 0 ${start} 1000\n`);

  const live = await fleet.cli(['sandbox', 'run', '-d', '--name', 'maps', '--uidmap', map, '--', 'sleep', '600']);
  assert.equal(live.code, 0, live.stderr);
  const refused = async (maps: string[], reason: RegExp, code = 125) => {
    const answer = await run(maps, 'true');
    assert.deepEqual([answer.code, reason.test(answer.stderr)], [code, true], answer.stderr);
  };
  await refused(['--uidmap', `0:${start + 999}:10`], /ID_RANGE_REFUSED.*belongs to sandbox maps/);
  await refused(['--uidmap', '0:0:1000'], /ID_RANGE_REFUSED.*uid 0 of the host is root/);
  await refused(['--uidmap', `0:${start + 2000}:70000`], /POLICY_REFUSED/);
  await refused(['--uidmap', `1:${start + 2000}:10`], /ID_RANGE_REFUSED.*uid 0 has no id/);
  await refused(['--uidmap', `0:${start + 2000}:10`, '--user', '100'], /ID_RANGE_REFUSED.*uid 100 has no id/);
  await refused(['--uidmap', `0:${start + 2000}:10`, '--uidmap', `5:${start + 3000}:10`], /ID_RANGE_REFUSED.*overlap/);
  assert.equal((await fleet.cli(['sandbox', 'rm', '-f', 'maps'])).code, 0);
});

test('what cannot be is refused with a sentence, and what the policy does not allow with what would allow it', async () => {
  const refused = async (options: string[], code: number, words: RegExp) => {
    const answer = await run(options, 'true');
    assert.deepEqual([answer.code, words.test(answer.stderr)], [code, true], `${options.join(' ')}: ${answer.stderr}`);
  };
  await refused(['--pid', 'sandbox:web'], 2, /needs the user namespace that owns it/);
  await refused(['--mntns', 'sandbox:web', '--userns', 'sandbox:web'], 2, /needs user and pid of the same/);
  await refused(['--uts', 'host', '--hostname', 'x'], 2, /leave them out/);
  await refused(['--timens', 'host', '--time-offset', 'boottime=1s'], 2, /need a new time namespace/);
  await refused(['--net', `pid:${holder.pid}`], 2, /say on which host/);
  await refused(['--net', 'elsewhere'], 2, /it takes new, host/);
  await refused(['--net', 'sandbox:nobody'], 3, /SANDBOX_NOT_FOUND/);
  await refused(
    ['--mntns', 'host', '--userns', 'host', '--pid', 'host', '--user', '5'],
    125,
    /POLICY_REFUSED.*mnt namespace of the host(.|\n)*hostNamespaces: \[mnt\]/,
  );
  await refused([...here, '--net', 'pid:999999999'], 3, /NAMESPACE_NOT_FOUND/);
  await refused([...here, '--net', 'path:/etc/passwd'], 3, /NAMESPACE_NOT_FOUND.*no namespace is there/);
  await refused([...here, '--net', `path:/proc/${holder.pid}/ns/uts`], 3, /it is a uts namespace/);
  await refused([...here, '--net', `pid:${process.pid}`], 125, /JOIN_REFUSED.*the host’s own/);
  await refused([...here, '--pid', 'sandbox:web', '--userns', `pid:${holder.pid}`], 125, /JOIN_REFUSED/);
});

test('who has the ids of another ends with it: the range is free for the next only then', async () => {
  for (const [name, ...options] of [
    ['lender'],
    ['sharer', '--userns', 'sandbox:lender'],
    ['second', '--userns', 'sandbox:sharer'],
  ] as const) {
    const started = await fleet.cli(['sandbox', 'run', '-d', '--name', name, ...options, '--', 'sleep', '600']);
    assert.equal(started.code, 0, started.stderr);
  }
  const [sharer, second] = [await initOf('sharer'), await initOf('second')];
  assert.equal(linkOf(second, 'user'), linkOf(sharer, 'user'));
  assert.equal((await fleet.cli(['sandbox', 'rm', '-f', 'lender'])).code, 0);
  for (const pid of [sharer, second]) assert.ok(!existsSync(`/proc/${pid}/ns/user`) || statOf(pid) === 'Z', 'it lives');
  for (const name of ['sharer', 'second']) {
    const { state } = await fleet.client.call('sandboxShow', { params: { sandbox: name }, query: { wait: 'stopped' } });
    assert.equal(state, 'stopped');
    assert.equal((await fleet.cli(['sandbox', 'rm', '-f', name])).code, 0);
  }
});

test('a shim that is killed under its agent: nothing of its sandbox stays in the pid namespace of another', async () => {
  const marker = String(900_000 + process.pid);
  const script = `setsid sleep ${marker} & exec sleep ${marker}`;
  const options = ['--pid', 'sandbox:web', '--userns', 'sandbox:web'];
  const started = await fleet.cli(['sandbox', 'run', '-d', '--name', 'orphan', ...options, '--', 'sh', '-c', script]);
  assert.equal(started.code, 0, started.stderr);
  const shim = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${await initOf('orphan')}/status`, 'latin1'))?.[1]);
  process.kill(shim, 'SIGKILL');
  const { state } = await fleet.client.call('sandboxShow', { params: { sandbox: 'orphan' }, query: { wait: 'stopped' } });
  assert.equal(state, 'lost');
  assert.deepEqual(processesOf(marker), []);
  assert.equal((await fleet.cli(['sandbox', 'rm', '-f', 'orphan'])).code, 0);
});

test('a dry run shows what would be joined', async () => {
  const { stdout, code, stderr } = await fleet.cli(['sandbox', 'run', '--dry-run', '--net', 'sandbox:web', '--', 'true']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ *namespaces +mnt cgroup uts ipc user pid time$/m);
  assert.match(stdout, /^ *joins +net (id|inode) [0-9]+$/m);
  assert.doesNotMatch(stdout, /loopback_up/);
});

test('a policy that became narrower: what runs stays, and nothing more starts in it', async () => {
  const started = await fleet.cli(['sandbox', 'run', '-d', '--name', 'before', '--net', 'host', '--', 'sleep', '600']);
  assert.equal(started.code, 0, started.stderr);
  assert.equal((await fleet.cli(['sandbox', 'exec', 'before', '--', 'true'])).code, 0);
  const [agent] = fleet.agents;
  await agent?.end();
  writeFileSync(policyFile, 'version: 1\n', { mode: 0o600 });
  await agent?.start();
  const exec = () => fleet.cli(['sandbox', 'exec', 'before', '--', 'true']);
  let refused = await exec();
  // Until it listens again.
  for (let tries = 0; refused.code === exitCodes.unreachable && tries < 20; tries++) refused = await exec();
  assert.deepEqual([refused.code, /POLICY_REFUSED.*net namespace of the host/.test(refused.stderr)], [125, true], refused.stderr);
  assert.equal((await fleet.client.call('sandboxShow', { params: { sandbox: 'before' } })).state, 'running');
  assert.equal((await fleet.cli(['sandbox', 'rm', '-f', 'before'])).code, 0);
  assert.match((await run(['--net', 'host'], 'true')).stderr, /POLICY_REFUSED/);
});

const processIds = (): string[] => readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));

test('the doctor’s findings: asked of the host, among its facts, and in constraints', async () => {
  const { stdout } = await fleet.cli(['host', 'doctor', 'host-0']);
  for (const type of namespaceTypes) assert.match(stdout, new RegExp(`^ok +namespace\\.${type} `, 'm'));
  const { facts } = await fleet.client.call('hostShow', { params: { host: 'host-0' } });
  assert.equal(facts?.features?.namespaces.time, true);
  const constrained = (expression: string) => run(['--constraint', expression], 'true');
  assert.equal((await constrained('host.facts.features.namespaces.time && host.facts.features.seccomp')).code, 0);
  const refused = await constrained('host.facts.features.landlockAbi > 900');
  assert.deepEqual([refused.code, /NOT_PLACED/.test(refused.stderr)], [7, true]);
});

const statOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0] ?? '';

function processesOf(marker: string): string[] {
  return processIds().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`sleep\0${marker}\0`);
    } catch {
      return false;
    }
  });
}
