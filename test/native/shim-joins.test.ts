/** Joining by descriptor: what the shim takes is what the plan names, or nothing; and what a sandbox leaves in a pid namespace of others. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJoins } from '#agent/sandbox/join-targets.ts';
import type { JoinTargets } from '#agent/sandbox/join-targets.ts';
import { compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { emptyModel } from '#agent/inventory/model.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import type { Plan } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, kernel, pidsOf, planOf, readLog, sourcesOf, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EINVAL, EPERM, ESTALE } = constants.errno as Record<string, number>;

leakCheck();
const dirs = temporaryDirectories();
const owner = { uid: 0, gid: 0 };
let shims: Shims;
let web: { init: number; command: number };

before(async () => {
  shims = fileResources.use(await loadShims());
  web = await pidsOf(shims.run(planOf({ command: ['sleep', '600'] }, testIdRange(1)), stateDirectory(dirs.root)));
});

const identityOf = (pid: number) => ({ pid, start: shims.native.processStart(pid).toString() });

/** As the agent does it, with `web` as the only other sandbox. */
async function joining(spec: Partial<SandboxSpecInput>): Promise<JoinTargets & { plan: Plan }> {
  const parsed = SandboxSpec.parse({ command: ['true'], constraint: 'true', ...spec });
  const initOf = (name: string) => (name === 'web' ? identityOf(web.init) : null);
  const opened = await openJoins({ native: shims.native, owner, initOf, model: async () => emptyModel }, parsed, 'tested');
  const input = { ...sourcesOf(parsed), name: 'tested', idRange: testIdRange(2), owner, host: readHostRootFacts(), kernel };
  return { ...opened, plan: compileSandboxPlan({ ...input, joined: opened.facts }) };
}

const ofWeb = { from: 'sandbox', name: 'web' } as const;

test('another type, inode or id than the plan names: nothing is made, and the step and type are told', async () => {
  using opened = await joining({ namespaces: { net: ofWeb } });
  const [join] = opened.plan.joins;
  assert.ok(join !== undefined);
  const withJoin = (changed: Partial<typeof join>): Plan => ({ ...opened.plan, joins: [{ ...join, ...changed }] });
  const cases: [Partial<typeof join>, string][] = [
    [{ inode: join.inode + 1 }, `failed ${ESTALE} -1 namespace net`],
    ...(join.id === null ? [] : [[{ id: String(BigInt(join.id) + 1n) }, `failed ${ESTALE} -1 namespace net`] as [object, string]]),
    [{ type: 'uts' }, `failed ${EINVAL} -1 namespace uts`],
  ];
  for (const [changed, expected] of cases) {
    // The plan that says another type makes a network namespace of its own.
    const plan = withJoin(changed);
    const namespaces = plan.namespaces.filter((type) => type !== changed.type);
    const run = shims.run({ ...plan, namespaces }, stateDirectory(dirs.root), opened.targets);
    assert.equal((await run.ended()).code, 1);
    assert.deepEqual(run.lines, [expected]);
  }
  // What is no namespace at all.
  using state = shims.native.openDir('/');
  const run = shims.run(opened.plan, stateDirectory(dirs.root), [state]);
  await run.ended();
  assert.deepEqual(run.lines, [`failed ${EINVAL} -1 namespace net`]);
  const good = shims.run(opened.plan, stateDirectory(dirs.root), opened.targets);
  assert.equal((await good.ended()).code, 0, good.lines.join());
});

test('a plan that joins what it makes, or one type twice, is malformed', async () => {
  using opened = await joining({ namespaces: { net: ofWeb } });
  const [join] = opened.plan.joins;
  assert.ok(join !== undefined);
  for (const plan of [
    { ...opened.plan, namespaces: [...opened.plan.namespaces, 'net' as const] },
    { ...opened.plan, joins: [join, join] },
  ]) {
    const run = shims.run(plan, stateDirectory(dirs.root), opened.targets);
    await run.ended();
    assert.match(run.lines[0] ?? '', /^failed \d+ -1 plan decode$/);
  }
});

test('a pid that has passed on is another process: its namespaces are not joined', async () => {
  const initOf = () => ({ pid: web.init, start: '1' });
  const parts = { native: shims.native, owner, initOf, model: async () => emptyModel };
  const spec = SandboxSpec.parse({ command: ['true'], namespaces: { net: ofWeb } });
  await assert.rejects(openJoins(parts, spec, 'tested'), { code: 'NAMESPACE_NOT_FOUND', reason: /net of sandbox web/ });
  const gone = { from: 'pid', pid: 4_194_303 } as const;
  await assert.rejects(joining({ namespaces: { net: gone } }), { code: 'NAMESPACE_NOT_FOUND' });
});

test('queues, SysV and POSIX, are those of the ipc namespace, and of no other', async () => {
  const script = 'ipcmk -Q >/dev/null && touch /dev/mqueue/mine && ipcs -q | grep -c 0x; ls /dev/mqueue; echo made; sleep 600';
  const first = shims.run(planOf({ command: ['sh', '-c', script] }, testIdRange(3)), stateDirectory(dirs.root));
  const { init } = await pidsOf(first);
  const look = 'ipcs -q | grep -c 0x; ls /dev/mqueue';
  const lookFrom = async (spec: Partial<SandboxSpecInput>): Promise<string> => {
    const parsed = SandboxSpec.parse({ command: ['sh', '-c', look], ...spec });
    const state = stateDirectory(dirs.root);
    const parts = { native: shims.native, owner, initOf: () => identityOf(init), model: async () => emptyModel };
    using opened = await openJoins(parts, parsed, 'tested');
    const input = { ...sourcesOf(parsed), name: 'tested', idRange: testIdRange(4), owner, host: readHostRootFacts(), kernel };
    const run = shims.run(compileSandboxPlan({ ...input, joined: opened.facts }), state, opened.targets);
    await run.ended();
    return readLog(state, 'stdout.log');
  };
  // The command has said so when its queues are made.
  while (!(await lookFrom({ namespaces: { ipc: ofWeb, user: ofWeb } })).startsWith('1\n')) await sleep(20);
  assert.equal(await lookFrom({ namespaces: { ipc: ofWeb, user: ofWeb } }), '1\nmine\n');
  assert.equal(await lookFrom({}), '0\n');
  first.send('kill');
  await first.ended();
});

