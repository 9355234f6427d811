/** Volumes, upper layers in memory, several lower layers, and what is made in /etc and /sys: each as the kernel shows it inside. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { idRange, runToEnd, shellPlan, sourcesOf } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';
import { makeRoot } from '#test/support/roots.ts';

const { EINVAL, ELOOP } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
let made = 0;
before(async () => {
  shims = fileResources.use(await loadShims());
});

function newDirectory(): string {
  made += 1;
  const path = join(dirs.root, `dir-${made}`);
  mkdirSync(path);
  return path;
}

function run(script: string, spec: Partial<SandboxSpecInput>) {
  return runToEnd(shims, shellPlan(script, spec), dirs.root);
}

test('a bind: seen, written to, its owners mapped, nosuid and nodev', async () => {
  const source = newDirectory();
  writeFileSync(join(source, 'given'), 'from the host');
  const { stdout, stderr, lines } = await run(
    'cat /data/given; echo; stat -c %u:%g /data/given; echo new > /data/new; grep " /data " /proc/self/mountinfo',
    { volumes: [{ type: 'bind', source, target: '/data' }] },
  );
  assert.equal(stderr, '', lines.join('\n'));
  const [given, owner, mount] = stdout.split('\n');
  assert.equal(given, 'from the host');
  assert.equal(owner, '0:0', 'root’s on the host, root’s inside');
  assert.match(mount ?? '', / rw,nosuid,nodev,/);
  assert.doesNotMatch(mount ?? '', /shared:|master:/);
  assert.equal(readFileSync(join(source, 'new'), 'utf8'), 'new\n');
  assert.equal(statSync(join(source, 'new')).uid, 0, 'and the other way round');
});

test('a read-only bind, also where mounts lie below it', async () => {
  const source = newDirectory();
  mkdirSync(join(source, 'below'));
  execFileSync('mount', ['-t', 'tmpfs', 'below', join(source, 'below')]);
  try {
    const { stdout, stderr } = await run('touch /data/x; touch /data/below/x; grep -c " /data/below " /proc/self/mountinfo', {
      volumes: [{ type: 'bind', source, target: '/data', readonly: true, noexec: true }],
    });
    assert.equal(stdout, '1\n');
    assert.equal(stderr.match(/Read-only file system/g)?.length, 2, stderr);
  } finally {
    execFileSync('umount', [join(source, 'below')]);
  }
});

test('a file, a place in a read-only root that is there, and a tmpfs of a size', async () => {
  const source = newDirectory();
  writeFileSync(join(source, 'file'), 'one file\n');
  const { stdout, stderr } = await run(
    'cat /etc/one; stat -c %a /scratch; head -c 100000 /dev/zero > /scratch/big; stat -c %s /scratch/big; ls /usr/share/doc; stat -f -c %T /dev/shm; df -k --output=size /dev/shm | tail -1 | tr -d " "',
    {
      volumes: [
        { type: 'bind', source: join(source, 'file'), target: '/etc/one' },
        { type: 'tmpfs', target: '/scratch', sizeBytes: 65_536, mode: 0o700 },
        { type: 'tmpfs', target: '/usr/share/doc' },
        { type: 'tmpfs', target: '/dev/shm', sizeBytes: 1_048_576 },
      ],
    },
  );
  assert.match(stderr, /No space left/);
  assert.deepEqual(stdout.split('\n'), ['one file', '700', '65536', 'tmpfs', '1024', ''], stdout);
});

test('volumes of shorter targets come first, whatever their order', async () => {
  const [outer, inner] = [newDirectory(), newDirectory()];
  writeFileSync(join(inner, 'deep'), 'deep\n');
  const { stdout, stderr } = await run('cat /a/b/c/deep', {
    volumes: [
      { type: 'bind', source: inner, target: '/a/b/c' },
      { type: 'bind', source: outer, target: '/a' },
    ],
  });
  assert.equal(stdout, 'deep\n', stderr);
  assert.ok(existsSync(join(outer, 'b/c')), 'the way there is made in the outer volume');
});

test('a target that is a symlink stays inside the root (row 9)', async () => {
  const root = makeRoot(newDirectory());
  const outside = newDirectory();
  symlinkSync(outside, join(root, 'absolute'));
  symlinkSync('../../../../../../../..', join(root, 'up'));
  const source = newDirectory();
  writeFileSync(join(source, 'mark'), 'here\n');
  mkdirSync(join(root, outside), { recursive: true });
  const { stdout, stderr, lines } = await run(`cat /absolute/mark ${outside}/mark /made/mark`, {
    root: { type: 'directory', path: root },
    volumes: [
      { type: 'bind', source, target: '/absolute' },
      { type: 'bind', source, target: '/up/made' },
    ],
  });
  assert.equal(stdout, 'here\nhere\nhere\n', stderr + lines.join());
  assert.deepEqual(readdirSync(outside), []);
});

test('a source that is a symlink, a socket or a pipe when it is opened is refused', async () => {
  const source = newDirectory();
  symlinkSync('/etc', join(source, 'link'));
  execFileSync('mknod', [join(source, 'pipe'), 'p']);
  for (const [name, errnum] of [
    ['link', ELOOP],
    ['link/ssl', ELOOP],
    ['pipe', EINVAL],
  ] as const) {
    const path = join(source, name);
    const plan = shellPlan('true', { volumes: [{ type: 'bind', source: path, target: '/data' }] });
    const index = plan.operations.findIndex((one) => one.op === 'tree' && one.path === path);
    assert.deepEqual((await runToEnd(shims, plan, dirs.root)).lines, [`failed ${errnum} ${index} tree ${path}`]);
  }
});

test('rslave: what the host mounts later appears; private: it does not', async () => {
  const source = newDirectory();
  const here = join(source, 'later');
  mkdirSync(here);
  execFileSync('mount', ['--bind', source, source]);
  execFileSync('mount', ['--make-shared', source]);
  try {
    const state = join(dirs.root, `late-${made++}`);
    mkdirSync(state, { mode: 0o700 });
    const plan = shellPlan('echo ready; until [ -e /slave/later/mark ]; do sleep 0.01; done; ls /private/later', {
      volumes: [
        { type: 'bind', source, target: '/slave', propagation: 'rslave' },
        { type: 'bind', source, target: '/private' },
      ],
    });
    const sandbox = shims.run(plan, state);
    await sandbox.line('running');
    execFileSync('mount', ['-t', 'tmpfs', 'later', here]);
    writeFileSync(join(here, 'mark'), '');
    assert.deepEqual((await sandbox.line('exit')).split(' ').slice(0, 3), ['exit', '0', '0']);
    await sandbox.ended();
    assert.equal(readFileSync(join(state, 'stdout.log'), 'utf8'), 'ready\n');
  } finally {
    execFileSync('sh', ['-c', 'umount -R "$1"', 'sh', source]);
  }
});

test('an upper layer in memory: its limit holds, nothing lies in the state directory', async () => {
  const root = makeRoot(newDirectory());
  const { stdout, stderr, state, lines } = await run(
    'echo x > /x && cat /x; head -c 1000000 /dev/zero > /big; stat -c %u:%g / /x /bin/sh; rm -r /etc; mkdir /etc; ls /etc',
    { root: { type: 'directory', path: root, upper: { type: 'memory', sizeBytes: 262_144 } } },
  );
  assert.match(stderr, /No space left/, lines.join());
  assert.equal(stdout, 'x\n0:0\n0:0\n0:0\n');
  assert.equal(existsSync(join(state, 'upper')), false);
  assert.equal(existsSync(join(root, 'x')), false);
});

test('several layers: the uppermost wins, whiteouts and opaque directories hide, owners are mapped', async () => {
  const base = makeRoot(newDirectory());
  mkdirSync(join(base, 'dir'));
  writeFileSync(join(base, 'dir/below'), '');
  writeFileSync(join(base, 'gone'), '');
  writeFileSync(join(base, 'both'), 'base\n');
  const layers = Array.from({ length: 70 }, (_, index) => {
    const layer = newDirectory();
    chmodSync(layer, 0o755);
    writeFileSync(join(layer, 'both'), `layer ${index}\n`);
    writeFileSync(join(layer, `only-${index}`), '');
    chownSync(join(layer, `only-${index}`), 7, 8);
    return layer;
  });
  execFileSync('mknod', [join(layers[5] ?? '', 'gone'), 'c', '0', '0']);
  mkdirSync(join(layers[6] ?? '', 'dir'));
  execFileSync('python3', ['-c', 'import os,sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")', join(layers[6] ?? '', 'dir')]);
  const spec = SandboxSpec.parse({
    command: ['/bin/sh', '-c', 'cat /both; ls / | grep -c only-; ls -d /gone; ls /dir; stat -c %u:%g /only-0 /only-69'],
    root: { type: 'directory', path: base },
  });
  const plan = compileSandboxPlan({
    ...sourcesOf(spec),
    layers: [...layers, base],
    name: 'layered',
    idRange,
    owner: { uid: 0, gid: 0 },
    host: readHostRootFacts(),
    kernel: readKernelFacts(true),
  });
  const { stdout, stderr, lines } = await runToEnd(shims, plan, dirs.root);
  assert.equal(stdout, 'layer 0\n70\n7:8\n7:8\n', stderr + lines.join());
  assert.match(stderr, /gone/);
});

test('/etc/hostname, hosts and resolv.conf are made in place of what a root has there, and lead nowhere', async () => {
  const root = makeRoot(newDirectory());
  const outside = newDirectory();
  writeFileSync(join(outside, 'resolv.conf'), 'untouched');
  symlinkSync(join(outside, 'resolv.conf'), join(root, 'etc/resolv.conf'));
  writeFileSync(join(root, 'etc/hostname'), 'of the image\n');
  const { stdout, stderr } = await run('cat /etc/hostname; grep -c tested /etc/hosts; [ -L /etc/resolv.conf ] || cat /etc/resolv.conf', {
    root: { type: 'directory', path: root, writable: false },
  });
  assert.equal(stderr, '');
  assert.equal(stdout, `tested\n1\n${readHostRootFacts().resolvConf.trimEnd()}\n`);
  assert.equal(readFileSync(join(outside, 'resolv.conf'), 'utf8'), 'untouched');
  assert.equal(readFileSync(join(root, 'etc/hostname'), 'utf8'), 'of the image\n');
  rmSync(join(root, 'etc'), { recursive: true });
  symlinkSync(outside, join(root, 'etc'));
  const refused = await run('true', { root: { type: 'directory', path: root } });
  assert.match(refused.lines.at(-1) ?? '', /^failed 2 \d+ mkdir \/etc$/, 'there is no such place inside');
  assert.deepEqual(readdirSync(outside), ['resolv.conf']);
});

test('/sys is of the sandbox’s own network namespace, read-only, its secrets masked', async () => {
  const { stdout, stderr } = await run('ls /sys/class/net; touch /sys/x; ls /sys/firmware | wc -l; grep " /sys " /proc/self/mountinfo', {});
  const [net, firmware, mount] = stdout.split('\n');
  assert.equal(net, 'lo');
  assert.match(stderr, /Read-only file system/);
  assert.equal(firmware, '0');
  assert.match(mount ?? '', / ro,nosuid,nodev,noexec,.* sysfs /);
});
