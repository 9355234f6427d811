/** Who the command is and what it may use: looked up in the root's own files, set in the kernel, read back from it. The same for what enters. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { resolveProcess } from '#agent/image/process.ts';
import { parseLimits, readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { capabilitiesOf } from '#shared/capability.ts';
import type { Plan } from '#shared/plan.ts';
import type { SandboxUserInput } from '#shared/process.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot } from '#test/support/roots.ts';
import { enterPlanOf, idRange, pidsOf, planOf, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EBADMSG, EFBIG, EINVAL, ELOOP, ENODEV, ENOENT, EPERM, ESRCH } = constants.errno;
const capabilitySets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
let root: string;
before(async () => {
  shims = fileResources.use(await loadShims());
  root = makeRoot(join(dirs.root, 'root'), ['sh', 'id', 'sleep']);
  writeFileSync(join(root, 'etc/passwd'), passwd);
  writeFileSync(join(root, 'etc/group'), group);
});

/** A root with an account named by digits, lines that are none, and one that would be root's if a number were read up to its first letter. */
const passwd = `# comment
root:x:0:0:root:/root:/bin/sh
no colons
1:x:0:0:digits:/digits:/bin/sh
::::::
www:x:33:44:web,,,:/srv/www:/bin/false
www:x:0:0:again:/:/bin/sh
homeless:x:77:78:::
broken:x:0x10:1::/:/bin/sh
signed:x:-1:1::/:/bin/sh
huge:x:4294967296:1::/:/bin/sh
nobody-id:x:4294967295:1::/:/bin/sh
far:x:70000:1::/:/bin/sh
spaced:x: 0:1::/:/bin/sh
last:x:99:98::/last:/bin/sh`;
const group = `root:x:0:
www-data:x:44:
log:x:7:other,www
video:x:9:www,www
almost:x:10:wwww,ww
broken:x:zero:www
digits:x:11:1
last:x:98:`;

function as(user: SandboxUserInput, script: string, rest: Partial<SandboxSpecInput> = {}): Plan {
  return planOf({ command: ['/bin/sh', '-c', script], root: { type: 'directory', path: root }, user, ...rest });
}

const who = 'id -u; id -g; id -G; echo $HOME $USER $SHELL';

test('users and groups by name and by number, in the first process and in what enters', async () => {
  const cases: [SandboxUserInput, string][] = [
    [{ uid: 'www' }, '33 | 44 | 44 7 9 | /srv/www www /bin/false'],
    [{ uid: 'www', gid: 'log' }, '33 | 7 | 7 9 | /srv/www www /bin/false'],
    [{ uid: 'www', gid: 0, groups: ['www-data', 5, 5] }, '33 | 0 | 0 5 7 9 44 | /srv/www www /bin/false'],
    [{ uid: 33, gid: 0 }, '33 | 0 | 0 | /srv/www www /bin/false'],
    [{ uid: 33 }, '33 | 44 | 44 | /srv/www www /bin/false'],
    [{ uid: 1 }, '1 | 1 | 1 | /'],
    [{ uid: 1, gid: 0 }, '1 | 0 | 0 | /'],
    [{ uid: 0, gid: 0 }, '0 | 0 | 0 | /root root /bin/sh'],
    [{ uid: 'homeless' }, '77 | 78 | 78 | / homeless'],
    [{ uid: 'last' }, '99 | 98 | 98 | /last last /bin/sh'],
    [{ uid: 65_534, groups: [65_534] }, '65534 | 65534 | 65534 | /'],
  ];
  const lasting = planOf({ command: ['/bin/sleep', '600'], root: { type: 'directory', path: root } }, testIdRange(1));
  const run = shims.run(lasting, stateDirectory(dirs.root));
  const { init } = await pidsOf(run);
  using target = shims.native.openProcess(init, shims.native.processStart(init));
  const spec = SandboxSpec.parse({ command: ['true'] });
  for (const [user, expected] of cases) {
    const told = (text: string): string =>
      text
        .trim()
        .split('\n')
        .map((line) => line.trim())
        .join(' | ');
    const groups = (text: string): string =>
      text.replace(
        /^(\S+ \| \S+ \| )(\S+)((?: \d+)*)/,
        (_, ids: string, first: string, more: string) =>
          ids +
          first +
          more
            .split(' ')
            .toSorted((a, b) => Number(a) - Number(b))
            .join(' '),
      );
    const { stdout, stderr, lines } = await runToEnd(shims, as(user, who), dirs.root);
    assert.equal(groups(told(stdout)), expected, `${JSON.stringify(user)}: ${stderr} ${lines.join()}`);
    const parsed = SandboxSpec.parse({ command: ['true'], user }).user;
    const entered = shims.enter(enterPlanOf(['/bin/sh', '-c', who], { user: parsed, spec, idRange: testIdRange(1) }), target.pidfd);
    assert.equal(groups(told((await entered.output).stdout)), expected, `entered: ${JSON.stringify(user)}: ${entered.lines.join()}`);
    await entered.ended();
  }
  run.send('kill');
  await run.ended();
});

