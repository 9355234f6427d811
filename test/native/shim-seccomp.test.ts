/** The operation `seccomp`: bound in both processes of a sandbox and in one that enters, as late as possible; refused whole. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { before, test } from 'node:test';
import type { Plan, PlanOperation } from '#shared/plan.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { enterPlanOf, pidsOf, readLog, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EINVAL } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});

/** struct sock_filter */
type Instruction = readonly [code: number, jt: number, jf: number, k: number];
const [load, jumpEqual, ret] = [0x20, 0x15, 0x06];
const allow = 0x7fff_0000;
const errno = (number: number): number => 0x5_0000 | number;

function filter(...instructions: Instruction[]): PlanOperation {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, [code, jt, jf, k]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k, index * 8 + 4);
  }
  return { op: 'seccomp', side: 'inner', profile: 'tested', program: bytes.toString('base64') };
}

/** One call gets an errno that the kernel never gives for it. */
function refusing(call: number, number: number): PlanOperation {
  return filter([load, 0, 0, 0], [jumpEqual, 0, 1, call], [ret, 0, 0, errno(number)], [ret, 0, 0, allow]);
}

/** The plan with these filters alone. */
function bound(plan: Plan, ...operations: PlanOperation[]): Plan {
  return { ...plan, operations: [...plan.operations.filter(({ op }) => op !== 'seccomp'), ...operations] };
}

const uname = process.arch === 'x64' ? 63 : 160;
const getppid = process.arch === 'x64' ? 110 : 173;
const eHwPoison = 133;

const script = `
  perl -e 'printf "%d %d\\n", syscall(${uname}, my $b = "x" x 512), $!; printf "%d %d\\n", syscall(${getppid}), $!'
  grep -E '^(Seccomp|Seccomp_filters):' /proc/self/status`;

test('binds the command, PID 1 and one that enters, each by the program of its own plan', async () => {
  const sandbox = shims.run(bound(shellPlan(`${script}; exec sleep 600`), refusing(uname, eHwPoison)), stateDirectory(dirs.root));
  const { init, command } = await pidsOf(sandbox);
  for (const pid of [init, command])
    assert.deepEqual([statusField(pid, 'Seccomp'), statusField(pid, 'Seccomp_filters'), statusField(pid, 'NoNewPrivs')], ['2', '1', '1']);
  using handle = shims.native.openProcess(init, shims.native.processStart(init));
  const entered = shims.enter(bound(enterPlanOf(['sh', '-c', script]), refusing(getppid, eHwPoison)), handle.pidfd);
  assert.deepEqual(await entered.output, { stdout: `0 0\n-1 ${eHwPoison}\nSeccomp:\t2\nSeccomp_filters:\t1\n`, stderr: '' });
  await entered.ended();
  sandbox.send('kill');
  await sandbox.ended();
});

test('two are both heard, and a ready sandbox is bound as any other', async () => {
  const plan = bound(shellPlan(script), refusing(uname, eHwPoison), refusing(getppid, eHwPoison));
  const { stdout } = await runToEnd(shims, plan, dirs.root);
  assert.equal(stdout, `-1 ${eHwPoison}\n-1 ${eHwPoison}\nSeccomp:\t2\nSeccomp_filters:\t2\n`);
  const state = stateDirectory(dirs.root);
  const ready = shims.ready(state);
  await ready.line('ready');
  ready.give(plan);
  await ready.ended();
  assert.equal(readLog(state, 'stdout.log'), stdout);
});

test('what the kernel does not take, or is no program, starts nothing and names its step', async () => {
  const plan = shellPlan('true');
  const last = bound(plan).operations.length;
  const none = { op: 'seccomp', side: 'inner', profile: 'tested', program: 'AAAA' } as const;
  // No return at its end: the kernel refuses it, when the command is about to run.
  for (const broken of [none, filter([load, 0, 0, 0])]) {
    const { lines, state } = await runToEnd(shims, bound(plan, broken), dirs.root);
    assert.equal(lines.at(-1), `failed ${EINVAL} ${last} seccomp tested`);
    assert.ok(!readdirSync(state).includes('exit'));
  }
});

test('a command that its filter does not let start says so', async () => {
  const execve = process.arch === 'x64' ? 59 : 221;
  const { lines } = await runToEnd(shims, bound(shellPlan('true'), refusing(execve, eHwPoison)), dirs.root);
  assert.equal(lines.at(-1), `failed ${eHwPoison} -1 exec sh`);
});

test('nothing of the host is bound', () => {
  assert.equal(statusField(readFileSync('/proc/self/status', 'utf8'), 'Seccomp'), statusField(process.ppid, 'Seccomp'));
});
