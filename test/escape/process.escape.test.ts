/**
 * Rows 6, 24 to 27, 53 and 55 of the isolation list: what a process is, what it may become, and who says so. As the first process, through exec, and
 * after the agent was killed and has taken the sandbox over; each with a control, where the same attempt gets through.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type * as Koffi from 'koffi';
import { compileFixture } from '#test/support/compile.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot } from '#test/support/roots.ts';
import { enterPlanOf, pidsOf, planOf, runToEnd, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

leakCheck();

const dirs = temporaryDirectories();
const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
/** The last of the pool whose first ones the fleet's sandboxes get. */
const range = testIdRange(31);
const zero = '0'.repeat(16);
const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];

/** `1` is a name there, of root; so are others that a number may be taken for. */
const passwd = 'root:x:0:0:root:/root:/bin/sh\n1:x:0:0::/:/bin/sh\n0001:x:0:0::/:/bin/sh\nwww:x:33:44:web:/srv/www:/bin/false\n';

let fleet: Fleet;
let shims: Shims;
let root: string;
before(async () => {
  shims = fileResources.use(await loadShims());
  root = makeRoot(join(dirs.root, 'root'), []);
  await compileFixture('escape/process.c', join(root, 'attempts'));
  writeFileSync(join(root, 'etc/passwd'), passwd);
  writeFileSync(join(root, 'etc/group'), '1:x:0:\nweb:x:44:\nlog:x:7:www\n');
  copyFileSync(join(root, 'attempts'), join(root, 'suid'));
  copyFileSync(join(root, 'attempts'), join(root, 'filecaps'));
  chownSync(join(root, 'suid'), 0, 0);
  chmodSync(join(root, 'suid'), 0o6755);
  // security.capability of version 2: cap_net_raw, cap_sys_admin, effective. setfattr(1) and setcap(8) are not everywhere.
  const script = `import os,struct,sys; os.setxattr(sys.argv[1], "security.capability", struct.pack("<IIIII", 0x02000001, 1<<13|1<<21, 0, 0, 0))`;
  execFileSync('python3', ['-c', script, join(root, 'filecaps')]);
  const policy = join(dirs.root, 'agent.yaml');
  writeFileSync(policy, 'version: 1\ncapabilities: [CAP_SETGID, CAP_NET_RAW]\n', { mode: 0o600 });
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_AGENT_POLICY: policy } }));
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The answers by what was asked; several of one kind are joined. */
function answersOf(output: string): Record<string, string> {
  const answers: Record<string, string> = {};
  for (const line of output.trim().split('\n')) {
    const [, what = '', answer = ''] = /^(\/\w+ \w+|[\w-]+) ?(.*)$/.exec(line) ?? [];
    answers[what] = what in answers ? `${answers[what]}, ${answer}` : answer;
  }
  return answers;
}

const first = async (...options: string[]): Promise<Record<string, string>> =>
  answersOf(await ok('sandbox', 'run', '--rm', '--root', root, ...options, '--', '/attempts'));
const waiting = (name: string, ...options: string[]): Promise<string> =>
  ok('sandbox', 'run', '-d', '--name', name, '--root', root, ...options, '--', '/attempts', 'wait');
const entered = async (name: string, ...options: string[]): Promise<Record<string, string>> =>
  answersOf(await ok('sandbox', 'exec', ...options, name, '--', '/attempts'));

/** The three ways: what each answers, by its name. */
async function threeWays(name: string, ...options: string[]): Promise<[way: string, answers: Record<string, string>][]> {
  await waiting(name, ...options);
  const before = await entered(name);
  const [agent] = fleet.agents;
  assert.ok(agent);
  await agent.end('SIGKILL');
  await agent.start();
  const adopted = await until('the agent’s return', () => entered(name));
  return [
    ['first', await first(...options)],
    ['entered', before],
    ['adopted', adopted],
  ];
}

