/** Roots of every kind: ordinary, behind a private path, hostile. Nothing outside of them changes. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import type { Plan } from '#shared/plan.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot as makeRootAt } from '#test/support/roots.ts';
import { idRange, planOf, runToEnd, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { ELOOP, ENOENT, ENOTDIR, EXDEV } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
let made = 0;
before(async () => {
  shims = fileResources.use(await loadShims());
});
/** Its own directory is 0700. */
function makeRoot(): string {
  made += 1;
  const root = join(dirs.root, `private-${made}`, 'root');
  mkdirSync(dirname(root), { mode: 0o700 });
  return makeRootAt(root);
}

function directoryPlan(path: string, script: string, writable = true): Plan {
  return planOf({ command: ['/bin/sh', '-c', script], root: { type: 'directory', path, writable } });
}

test('a directory root, behind a 0700 directory: changes stay in the state directory', async () => {
  const root = makeRoot();
  const script = 'cat /etc/motd; echo changed > /etc/motd; mkdir /new; rm /bin/rm; ls /; stat -c %u:%g /bin/sh / /new';
  const { stdout, stderr, lines, state } = await runToEnd(shims, directoryPlan(root, script), dirs.root);
  assert.equal(stderr, '', lines.join());
  const names = stdout.split('\n');
  assert.equal(names.shift(), 'hello from the root');
  assert.deepEqual(names.filter((name) => ['bin', 'dev', 'etc', 'new', 'proc', 'tmp'].includes(name)).length, 6);
  const owners = names.filter((line) => line.includes(':'));
  if (lines.some((line) => line.startsWith('note overlay '))) assert.deepEqual(owners.slice(1), ['0:0', '0:0']);
  else assert.deepEqual(owners, ['0:0', '0:0', '0:0'], 'what the host’s root owns, root inside owns');
  assert.equal(readFileSync(join(root, 'etc/motd'), 'utf8'), 'hello from the root\n');
  assert.ok(existsSync(join(root, 'bin/rm')) && !existsSync(join(root, 'new')));
  assert.equal(readFileSync(join(state, 'upper/etc/motd'), 'utf8'), 'changed\n');
  assert.equal(statSync(join(state, 'upper/new')).uid, idRange.start, 'outside, it belongs to the sandbox’s range');
});

test('a read-only directory root has temporary files only', async () => {
  const root = makeRoot();
  const { stdout, stderr } = await runToEnd(
    shims,
    directoryPlan(root, 'cat /etc/motd; echo x > /tmp/x && cat /tmp/x; : > /etc/x', false),
    dirs.root,
  );
  assert.equal(stdout, 'hello from the root\nx\n');
  assert.match(stderr, /Read-only file system/);
  assert.deepEqual(readdirSync(join(root, 'tmp')), []);
  assert.equal(existsSync(join(root, 'run')), false, 'mount points are not made in it');
});

test('what is no root is refused', async () => {
  const root = makeRoot();
  const link = join(dirs.root, 'link-to-root');
  symlinkSync(root, link);
  for (const [path, errnum] of [
    [link, ELOOP],
    [join(root, 'etc/motd'), ENOTDIR],
    [join(dirs.root, 'nothing'), ENOENT],
  ] as const) {
    const plan = directoryPlan(path, 'true');
    const index = plan.operations.findIndex(({ op }) => op === 'lower');
    const { lines } = await runToEnd(shims, plan, dirs.root);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('note ')),
      [`failed ${errnum} ${index} lower ${path}`],
    );
  }
});

for (const name of ['proc', 'dev'] as const) {
  for (const kind of ['absolute', 'relative', 'dangling', 'file'] as const) {
    test(`a root whose /${name} is ${kind === 'file' ? 'a file' : `a symlink (${kind})`} is refused, and nothing is made behind it`, async () => {
      const root = makeRoot();
      const outside = join(dirname(root), 'outside');
      mkdirSync(outside);
      rmSync(join(root, name), { recursive: true });
      if (kind === 'file') writeFileSync(join(root, name), '');
      else symlinkSync({ absolute: outside, relative: '../outside', dangling: '/nowhere' }[kind], join(root, name));
      const { lines, state } = await runToEnd(shims, directoryPlan(root, 'true'), dirs.root);
      assert.match(lines.at(-1) ?? '', new RegExp(`^failed (${ELOOP}|${ENOTDIR}|${EXDEV}) \\d+ mkdir /${name}$`));
      assert.deepEqual(readdirSync(outside), []);
      assert.equal(lstatSync(join(root, name)).isDirectory(), false);
      assert.deepEqual(
        readdirSync(join(state, 'upper')).filter((entry) => entry === name),
        [],
      );
    });
  }
}

test('symlinks in the place of temporary directories stay inside', async () => {
  const root = makeRoot();
  const outside = join(dirname(root), 'outside');
  mkdirSync(outside);
  rmSync(join(root, 'tmp'), { recursive: true });
  mkdirSync(join(root, 'real-tmp'));
  symlinkSync('/real-tmp', join(root, 'tmp'));
  const { stdout } = await runToEnd(shims, directoryPlan(root, 'echo x > /real-tmp/x; ls /tmp', false), dirs.root);
  assert.equal(stdout, 'x\n');
  assert.deepEqual(readdirSync(join(root, 'real-tmp')), []);
  rmSync(join(root, 'tmp'));
  symlinkSync(outside, join(root, 'tmp'));
  const { lines } = await runToEnd(shims, directoryPlan(root, 'true', false), dirs.root);
  assert.match(lines.at(-1) ?? '', /^failed \d+ \d+ (mkdir|tmpfs) \/tmp$/);
  assert.deepEqual(readdirSync(outside), []);
});

test('a root whose /dev and /proc are exchanged for symlinks while sandboxes start', { timeout: 60_000 }, async () => {
  const root = makeRoot();
  const outside = join(dirname(root), 'outside');
  mkdirSync(outside);
  for (const name of ['dev', 'proc']) symlinkSync(outside, join(root, `${name}-link`));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  let over = false;
  const attack = async (): Promise<number> => {
    let rounds = 0;
    for (; !over; rounds++) {
      for (const name of ['dev', 'proc']) {
        renameSync(join(root, name), join(root, `${name}-real`));
        renameSync(join(root, `${name}-link`), join(root, name));
        renameSync(join(root, name), join(root, `${name}-link`));
        renameSync(join(root, `${name}-real`), join(root, name));
      }
      await new Promise(setImmediate);
    }
    return rounds;
  };
  const attacker = attack();
  for (let round = 0; round < 100; round++) {
    const { lines } = await runToEnd(shims, directoryPlan(root, 'ls / > /dev/null'), dirs.root);
    assert.match(lines.at(-1) ?? '', /^(exit 0 0|failed \d+ )/);
  }
  over = true;
  assert.ok((await attacker) > 0);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
});

test('a device that is not the device is refused', async () => {
  const plan = planOf({ command: ['true'] });
  const index = plan.operations.findIndex((operation) => operation.op === 'tree' && operation.path === '/dev/null');
  const operation = plan.operations[index] as Extract<Plan['operations'][number], { op: 'tree' }>;
  plan.operations[index] = { ...operation, path: '/dev/zero' };
  const run = shims.run(plan, stateDirectory(dirs.root));
  await run.ended();
  assert.deepEqual(run.lines, [`failed ${constants.errno.ENODEV} ${index} tree /dev/zero`]);
});
