/**
 * Rows 9 to 13, 29 to 34, 36, 42 and 54 of the isolation list: what a sandbox sees of files, devices and the kernel's own views, and what a hostile root
 * does to its maker. What runs inside does so as the first process, through exec, and after the agent was killed and has taken the sandbox over;
 * each also where it gets through.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { archiveOf, layoutOf } from '#test/support/images.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot } from '#test/support/roots.ts';
import { planOf, runToEnd } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';
import { gzipped, tarOf } from '#test/support/tar.ts';

leakCheck();
const dirs = temporaryDirectories();
/** The last of the pool whose first ones the fleet's sandboxes get. */
const range = testIdRange(31);
const programs = ['sh', 'ls', 'cat', 'find', 'mount', 'umount', 'mknod', 'wc', 'rm', 'stat', 'grep', 'id', 'sleep', 'touch', 'mkdir'];

const masked = ['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'].map(
  (name) => `/proc/${name}`,
);
const hidden = [...masked, '/sys/firmware', '/sys/devices/virtual/powercap'];
/** Opened for appending and closed: nothing is written where it succeeds. */
const kernelFiles = [
  '/proc/sysrq-trigger',
  '/proc/sys/kernel/core_pattern',
  '/proc/sys/kernel/modprobe',
  '/proc/sys/kernel/panic',
  '/proc/sys/vm/drop_caches',
  '/proc/1/root/proc/sys/kernel/core_pattern',
  '/proc/irq/default_smp_affinity',
  '/sys/kernel/uevent_helper',
  '/sys/kernel/mm/transparent_hugepage/enabled',
];

/** A line an attempt: its name, and what came of it. */
const attempts = `
ok() { if "$@" >/dev/null 2>&1; then echo open; else echo closed; fi; }
opens() { if ( : >> "$1" ) 2>/dev/null; then echo open; else echo closed; fi; }
echo "devices $(ls /dev | tr '\\n' ' ')"
for f in ${hidden.join(' ')}; do
  if [ -d $f ]; then n=$(ls -A $f | wc -l); else n=$(head -c 64 $f 2>/dev/null | wc -c); fi
  echo "hidden:$f $n"
done
for f in ${kernelFiles.join(' ')}; do echo "writes:$f $(opens $f)"; done
echo "mknod $(ok mknod /tmp/disk b 8 0)"
for f in /dev/mem /dev/kmsg /dev/kvm /dev/fuse /dev/net/tun /dev/loop-control /dev/vda /dev/sda; do [ -e $f ] && echo "device:$f open"; done
for f in /proc/keys /proc/kcore /proc/sys /proc/sysrq-trigger /sys /dev/null; do echo "umount:$f $(ok umount $f)"; done
echo "remount $(ok mount -o remount,rw,bind /proc/sys)"
echo "proc $(ok mount -t proc proc /tmp)"
echo "sockets $(find / -type s 2>/dev/null | wc -l)"
echo "propagation $(grep -c -e ' shared:' -e ' master:' /proc/self/mountinfo)"
echo "suid-mounts $(grep -v -c nosuid /proc/self/mountinfo)"
echo "dev-mounts $(grep -v nodev /proc/self/mountinfo | grep -v -c -e ' /dev/' -e ' /proc/' )"
`.replaceAll('head -c 64 $f', 'cat $f');

const devices = ['fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'tty', 'urandom', 'zero'];

function answersOf(output: string): Map<string, string> {
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line): [string, string] => {
        const at = line.indexOf(' ');
        return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).trim()];
      }),
  );
}

/** What got through of what a sandbox must keep closed. */
function open(answers: ReadonlyMap<string, string>): string[] {
  return [...answers].flatMap(([name, answer]) => {
    if (name === 'devices') return answer === devices.join(' ') ? [] : [`devices ${answer}`];
    return answer === 'closed' || answer === '0' ? [] : [`${name} ${answer}`];
  });
}