test('who is found by name can open its output again', async () => {
  const { stdout, stderr } = await runToEnd(shims, as({ uid: 'www' }, 'echo more > /dev/stdout; echo bad > /dev/stderr'), dirs.root);
  assert.deepEqual([stdout, stderr], ['more\n', 'bad\n']);
});

test('the spec’s environment is stronger than passwd', async () => {
  const { stdout } = await runToEnd(shims, as({ uid: 'www' }, 'echo $HOME $USER $SHELL', { env: { HOME: '/h', USER: '' } }), dirs.root);
  assert.equal(stdout, '/h /bin/false\n');
});

test('names that are not there, and lines that are none, are refused with the step', async () => {
  const cases: [SandboxUserInput, number, RegExp][] = [
    [{ uid: 'nobody' }, ESRCH, /user nobody: no such user/],
    [{ uid: 'ww' }, ESRCH, /no such user/],
    [{ uid: 'broken' }, EBADMSG, /user broken: its line/],
    [{ uid: 'signed' }, EBADMSG, /its line/],
    [{ uid: 'huge' }, EBADMSG, /its line/],
    [{ uid: 'nobody-id' }, EBADMSG, /its line/],
    [{ uid: 'spaced' }, EBADMSG, /its line/],
    [{ uid: 'far' }, EINVAL, /user far: its uid or gid is not among/],
    [{ uid: 0, gid: 'nogroup' }, ESRCH, /user nogroup: no such group/],
    [{ uid: 0, gid: 'broken' }, EBADMSG, /its line in \/etc\/group/],
    [{ uid: 0, gid: 0, groups: ['nogroup'] }, ESRCH, /group nogroup: no such group/],
  ];
  for (const [user, errno, words] of cases) {
    const { lines } = await runToEnd(shims, as(user, 'echo ran'), dirs.root);
    assert.equal(lines.length, 1, lines.join('; '));
    assert.match(lines[0] ?? '', new RegExp(`^failed ${errno} \\d+ `));
    assert.match(lines[0] ?? '', words);
  }
});

