/** Landlock: what is not named is closed, for the first process and for those that enter; each with the same sandbox without it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { before, test } from 'node:test';
import type { Plan, PlanOperation } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, pidsOf, readLog, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EINVAL, ELOOP, ENOENT } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
/** Whether this kernel has Landlock, and the sixth version of it. */
let scopes = false;
before(async () => {
  shims = fileResources.use(await loadShims());
  const { lines } = await runToEnd(shims, withRules(shellPlan('true'), [begin({ signals: true }), end]), dirs.root);
  scopes = lines.at(-1) === 'exit 0 0';
});

type Begin = Extract<PlanOperation, { op: 'landlock' }>;
const begin = (what: Partial<Begin>): Begin => ({
  op: 'landlock',
  side: 'inner',
  paths: false,
  bind: false,
  connect: false,
  abstractSockets: false,
  signals: false,
  optional: false,
  ...what,
});
const end: PlanOperation = { op: 'landlock_restrict', side: 'inner' };
const withRules = (plan: Plan, rules: PlanOperation[]): Plan => ({ ...plan, operations: [...plan.operations, ...rules] });

const volumes = ['/tmp/in', '/tmp/out'].map((target) => ({ type: 'tmpfs' as const, target }));
const landlock = { readable: ['/usr', '/etc'], writable: ['/tmp/in', '/proc'] };
/** Each a word: what may be done. */
const attempts = `
  (cat /etc/passwd > /tmp/in/x && rm /tmp/in/x) 2>/dev/null && echo in
  (ls /tmp/out) > /dev/null 2>&1 && echo list
  (: > /tmp/out/y) 2>/dev/null && echo out
  perl -e 'exit !truncate("/tmp/out/y", 0)' && echo truncate
  (ln -s x /tmp/out/l) 2>/dev/null && echo link
  (cp /usr/bin/true /tmp/out/t && /tmp/out/t) 2>/dev/null && echo run
  perl -e 'exit 0' && echo perl; true`;

test('paths: what is not named is closed, also to one that enters', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  const free = await runToEnd(shims, shellPlan(attempts, { volumes }), dirs.root);
  assert.equal(free.stdout, 'in\nlist\nout\ntruncate\nlink\nperl\n', free.stderr);
  const bound = await runToEnd(shims, shellPlan(attempts, { volumes, landlock }), dirs.root);
  assert.equal(bound.stdout, 'in\nperl\n', bound.stderr);

  const sandbox = shims.run(shellPlan('exec sleep 600', { volumes, landlock }), stateDirectory(dirs.root));
  const { init } = await pidsOf(sandbox);
  using handle = shims.native.openProcess(init, shims.native.processStart(init));
  const spec = SandboxSpec.parse({ command: ['true'], volumes, landlock });
  const entered = shims.enter(enterPlanOf(['sh', '-c', attempts], { spec }), handle.pidfd);
  assert.equal((await entered.output).stdout, 'in\nperl\n');
  await entered.ended();
  sandbox.send('kill');
  await sandbox.ended();
});

test('a ready sandbox is bound as any other', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  const state = stateDirectory(dirs.root);
  const ready = shims.ready(state);
  await ready.line('ready');
  ready.give(shellPlan(attempts, { volumes, landlock }));
  await ready.ended();
  assert.equal(readLog(state, 'stdout.log'), 'in\nperl\n');
});

const ports = `perl -MSocket -e '
  for my $port (7001, 7002) {
    socket(my $s, AF_INET, SOCK_STREAM, 0); print "bind $port\n" if bind($s, sockaddr_in($port, INADDR_LOOPBACK)) && listen($s, 1);
    socket(my $c, AF_INET, SOCK_STREAM, 0); print "connect $port\n" if connect($c, sockaddr_in($port, INADDR_LOOPBACK));
    print "closed $port\n" if $!{EACCES};
  }'`;

test('TCP ports', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  const run = async (rules?: SandboxSpecInput['landlock']): Promise<string> =>
    (await runToEnd(shims, shellPlan(ports, rules === undefined ? {} : { landlock: rules }), dirs.root)).stdout;
  const all = 'bind 7001\nconnect 7001\nbind 7002\nconnect 7002\n';
  assert.equal(await run(), all);
  assert.equal(await run({ bindTcp: [7001] }), 'bind 7001\nconnect 7001\n');
  assert.equal(await run({ bindTcp: [7001, 7002], connectTcp: [7002] }), 'bind 7001\nclosed 7001\nbind 7002\nconnect 7002\n');
  assert.equal(await run({ bindTcp: [], connectTcp: [] }), 'closed 7001\nclosed 7002\n');
});

test('abstract sockets of a network namespace that it shares are out of reach', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  const name = `nsfleet-canary-${process.pid}`;
  const server = createServer((socket) => socket.destroy()).listen(`\0${name}`);
  fileResources.defer(() => void server.close());
  const script = `perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); print connect($s, pack("Sa*", AF_UNIX, chr(0) . "${name}")) ? "in" : $!{EPERM} ? "EPERM" : "$!"'`;
  const plan = shellPlan(script, { namespaces: { net: { from: 'host' } } });
  const free = plan.operations.filter(({ op }) => !op.startsWith('landlock'));
  assert.equal(free.length, plan.operations.length - 2);
  assert.equal((await runToEnd(shims, { ...plan, operations: free }, dirs.root)).stdout, 'in');
  assert.equal((await runToEnd(shims, plan, dirs.root)).stdout, 'EPERM');
});

test('signals stay in the domain', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  const sandbox = shims.run(shellPlan('exec sleep 600'), stateDirectory(dirs.root));
  const { init } = await pidsOf(sandbox);
  using handle = shims.native.openProcess(init, shims.native.processStart(init));
  const script = 'kill -0 2 2>/dev/null && echo other; sleep 9 & kill $! && echo own';
  for (const [rules, said] of [
    [[], 'other\nown\n'],
    [[begin({ signals: true }), end], 'own\n'],
  ] as const) {
    const entered = shims.enter(withRules(enterPlanOf(['sh', '-c', script]), [...rules]), handle.pidfd);
    assert.equal((await entered.output).stdout, said);
    await entered.ended();
  }
  sandbox.send('kill');
  await sandbox.ended();
});

test('a path that is not there, or leads by a symbolic link, starts nothing and names its step', async (t) => {
  if (!scopes) return t.skip('this kernel has no Landlock of version 6');
  for (const [path, errnum] of [
    ['/tmp/none', ENOENT],
    ['/bin/sh', ELOOP],
    ['/proc/self/root/etc', ELOOP],
  ] as const) {
    const plan = shellPlan('true', { landlock: { readable: [path] } });
    const at = plan.operations.findIndex(({ op }) => op === 'landlock_path');
    const { lines, state } = await runToEnd(shims, plan, dirs.root);
    assert.equal(lines.at(-1), `failed ${errnum} ${at} landlock_path ${path}`);
    assert.ok(!readdirSync(state).includes('exit'));
  }
  const twice = withRules(shellPlan('true'), [begin({ signals: true }), begin({ signals: true })]);
  assert.equal((await runToEnd(shims, twice, dirs.root)).lines.at(-1), `failed ${EINVAL} ${twice.operations.length - 1} landlock -`);
});