test('a shim that is killed takes along what its sandbox left in the pid namespace of another', async () => {
  const marker = String(800_000 + process.pid);
  using opened = await joining({
    namespaces: { pid: ofWeb, user: ofWeb },
    command: [
      'sh',
      '-c',
      `setsid sleep ${marker} & setsid sh -c "sleep ${marker} & exec sleep ${marker}" & kill -9 $PPID; exec sleep ${marker}`,
    ],
  });
  const run = shims.run(opened.plan, stateDirectory(dirs.root), opened.targets);
  const { init } = await pidsOf(run);
  assert.equal(readlinkSync(`/proc/${init}/ns/pid`), readlinkSync(`/proc/${web.init}/ns/pid`));
  while (left(marker).length < 4) await sleep(10);
  // Its command has root's id inside and could not kill it: init has one that no command may have.
  assert.match(readFileSync(`/proc/${init}/status`, 'latin1'), new RegExp(`^Uid:\\t${testIdRange(1).start + 65_535}\\t`, 'm'));
  process.kill(run.pid, 'SIGKILL');
  await run.ended();
  for (let tries = 0; left(marker).length > 0 && tries < 500; tries++) await sleep(10);
  assert.deepEqual(left(marker), []);
});

function left(marker: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`sleep\0${marker}\0`);
    } catch {
      return false;
    }
  });
}

test('no command is the host’s root, whatever plan or name leads there: neither the first nor one that enters', async () => {
  const spec = SandboxSpec.parse({ command: ['sleep', '600'], namespaces: { user: { from: 'host' } }, user: { uid: 12_345, gid: 12_345 } });
  const input = { ...sourcesOf(spec), name: 'tested', idRange: testIdRange(2), owner, host: readHostRootFacts(), kernel };
  const plan = compileSandboxPlan(input);
  const zeroGroup = { op: 'group', side: 'inner', gid: 0, name: null } as const;
  const at = plan.operations.findIndex(({ op }) => op === 'user') + 1;
  for (const forbidden of [
    { ...plan, exec: { ...plan.exec, uid: 0 } },
    { ...plan, exec: { ...plan.exec, gid: 0 } },
    { ...plan, operations: plan.operations.toSpliced(at, 0, zeroGroup) },
  ]) {
    const run = shims.run(forbidden, stateDirectory(dirs.root));
    await run.ended();
    assert.deepEqual(run.lines, [`failed ${EPERM} -1 ids -`]);
  }
  const run = shims.run(plan, stateDirectory(dirs.root));
  const { init, command } = await pidsOf(run);
  assert.match(readFileSync(`/proc/${command}/status`, 'latin1'), /^Uid:\t12345\t12345\t12345\t12345$/m);
  using target = shims.native.openProcess(init, shims.native.processStart(init));
  const enter = (uid: number) => enterPlanOf(['id', '-u'], { spec, user: { uid, gid: 12_345, groups: [] } });
  const refused = shims.enter(enter(0), target.pidfd);
  await refused.ended();
  assert.deepEqual(refused.lines, [`failed ${EPERM} -1 ids -`]);
  const allowed = shims.enter(enter(54_321), target.pidfd);
  assert.deepEqual((await allowed.output).stdout, '54321\n');
  await allowed.ended();
  run.send('kill');
  await run.ended();
});

test('in the host’s own mount namespace: nothing is mounted there', async () => {
  const everything = { mnt: { from: 'host' }, user: { from: 'host' }, pid: { from: 'host' } } as const;
  const spec = SandboxSpec.parse({
    command: ['sh', '-c', 'id -u; readlink /proc/self/ns/mnt /proc/self/ns/pid; hostname; grep NoNewPrivs /proc/self/status'],
    namespaces: everything,
    user: { uid: 12_345, gid: 12_345 },
  });
  const input = { ...sourcesOf(spec), name: 'tested', idRange: testIdRange(2), owner, host: readHostRootFacts(), kernel };
  // Of these only: other tests mount elsewhere at the same time.
  const ours = /^(\/|\/(proc|dev|sys|tmp|run|usr|etc)(\/(pts|shm|mqueue|null|tty|sys|kcore))?)$/;
  const mountPoints = () =>
    readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => ours.test(path));
  const mounts = mountPoints();
  const state = stateDirectory(dirs.root);
  const run = shims.run(compileSandboxPlan(input), state);
  assert.equal((await run.ended()).code, 0, run.lines.join());
  const own = (type: string): string => readlinkSync(`/proc/self/ns/${type}`);
  assert.equal(readLog(state, 'stdout.log'), `12345\n${own('mnt')}\n${own('pid')}\ntested\nNoNewPrivs:\t1\n`);
  assert.deepEqual(mountPoints(), mounts);
});