describe('rows 24 to 27: a process that is root inside, and one that is not', () => {
  for (const uid of [0, 1000])
    it(`uid ${uid} has no group, no capability, and gains nothing by what it executes`, async () => {
      for (const [way, got] of await threeWays(`is-${uid}`, '--user', `${uid}:${uid}`)) {
        assert.equal(got['uid'], `${uid} ${uid} ${uid}`, way);
        assert.equal(got['gid'], `${uid} ${uid} ${uid}`, way);
        // 24
        assert.equal(got['getgroups'], '0', way);
        assert.deepEqual([got['setgroups-none'], got['setgroups-more']], ['EPERM', 'EPERM'], way);
        // 25, 26
        for (const set of sets) assert.equal(got[set], zero, `${way} ${set}`);
        assert.deepEqual([got['raise-bounding'], got['ambient']], ['EPERM', 'EPERM'], way);
        // 27
        assert.equal(got['NoNewPrivs'], '1', way);
        assert.notEqual(got['keep-privs'], 'ok', way);
        for (const program of ['/suid', '/filecaps']) {
          assert.equal(got[`${program} uid`], `${uid} ${uid} ${uid}`, `${way} ${program}`);
          assert.equal(got[`${program} gid`], `${uid} ${uid} ${uid}`, `${way} ${program}`);
          for (const set of sets) assert.equal(got[`${program} ${set}`], zero, `${way} ${program} ${set}`);
        }
        assert.equal(got['suid-mount'], undefined, way);
        // Devices are files of the host's, each mounted by itself; one of them, /dev/null, also hides files of /proc. And its own terminals.
        for (const target of (got['dev-mount'] ?? '').split(', '))
          assert.match(target, /^\/dev\/(null|zero|full|random|urandom|tty|pts)$|^\/proc\/\w+$|^$/, way);
        // 6
        assert.equal(got['fds'], '0 1 2', way);
      }
    });

  it('control: where a capability was granted, it is there, and lets through what it is for', async () => {
    const mask = ((1 << 6) | (1 << 13)).toString(16).padStart(16, '0');
    for (const [way, got] of await threeWays('granted', '--cap-add', 'SETGID', '--cap-add', 'NET_RAW')) {
      assert.deepEqual([got['setgroups-none'], got['setgroups-more']], ['ok', 'ok'], way);
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) assert.equal(got[set], mask, `${way} ${set}`);
      for (const set of ['CapInh', 'CapAmb']) assert.equal(got[set], zero, `${way} ${set}`);
      // No more by the file's capabilities than what was granted.
      assert.equal(got['/filecaps CapBnd'], mask, way);
      assert.equal(BigInt(`0x${got['/filecaps CapPrm']}`) & ~BigInt(`0x${mask}`), 0n, way);
    }
  });

  it('control: the same files raise who executes them where nothing forbids it', (t) => {
    const path = join(dirs.root, 'open');
    mkdirSync(join(path, 'proc'), { recursive: true });
    for (const name of ['attempts', 'suid', 'filecaps']) execFileSync('cp', ['--preserve=all', join(root, name), join(path, name)]);
    const script = `mount --bind ${path} ${path} && mount -t proc proc ${path}/proc && exec chroot --userspec=1000:1000 ${path} /attempts`;
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' });
    const got = answersOf(stdout);
    assert.equal(got['/suid uid'], '1000 0 0', stderr);
    assert.notEqual(got['/suid CapEff'], zero);
    assert.equal(got['/filecaps uid'], '1000 1000 1000');
    assert.equal(got['/filecaps CapEff'], ((1 << 13) | (1 << 21)).toString(16).padStart(16, '0'));
    t.diagnostic(`set-user-ID and file capabilities work on ${dirname(path)}`);
  });
});

it('row 26: the bounding set is emptied by what the kernel knows, not by what a file says of it', async () => {
  const fake = join(dirs.root, 'cap_last_cap');
  writeFileSync(fake, '20\n');
  const run = shims.run(planOf({ command: ['sleep', '600'] }, range), stateDirectory(dirs.root));
  const { init } = await pidsOf(run);
  const child = fileURLToPath(new URL('../fixtures/escape/bounding-set.ts', import.meta.url));
  const script = 'mount --bind "$1" /proc/sys/kernel/cap_last_cap && shift && exec "$@"';
  const words = [fake, process.execPath, child, init, range.start, range.count].map(String);
  const told = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', ...words], { encoding: 'utf8' });
  assert.deepEqual(told.trim().split('\n'), ['20', `CapBnd:\t${zero}`]);
  run.send('kill');
  await run.ended();
  // Who believes the file leaves what is above.
  const believing = `import ctypes
last = int(open('/proc/sys/kernel/cap_last_cap').read())
for cap in range(last + 1): ctypes.CDLL(None).prctl(24, cap, 0, 0, 0)
print([line.strip() for line in open('/proc/self/status') if line.startswith('CapBnd')][0])`;
  const naive = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', fake, 'python3', '-c', believing], { encoding: 'utf8' });
  assert.notEqual(naive.trim(), `CapBnd:\t${zero}`);
});

it('row 6: 500 descriptors of who starts it, none of them closed on exec, and the sandbox sees none', async () => {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int)');
  const leaked = Array.from({ length: 500 }, () => dup(2) as number);
  try {
    assert.ok(leaked.every((fd) => fd > 2));
    // Control: an ordinary child has them.
    const listed = execFileSync('sh', ['-c', 'ls /proc/self/fd'], { encoding: 'utf8' }).split('\n').map(Number);
    assert.ok(leaked.every((fd) => listed.includes(fd)));
    const script = 'ls /proc/self/fd | tr "\\n" " "';
    assert.equal(
      (await runToEnd(shims, planOf({ command: ['sh', '-c', script] }, range), dirs.root)).stdout,
      '0 1 2 3 ',
      'ls itself holds 3',
    );
    const run = shims.run(planOf({ command: ['sleep', '600'] }, range), stateDirectory(dirs.root));
    const { init } = await pidsOf(run);
    using target = shims.native.openProcess(init, shims.native.processStart(init));
    const inside = shims.enter(enterPlanOf(['sh', '-c', script], { idRange: range }), target.pidfd);
    assert.equal((await inside.output).stdout, '0 1 2 3 ');
    await inside.ended();
    run.send('kill');
    await run.ended();
  } finally {
    for (const fd of leaked) closeSync(fd);
  }
});

