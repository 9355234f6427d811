/**
 * Rows 16, 18, 21, 44 to 49 of the isolation list: attempts at parts of the kernel that a sandbox must not reach by any number or argument. As the
 * first process, through exec, and after the agent was killed and has taken the sandbox over; each also in a sandbox that is weak on purpose,
 * where it gets past the gate, and in one of ours without a filter, which shows what it is that refuses.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { namespaceTypes } from '#shared/namespace.ts';
import { Sandbox } from '#shared/resources.ts';
import { CalledReport } from '#shared/seccomp.ts';
import { compileFixture } from '#test/support/compile.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { netnsTurn } from '#test/support/netns-turn.ts';
import { makeRoot } from '#test/support/roots.ts';
import { statusField } from '#test/support/shim.ts';

leakCheck();

const x86 = process.arch === 'x64';
const refused = 'EPERM';
const absent = 'ENOSYS';
const ended = 'SIGSYS';

/** What each attempt meets in a strict sandbox. */
const expected: Readonly<Record<string, string>> = {
  ...named(refused, 'tiocsti tiocsti_high tioclinux tiocsetd'), // row 16
  ...named(refused, 'cgroup_v1 mount'), // row 18
  ...named(refused, 'unshare_user unshare_all unshare_time clone_user setns'), // row 21
  ...named(absent, 'clone3_user'),
  ...named(refused, 'vsock'), // row 44
  ...named(refused, 'packet raw audit netfilter alg sctp'), // row 45
  ...named(refused, 'bpf perf_event_open userfaultfd io_uring_setup io_uring_enter'), // row 46
  ...named(refused, 'keyctl add_key ptrace process_vm_readv name_to_handle_at personality'),
  ...(x86 ? { ...named(absent, 'x32_bpf x32_getpid'), ...named(ended, 'i386_getpid i386_unshare i386_io_uring') } : {}), // row 47
  ...named(absent, 'unknown'),
  ...named(refused, 'fsopen fspick fsconfig fsmount open_tree move_mount mount_setattr umount2 pivot_root chroot'), // row 48
};

function named(result: string, names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map((name) => [name, result]));
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** `name → ok`, an errno or a signal, of what the program of attempts wrote. */
function resultsOf(output: string): Record<string, string> {
  return Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map((line) => {
        const [name = '', result = '', number = ''] = line.split(' ');
        if (result === 'killed') return [name, signalNames.get(Number(number)) ?? number];
        return [name, Number(result) < 0 ? (errnoNames.get(Number(number)) ?? number) : 'ok'];
      }),
  );
}

const gates = new Set([refused, 'EACCES', absent, ended]);
const passed = (results: Record<string, string>): string[] => Object.keys(results).filter((name) => !gates.has(results[name] ?? ''));

let fleet: Fleet;
let root: string;
before(async () => {
  await netnsTurn();
  const dirs = temporaryDirectories();
  root = makeRoot(join(dirs.root, 'root'), []);
  await compileFixture('escape/system-calls.c', join(root, 'attempts'));
  const policy = join(dirs.root, 'agent.yaml');
  writeFileSync(policy, 'version: 1\nseccomp: {none: true}\ncapabilities: [CAP_SYS_CHROOT, CAP_NET_RAW]\n', { mode: 0o600 });
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_AGENT_POLICY: policy } }));
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

const first = async (...options: string[]): Promise<Record<string, string>> =>
  resultsOf(await ok('sandbox', 'run', '--rm', '--root', root, ...options, '--', '/attempts'));
const entered = async (name: string): Promise<Record<string, string>> => resultsOf(await ok('sandbox', 'exec', name, '--', '/attempts'));
const waiting = async (name: string, ...options: string[]): Promise<Sandbox> =>
  Sandbox.parse(
    JSON.parse(await ok('sandbox', 'run', '--json', '-d', '--name', name, '--root', root, ...options, '--', '/attempts', 'wait')),
  );