test('hostile files of names: refused by name within a second, and no hindrance to who needs none', async () => {
  const etc = join(root, 'etc');
  const original = readFileSync(join(etc, 'passwd'));
  const outside = join(dirs.root, 'outside-passwd');
  writeFileSync(outside, 'evil:x:0:0::/:/bin/sh\n');
  const make: [string, (path: string) => void, number][] = [
    ['a line of 10 MB', (path) => writeFileSync(path, `a:${'x'.repeat(10_000_000)}\nevil:x:5:5::/:/bin/sh\n`), EFBIG],
    ['a line of 100 kB', (path) => writeFileSync(path, `a:${'x'.repeat(100_000)}\nevil:x:5:5::/:/bin/sh\n`), EFBIG],
    ['a million lines', (path) => writeFileSync(path, 'a:x:1:1::/:/x\n'.repeat(1_000_000)), EFBIG],
    ['NUL bytes only', (path) => writeFileSync(path, Buffer.alloc(1000)), ESRCH],
    ['nothing in it', (path) => writeFileSync(path, ''), ESRCH],
    ['a FIFO', (path) => execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', path]), ENODEV],
    ['a directory', (path) => mkdirSync(path), ENODEV],
    ['a link out of the root', (path) => symlinkSync(outside, path), ENOENT],
    ['a link up and out', (path) => symlinkSync(`../../../../../../../..${outside}`, path), ENOENT],
    ['a link to itself', (path) => symlinkSync('passwd', path), ELOOP],
    ['a magic link', (path) => symlinkSync('/proc/self/fd/3', path), ELOOP],
    ['a file of procfs', (path) => symlinkSync('/proc/self/status', path), ENODEV],
    ['a device', (path) => symlinkSync('/dev/zero', path), ENODEV],
    ['not there', () => undefined, ENOENT],
  ];
  try {
    for (const [name, put, errno] of make) {
      rmSync(join(etc, 'passwd'), { recursive: true, force: true });
      put(join(etc, 'passwd'));
      const began = performance.now();
      const { lines } = await runToEnd(shims, as({ uid: 'evil' }, 'echo ran'), dirs.root);
      assert.match(lines.join(), new RegExp(`^failed ${errno} \\d+ user evil: `), name);
      assert.ok(performance.now() - began < 5000, name);
      const numbers = await runToEnd(shims, as({ uid: 5, gid: 6 }, 'id -u; id -g; echo $HOME'), dirs.root);
      assert.equal(numbers.stdout, '5\n6\n/\n', `${name}: ${numbers.lines.join()}`);
    }
  } finally {
    rmSync(join(etc, 'passwd'), { recursive: true, force: true });
    writeFileSync(join(etc, 'passwd'), original);
  }
});

test('every id from 0 to 2^32 - 2 that is mapped arrives as it was asked for, and none as another', async () => {
  const id = fc.oneof(
    fc.integer({ min: 1, max: 4_294_967_294 }),
    fc.constantFrom(1, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 3, 2 ** 32 - 2),
  );
  const outside = idRange.start;
  await fc.assert(
    fc.asyncProperty(id, id, async (uid, gid) => {
      const plan = shellPlan('id -u; id -g');
      const map = (inside: number) => [
        { inside: 0, outside, count: 1 },
        { inside, outside: outside + 1, count: 1 },
      ];
      const own: Plan = {
        ...plan,
        idMaps: { uid: map(uid), gid: map(gid) },
        // The root's own terminals and groups are not what is tried here.
        operations: plan.operations.map((one) => (one.op === 'devpts' ? { ...one, gid: null } : one)),
        exec: { ...plan.exec, uid, gid },
      };
      const { stdout, lines } = await runToEnd(shims, own, dirs.root);
      assert.equal(stdout, `${uid}\n${gid}\n`, lines.join());
      const unmapped: Plan = { ...own, exec: { ...own.exec, uid: uid === 4_294_967_294 ? uid - 1 : uid + 1 } };
      const refused = await runToEnd(shims, unmapped, dirs.root);
      assert.match(refused.lines.join(), new RegExp(`^failed ${EINVAL} \\d+ user`));
    }),
    { numRuns: 25 },
  );
});

test('capabilities: none by default, else exactly those in the sets where they hold', async () => {
  const sets = `grep -E '^(Cap|NoNewPrivs)' /proc/self/status`;
  const none = '0'.repeat(16);
  const asked = ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW', 'CAP_CHECKPOINT_RESTORE'] as const;
  const mask = ((1n << 10n) | (1n << 13n) | (1n << 40n)).toString(16).padStart(16, '0');
  const cases: [Partial<SandboxSpecInput>, Record<(typeof capabilitySets)[number], string>][] = [
    [{}, { CapInh: none, CapPrm: none, CapEff: none, CapBnd: none, CapAmb: none }],
    [{ user: { uid: 5 } }, { CapInh: none, CapPrm: none, CapEff: none, CapBnd: none, CapAmb: none }],
    [{ capabilities: { add: [...asked] } }, { CapInh: none, CapPrm: mask, CapEff: mask, CapBnd: mask, CapAmb: none }],
    [
      { capabilities: { add: [...asked, 'CAP_NET_RAW'] }, user: { uid: 5 } },
      { CapInh: mask, CapPrm: mask, CapEff: mask, CapBnd: mask, CapAmb: mask },
    ],
  ];
  for (const [spec, expected] of cases) {
    const check = (text: string, name: string): void => {
      for (const set of capabilitySets) assert.equal(statusField(text, set), expected[set], `${name} ${JSON.stringify(spec)} ${set}`);
      assert.equal(statusField(text, 'NoNewPrivs'), '1');
    };
    const run = shims.run(shellPlan(`${sets}; while :; do sleep 0.02; done`, spec), stateDirectory(dirs.root));
    const { init, command } = await pidsOf(run);
    check(readFileSync(`/proc/${command}/status`, 'utf8'), 'first');
    using target = shims.native.openProcess(init, shims.native.processStart(init));
    const parsed = resolveProcess(SandboxSpec.parse({ command: ['true'], ...spec }), null);
    const entered = shims.enter(enterPlanOf(['sh', '-c', sets], { spec: parsed, user: parsed.user }), target.pidfd);
    check((await entered.output).stdout, 'entered');
    await entered.ended();
    // Who stays behind holds none.
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) assert.equal(statusField(init, set), none, `init ${set}`);
    run.send('kill');
    await run.ended();
  }
  assert.deepEqual(capabilitiesOf(BigInt(`0x${mask}`)), [...asked]);
});