it('row 53: nothing that the root brings along is loaded to find a user in it', async () => {
  const libraries = [
    ...new Set([
      '/lib',
      '/usr/lib',
      ...readFileSync('/proc/self/maps', 'utf8')
        .matchAll(/ (\/\S+)\/libc\.so\.6$/gm)
        .map(([, path]) => path ?? ''),
    ]),
  ];
  const module = join(dirs.root, 'libnss_hostile.so.2');
  execFileSync('gcc', ['-shared', '-fPIC', '-o', module, join(fixtures, 'hostile-names-module/module.c')]);
  for (const library of libraries) {
    mkdirSync(join(root, library), { recursive: true });
    for (const name of ['libnss_hostile.so.2', 'libnss_files.so.2', 'libnss_compat.so.2']) copyFileSync(module, join(root, library, name));
  }
  writeFileSync(join(root, 'etc/ld.so.preload'), `${libraries.map((library) => `${library}/libnss_hostile.so.2`).join(' ')}\n`);
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'passwd: hostile files\ngroup: hostile files\n');
  try {
    for (const [way, got] of await threeWays('named', '--user', 'www')) {
      assert.equal(got['uid'], '33 33 33', way);
      assert.equal(got['gid'], '44 44 44', way);
      assert.equal(got['getgroups'], '1', `${way}: log, which lists it`);
      assert.equal(got['home'], '/srv/www', way);
      assert.equal(got['marker'], 'ENOENT', `${way}: it was loaded`);
    }
    assert.equal((await entered('named', '--user', 'root:web'))['gid'], '44 44 44');
    assert.equal((await entered('named'))['marker'], 'ENOENT');
    assert.equal(existsSync(join(root, 'marker')), false);
    // Control: a tool that asks its C library after it has entered.
    const naive = join(dirs.root, 'naive');
    execFileSync('gcc', ['-o', naive, join(fixtures, 'hostile-names-module/naive.c')]);
    execFileSync(naive, [root, 'www']);
    assert.equal(existsSync(join(root, 'marker')), true, 'the module is one that would be loaded');
  } finally {
    for (const name of ['marker', 'etc/ld.so.preload', 'etc/nsswitch.conf']) rmSync(join(root, name), { force: true });
  }
});

describe('row 55: a number is an id, whatever the root calls so', () => {
  it('each arrives as it was asked for', async () => {
    await waiting('numbers');
    const random = Array.from({ length: 4 }, () => Math.floor(Math.random() * 65_535));
    for (const uid of [0, 1, 2, 65_534, ...random]) {
      const gid = (uid * 7 + 1) % 65_535;
      const expected = [`${uid} ${uid} ${uid}`, `${gid} ${gid} ${gid}`];
      const enteredAs = await entered('numbers', '--user', `${uid}:${gid}`);
      assert.deepEqual([enteredAs['uid'], enteredAs['gid']], expected);
      const firstAs = await first('--user', `${uid}:${gid}`);
      assert.deepEqual([firstAs['uid'], firstAs['gid']], expected);
    }
    for (const text of ['1', '0001', '01']) assert.equal((await first('--user', text))['uid'], '1 1 1', text);
  });

  it('and what is neither an id nor a name is refused, never another', async () => {
    for (const text of [
      '65535',
      '65536',
      '2147483648',
      '4294967295',
      '4294967296',
      '18446744073709551616',
      '-1',
      '+1',
      '1.0',
      '0x1',
      '1e0',
      ' 1',
    ]) {
      const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--root', root, '--user', text, '--', '/attempts']);
      assert.notEqual(code, 0, text);
      assert.match(stderr, /USAGE|USER_REFUSED|INVALID_INPUT/, text);
    }
    // Over the API, where a text can say anything.
    for (const uid of ['1', '0', '4294967296', 65_535, 2 ** 32, 2 ** 64, -1, 1.5, 'a:b', 'x'.repeat(10_000)]) {
      const body = { spec: { command: ['/attempts'], root: { type: 'directory' as const, path: root }, user: { uid } } };
      await assert.rejects(fleet.client.call('sandboxCreate', { body }), { code: 'INVALID_INPUT' }, String(uid).slice(0, 40));
    }
  });

  it('control: a tool that looks names up first makes root of it', () => {
    const got = answersOf(execFileSync('chroot', ['--userspec=1', root, '/attempts'], { encoding: 'utf8' }));
    assert.equal(got['uid'], '0 0 0');
  });
});