describe('a strict sandbox', () => {
  it('refuses every attempt of its first process', async () => {
    assert.deepEqual(await first(), expected);
  });

  it('and of one that enters it, also after its agent was killed and has taken it over', async () => {
    const { commandPid, initPid } = await waiting('strict');
    assert.deepEqual(await entered('strict'), expected);
    await fleet.agents[0]?.end('SIGKILL');
    await fleet.agents[0]?.start();
    assert.deepEqual(await until('the agent’s return', () => entered('strict')), expected);
    for (const pid of [commandPid, initPid]) assert.equal(statusField(pid ?? 0, 'Seccomp'), '2');
  });

  it('row 49: who enters is bound as the first process', async () => {
    const { commandPid } = await waiting('bound');
    const fields = ['Seccomp', 'Seccomp_filters', 'NoNewPrivs', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
    const script = `${namespaceTypes.map((type) => `readlink /proc/self/ns/${type}`).join('; ')}; cat /proc/self/cgroup /proc/self/status`;
    await waitingShell('bound-shell');
    const inside = await ok('sandbox', 'exec', 'bound-shell', '--', 'sh', '-c', script);
    const of = Sandbox.parse(JSON.parse(await ok('sandbox', 'show', '--json', 'bound-shell')));
    for (const field of fields) {
      assert.equal(statusField(inside, field), statusField(of.commandPid ?? 0, field), field);
      assert.equal(statusField(commandPid ?? 0, field), statusField(of.commandPid ?? 0, field), field);
    }
    assert.equal(statusField(inside, 'Seccomp'), '2');
    const namespaces = inside.split('\n').slice(0, namespaceTypes.length);
    const links = namespaceTypes.map((type) => readlinkSync(`/proc/${of.commandPid}/ns/${type}`));
    assert.deepEqual(namespaces, links);
    // Of the cgroup it sees the path below its own root: the same word for both, from inside.
    assert.match(inside, /^0::\/$/m);
  });
});

const waitingShell = (name: string): Promise<string> => ok('sandbox', 'run', '-d', '--name', name, '--', 'sleep', '600');

describe('the same attempts', () => {
  it('get past the gate where there is none: namespaces and a root alone', (t) => {
    const script = `mount --bind ${root} ${root} && cd ${root} && mount --rbind /dev dev && mount -t proc proc proc && mount -t tmpfs tmpfs tmp &&
      mkdir tmp/old && pivot_root . tmp/old && exec /attempts`;
    const weak = resultsOf(execFileSync('unshare', ['-UrmCpfnui', 'sh', '-c', script], { encoding: 'utf8' }));
    const closed = Object.keys(expected).filter((name) => !passed(weak).includes(name));
    // No kernel has a call of this number, and this one may be built without x32.
    const without = weak['x32_getpid'] === absent ? ['unknown', 'x32_bpf', 'x32_getpid'] : ['unknown'];
    if (without.length > 1) t.diagnostic('this kernel has no x32: nothing to refuse');
    assert.deepEqual(
      closed.filter((name) => !without.includes(name)),
      [],
    );
  });

  it('meet the kernel’s own rules, and no other, in a sandbox without a filter', async () => {
    const none = await first('--seccomp', 'none');
    const open = new Set(passed(none));
    for (const name of ['tiocsti', 'tiocsti_high', 'vsock', 'audit', 'bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup', 'keyctl'])
      assert.ok(open.has(name), `${name}: ${none[name]}`);
    for (const name of ['ptrace', 'process_vm_readv', 'personality', ...(x86 ? ['i386_getpid', 'i386_io_uring'] : [])])
      assert.ok(open.has(name), `${name}: ${none[name]}`);
    // Without a filter, the namespaces, capabilities and the limit of user namespaces still hold.
    for (const name of ['mount', 'unshare_all', 'packet', 'raw', 'fsopen', 'open_tree', 'chroot'])
      assert.ok(!open.has(name) || none[name] !== 'ok', name);
    assert.notEqual(none['unshare_user'], 'ok');
    await waiting('none', '--seccomp', 'none');
    assert.deepEqual(await entered('none'), none);
  });

  it('by the profile `container`: what Docker lets through, and no more', async () => {
    const open = new Set(passed(await first('--seccomp', 'container')));
    const more = ['alg', 'name_to_handle_at', 'netfilter', 'process_vm_readv', 'ptrace', 'sctp', 'tiocsetd'];
    assert.deepEqual([...open].toSorted(), more.filter((name) => name !== 'name_to_handle_at' || open.has(name)).toSorted());
  });

  it('by a capability that was granted: what it is for, and no more', async () => {
    const open = passed(await first('--cap-add', 'SYS_CHROOT', '--cap-add', 'NET_RAW'));
    assert.deepEqual(open.toSorted(), ['alg', 'audit', 'chroot', 'netfilter', 'packet', 'raw', 'sctp', 'vsock']);
  });
});

it('the profile `log` writes down what was called, and suggests one; also when it has ended', async () => {
  await ok('sandbox', 'run', '--name', 'logged', '--seccomp', 'log', '--', 'perl', '-e', 'syscall(425, 1, 0); print 1');
  const report = CalledReport.parse(JSON.parse(await ok('sandbox', 'calls', '--json', 'logged')));
  assert.deepEqual([report.refused.container, report.suggestion], [['io_uring_setup'], 'none']);
  assert.match(await ok('sandbox', 'calls', 'logged'), /^Suggested: +--seccomp none$/m);
  await waitingShell('unlogged');
  assert.match((await fleet.cli(['sandbox', 'calls', 'unlogged'])).stderr, /SANDBOX_NOT_LOGGED/);
});

it('a sandbox without a filter is the policy’s to allow', async () => {
  await using other = await startFleet();
  const { code, stderr } = await other.cli(['sandbox', 'run', '--rm', '--seccomp', 'none', '--', 'true']);
  assert.notEqual(code, 0);
  assert.match(stderr, /POLICY_REFUSED/);
  assert.match(stderr, /seccomp: \{none: true\}/);
});