let fleet: Fleet;
let shims: Shims;
let image: string;
before(async () => {
  shims = fileResources.use(await loadShims());
  const base = makeRoot(join(dirs.root, 'base'), [...programs, 'tr', 'head']);
  const archive = execFileSync('tar', ['-C', base, '-c', '.'], { maxBuffer: 1 << 28 });
  image = join(dirs.root, 'image.tar');
  const config = { Cmd: ['sleep', '600'], User: '1000:1000', Env: ['PATH=/bin', 'FROM=image'], WorkingDir: '/tmp' };
  // What an image may not bring: it is left out, or hidden by what is mounted there.
  const devicesAndAll = tarOf([
    { path: 'dev/mem', content: 'no device' },
    { path: 'disk', type: '4' },
    { path: 'su', content: '#!/bin/sh\nid -u\n', mode: 0o6755 },
  ]);
  const layers = [{ archive }, { archive: devicesAndAll }];
  writeFileSync(image, archiveOf(layoutOf([{ layers, config }])));
  fleet = fileResources.use(await startFleet());
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

describe('rows 29 to 34, 36 and 42', () => {
  for (const user of ['0:0', '1000:1000'])
    it(`stay closed in an image’s root, three ways, as ${user}`, async () => {
      const name = `closed-${user.split(':')[0]}`;
      const root = ['--user', user, '--root', `oci:${image}`];
      assert.deepEqual(open(answersOf(await ok('sandbox', 'run', '--rm', ...root, '--', 'sh', '-c', attempts))), []);
      await ok('sandbox', 'run', '-d', '--name', name, ...root);
      const enter = () => ok('sandbox', 'exec', name, '--', 'sh', '-c', attempts);
      assert.deepEqual(open(answersOf(await enter())), []);
      const [agent] = fleet.agents;
      await agent?.end('SIGKILL');
      await agent?.start();
      assert.deepEqual(open(answersOf(await until('the agent’s return', enter))), []);
    });

  it('stay closed in the host’s root', async () => {
    assert.deepEqual(open(answersOf(await ok('sandbox', 'run', '--rm', '--', 'sh', '-c', attempts))), []);
  });

  it('are open to root in namespaces alone', async () => {
    const socket = join(dirs.root, 'canary.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    // What is masked there is unmasked by who made the mask.
    const weak = `mount -t tmpfs weak /tmp; mount --bind /dev/null /proc/keys; ${attempts}`;
    const output = execFileSync('unshare', ['-mpf', '--mount-proc', 'sh', '-c', weak], { encoding: 'utf8', cwd: '/' });
    await new Promise((resolve) => server.close(resolve));
    const answers = answersOf(output);
    const through = open(answers).map((line) => line.split(' ')[0] ?? '');
    for (const name of ['devices', 'mknod', 'umount:/proc/keys', 'proc', 'sockets', 'suid-mounts', 'dev-mounts'])
      assert.ok(through.includes(name), `${name}: ${answers.get(name)}`);
    for (const file of ['/proc/sysrq-trigger', '/sys/kernel/uevent_helper'])
      if (existsSync(file)) assert.ok(through.includes(`writes:${file}`), file);
    for (const file of ['/proc/interrupts', '/proc/timer_list']) if (existsSync(file)) assert.ok(through.includes(`hidden:${file}`), file);
    assert.ok(through.includes('writes:/proc/sys/kernel/core_pattern'));
  });

  it('the process of an image’s user is that user also through exec', async () => {
    await ok('sandbox', 'run', '-d', '--name', 'as-image', '--root', `oci:${image}`);
    assert.equal(await ok('sandbox', 'exec', 'as-image', '--', 'sh', '-c', 'id -u; echo $FROM; pwd; /su'), '1000\nimage\n/tmp\n1000\n');
  });
});

describe('rows 10 to 12: a hostile root', () => {
  for (const name of ['dev', 'proc', 'sys'])
    for (const target of ['absolute', 'relative'])
      it(`whose /${name} is a symlink (${target}) makes nothing outside`, async () => {
        const root = makeRoot(join(dirs.root, `hostile-${name}-${target}`), ['sh']);
        const outside = join(dirs.root, `outside-${name}-${target}`);
        mkdirSync(outside);
        writeFileSync(join(outside, 'canary'), 'canary');
        rmSync(join(root, name), { recursive: true, force: true });
        symlinkSync(target === 'absolute' ? outside : `../outside-${name}-${target}`, join(root, name));
        const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--root', root, '--', 'sh', '-c', 'exit 0']);
        assert.notEqual(code, 0);
        assert.match(stderr, new RegExp(`ROOT_REFUSED: .*mkdir /${name}: (ELOOP|ENOTDIR|EXDEV)`));
        assert.deepEqual(readdirSync(outside), ['canary']);
        // By its path it would have gone there.
        const naive = `mount -t tmpfs naive ${join(root, name)} && ls -A ${outside}`;
        if (target === 'absolute') assert.equal(execFileSync('unshare', ['-m', 'sh', '-c', naive], { encoding: 'utf8' }), '');
      });

  it('whose parents of mount points lead out makes nothing there', async () => {
    const root = makeRoot(join(dirs.root, 'hostile-parents'), ['sh']);
    const outside = join(dirs.root, 'outside-parents');
    mkdirSync(outside);
    for (const name of ['var', 'tmp', 'run', 'etc', 'data']) {
      rmSync(join(root, name), { recursive: true, force: true });
      symlinkSync(outside, join(root, name));
    }
    for (const options of [[], ['--read-only'], ['--tmpfs', '/data/made/below']]) {
      const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', ...options, '--root', root, '--', 'sh', '-c', 'exit 0']);
      assert.notEqual(code, 0, options.join());
      assert.match(stderr, /(ROOT|VOLUME)_REFUSED/);
      assert.deepEqual(readdirSync(outside), []);
    }
  });
});

/** renameat2(RENAME_EXCHANGE) of both pairs, again and again: at every moment each name is one or the other. */
const exchange = `
import ctypes, platform, sys
call = ctypes.CDLL(None, use_errno=True).syscall
number = {'x86_64': 316, 'aarch64': 276}[platform.machine()]
names = [name.encode() for name in sys.argv[1:]]
print('begun', flush=True)
while True:
    for at in range(0, len(names), 2):
        if call(number, -100, names[at], -100, names[at + 1], 2) != 0: sys.exit(str(ctypes.get_errno()))
`;

describe('rows 9 and 13: what is exchanged while sandboxes are made', () => {
  it('a target in a shared volume, and the /dev/null of a root, lead nowhere', { timeout: 240_000 }, async () => {
    const root = makeRoot(join(dirs.root, 'racing'), ['sh', 'cat', 'grep']);
    const shared = join(dirs.root, 'shared');
    const outside = join(dirs.root, 'outside-race');
    for (const path of [shared, join(shared, 'target'), outside]) mkdirSync(path);
    symlinkSync(outside, join(shared, 'link'));
    writeFileSync(join(root, 'dev/null'), '');
    symlinkSync('/proc/sys/kernel/core_pattern', join(root, 'dev/link'));
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const pairs = [shared, join(root, 'dev')].flatMap((directory, index) => [
      join(directory, index === 0 ? 'target' : 'null'),
      join(directory, 'link'),
    ]);
    const attacker = spawn('python3', ['-c', exchange, ...pairs], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(attacker.stdout, 'data');
    const script =
      'if ( : >> /proc/sys/kernel/core_pattern ) 2>/dev/null; then echo WRITABLE; fi; cat /proc/keys; grep -c -e " /proc/keys " /proc/self/mountinfo';
    const count = process.env['NSFLEET_TEST_SHORT'] === '1' ? 50 : 500;
    let ran = 0;
    for (let round = 0; round < count; round++) {
      const spec: SandboxSpecInput = {
        command: ['/bin/sh', '-c', script],
        root: { type: 'directory', path: root },
        volumes: [
          { type: 'bind', source: shared, target: '/shared' },
          { type: 'tmpfs', target: '/shared/target' },
        ],
      };
      const { lines, stdout, state } = await runToEnd(shims, planOf(spec, range), dirs.root);
      if (lines.at(-1) === 'exit 0 0') {
        ran += 1;
        assert.equal(stdout, '1\n');
      } else assert.match(lines.at(-1) ?? '', /^failed \d+ \d+ (mkdir|tmpfs) \/shared\/target/);
      rmSync(state, { recursive: true });
    }
    assert.equal(attacker.exitCode, null, 'it went on to the end');
    attacker.kill('SIGKILL');
    await once(attacker, 'exit');
    assert.ok(ran > 0, 'some were made');
    assert.deepEqual(readdirSync(outside), []);
    assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern);
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
  });
});

describe('row 54: archives', () => {
  it('a hostile tarball, through the whole way: refused with its step, nothing outside, nothing left', async () => {
    const canary = join(dirs.root, 'canary');
    writeFileSync(canary, 'untouched');
    const cases: [string, Parameters<typeof tarOf>[0]][] = [
      ['path', [{ path: '../../../../../../../../../../tmp/nsfleet-escaped', content: 'x' }]],
      ['hardlink', [{ path: 'a', type: '1', link: canary }]],
      [
        'file',
        [
          { path: 'out', type: '2', link: dirs.root },
          { path: 'out/canary', content: 'overwritten' },
        ],
      ],
    ];
    for (const [step, entries] of cases) {
      const path = join(dirs.root, `${step}.tar.gz`);
      writeFileSync(path, gzipped(tarOf(entries)));
      const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--root', `tar:${path}`, '--', 'sh']);
      assert.equal(code, 125, stderr);
      assert.match(stderr, new RegExp(`IMAGE_REFUSED: .*: ${step}: `));
    }
    assert.equal(readFileSync(canary, 'utf8'), 'untouched');
    assert.equal(existsSync('/tmp/nsfleet-escaped'), false);
    // By its path it would have been written to.
    const naive = join(dirs.root, 'naive');
    mkdirSync(naive);
    symlinkSync(dirs.root, join(naive, 'out'));
    writeFileSync(join(naive, 'out/canary'), 'overwritten');
    assert.equal(readFileSync(canary, 'utf8'), 'overwritten');
  });
});