test('a capability that the kernel does not know is refused, not left out', async () => {
  const plan = shellPlan('true');
  const encoded = {
    ...plan,
    operations: plan.operations.map((one) => (one.op === 'drop_capabilities' ? { ...one, keep: ['CAP_41' as never] } : one)),
  };
  // Not in the list: its number is -1, which no mask can hold; the encoder refuses before the kernel could.
  await assert.rejects(async () => runToEnd(shims, encoded, dirs.root), RangeError);
});

test('limits, priority, score and mask are what was asked for, and of the command only', async () => {
  const spec: Partial<SandboxSpecInput> = {
    rlimits: {
      nofile: { soft: 20, hard: 30 },
      nproc: { soft: 100, hard: 200 },
      core: { soft: 1, hard: 2 },
      fsize: { soft: 'unlimited', hard: 'unlimited' },
      as: { soft: 2_000_000_000, hard: 3_000_000_000 },
      memlock: { soft: 0, hard: 65_536 },
      rttime: { soft: 5, hard: 6 },
    },
    nice: -3,
    oomScoreAdj: 321,
    umask: '0027',
  };
  const parsed = SandboxSpec.parse({ command: ['true'], ...spec });
  const check = (text: string): void => {
    const limits = parseLimits(text);
    for (const [name, limit] of Object.entries(parsed.rlimits)) assert.deepEqual(limits[name as 'nofile'], limit, name);
    assert.match(text, /^nice=-3$/m);
    assert.match(text, /^oom=321$/m);
    assert.match(text, /^umask=0027$/m);
  };
  const script = `cat /proc/self/limits; echo nice=$(cut -d' ' -f19 /proc/self/stat); echo oom=$(cat /proc/self/oom_score_adj); echo umask=$(umask)`;
  const run = shims.run(shellPlan(`${script}; while :; do sleep 0.02; done`, spec), stateDirectory(dirs.root));
  const { init, command } = await pidsOf(run);
  assert.deepEqual(parseLimits(readFileSync(`/proc/${command}/limits`, 'utf8')).nofile, { soft: 20, hard: 30 });
  assert.notDeepEqual(parseLimits(readFileSync(`/proc/${init}/limits`, 'utf8')).nofile, { soft: 20, hard: 30 });
  using target = shims.native.openProcess(init, shims.native.processStart(init));
  const entered = shims.enter(enterPlanOf(['sh', '-c', script], { spec: parsed }), target.pidfd);
  const { stdout, stderr } = await entered.output;
  assert.equal(stderr, '', entered.lines.join());
  check(stdout);
  await entered.ended();
  run.send('kill');
  await run.ended();
  check((await runToEnd(shims, shellPlan(script, spec), dirs.root)).stdout);
});

test('a limit that is too small for a program refuses with the step, and the smallest ones do not break the shim', async () => {
  const refused = await runToEnd(shims, shellPlan('true', { rlimits: { as: { soft: 4096, hard: 4096 } } }), dirs.root);
  assert.match(refused.lines.join(), /^(running|failed \d+ -1 exec )/);
  const small = { rlimits: { nofile: { soft: 3, hard: 3 }, fsize: { soft: 0, hard: 0 }, stack: { soft: 262_144, hard: 262_144 } } };
  const { lines } = await runToEnd(shims, planOf({ command: ['/bin/true'], ...small }), dirs.root);
  // It runs; that its loader may not open a file is its own affair.
  assert.match(lines[0] ?? '', /^running /, lines.join());
});

test('what is above the agent’s own hard limit is raised where the agent may, else refused with the step', async () => {
  const kernel = readKernelFacts(true);
  const own = kernel.hardLimits.msgqueue;
  assert.ok(typeof own === 'number');
  const spec = { rlimits: { msgqueue: { soft: 1, hard: own + 1 } } };
  const { lines, stdout } = await runToEnd(shims, shellPlan('cat /proc/self/limits', spec), dirs.root);
  if (kernel.capabilities.includes('CAP_SYS_RESOURCE')) assert.deepEqual(parseLimits(stdout).msgqueue, spec.rlimits.msgqueue);
  else assert.match(lines.join(), new RegExp(`^failed ${EPERM} \\d+ raise_rlimit`));
  const impossible = await runToEnd(shims, shellPlan('true', { rlimits: { nofile: { soft: 1, hard: 'unlimited' } } }), dirs.root);
  assert.match(impossible.lines.join(), new RegExp(`^failed ${EPERM} \\d+ raise_rlimit`), 'above fs.nr_open nobody may');
});
