/** The sandbox of a plain user: one mapped id, every operation inside. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileEnterPlan, compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { readCalled } from '#agent/sandbox/seccomp/called.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { buildNative } from '#native/build.mjs';
import { encodePlan } from '#native/plan-wire.ts';
import type { Plan } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { pidsOf, readLog, sourcesOf } from '#test/support/sandbox.ts';
import { conversation, statusField } from '#test/support/shim.ts';
import type { ShimRun } from '#test/support/shim.ts';

const kernel = readKernelFacts(false);
leakCheck();
const dirs = temporaryDirectories();
/** nobody: has a group, owns nothing, is in no list. */
const owner = { uid: 65_534, gid: 65_534 };
before(() => buildNative());
const running: ShimRun[] = [];
fileResources.defer(async () => {
  for (const run of running) run.send('kill');
  await Promise.all(running.map((run) => run.ended()));
});

function planOf(spec: SandboxSpecInput): Plan {
  return compileSandboxPlan({
    ...sourcesOf(SandboxSpec.parse(spec)),
    name: 'plain',
    idRange: null,
    owner,
    host: readHostRootFacts(),
    kernel,
  });
}

/** As the shim is started by an agent of that user; through descriptors, since it may not walk to the checkout. */
function start(mode: 'run' | 'enter', plan: Plan, last: number): ShimRun & { process: ChildProcess } {
  const planFile = join(mkdtempSync(join(dirs.root, 'plan-')), 'plan');
  writeFileSync(planFile, encodePlan(plan));
  const planFd = openSync(planFile, 'r');
  const shimFd = openSync(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')), 'r');
  const as = ['--reuid', String(owner.uid), '--regid', String(owner.gid), '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
  const streams = mode === 'run' ? 'ignore' : 'pipe';
  const child = spawn('setpriv', [...as, '/proc/self/fd/6', mode], {
    stdio: ['ignore', streams, streams, planFd, 'pipe', last, shimFd],
    env: {},
  });
  closeSync(planFd);
  closeSync(shimFd);
  let exit: { code: number; signal: number } | null = null;
  child.on('exit', (code) => (exit = { code: code ?? -1, signal: 0 }));
  const run = conversation({ wait: () => exit, close: () => undefined }, child.stdio[4] as Socket);
  running.push(run);
  return Object.assign(run, { process: child });
}

let made = 0;

function startRun(plan: Plan): ReturnType<typeof start> & { state: string } {
  made += 1;
  const state = join(dirs.root, `plain-${made}`);
  mkdirSync(state, { mode: 0o700 });
  chownSync(state, owner.uid, owner.gid);
  const fd = openSync(state, 'r');
  const run = start('run', plan, fd);
  closeSync(fd);
  return Object.assign(run, { state });
}

test('runs with one mapped id, as root inside and as itself outside', async () => {
  const script =
    'id -u; hostname; cat /proc/self/uid_map; ls /dev | wc -l; (: > /usr/x) 2>/dev/null || echo no; echo y > /tmp/y && echo yes > /dev/stdout; sleep 600';
  const run = startRun(planOf({ command: ['sh', '-c', script] }));
  const { init, command } = await pidsOf(run);
  while (!readLog(run.state, 'stdout.log').includes('yes')) await new Promise((resolve) => setTimeout(resolve, 5));
  const seen = readLog(run.state, 'stdout.log')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).join(' '));
  assert.deepEqual(seen, ['0', 'plain', `0 ${owner.uid} 1`, '14', 'no', 'yes', '']);
  for (const pid of [init, command]) {
    assert.equal(statusField(pid, 'Uid').split('\t').join(' '), Array(4).fill(owner.uid).join(' '));
    assert.equal(statusField(pid, 'NoNewPrivs'), '1');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(BigInt(`0x${statusField(pid, set)}`), 0n, set);
  }
  assert.equal(readFileSync(`/proc/${command}/setgroups`, 'utf8').trim(), 'deny');

  // Its own agent, of the same user, can see its namespaces and enter it by its PID 1.
  const link = spawn('setpriv', ['--reuid', String(owner.uid), '--clear-groups', '--inh-caps=-all', 'readlink', `/proc/${init}/ns/net`]);
  assert.match((await collect(link)).stdout, /^net:\[\d+\]/);
  run.send('kill');
  assert.equal(await run.line('exit'), 'exit -1 9');
  await run.ended();
});

test('is bound by a filter as any other, and by Landlock; one that only writes down hears its calls too', async () => {
  const landlock = { readable: ['/usr', '/etc'], writable: ['/tmp', '/proc'] };
  const status = startRun(
    planOf({ command: ['sh', '-c', 'grep ^Seccomp: /proc/self/status; (: > /dev/shm/x) && ls /var 2>&1; unshare -n true'], landlock }),
  );
  await status.ended();
  assert.equal(readLog(status.state, 'stdout.log'), "Seccomp:\t2\nls: cannot open directory '/var': Permission denied\n");
  assert.match(readLog(status.state, 'stderr.log'), /unshare failed: Operation not permitted/);
  const logged = startRun(planOf({ command: ['perl', '-e', 'syscall(425, 1, 0); print "on"'], seccomp: { profile: 'log' } }));
  await logged.ended();
  assert.equal(readLog(logged.state, 'stdout.log'), 'on');
  assert.deepEqual((await readCalled(logged.state, 'log', 'plain')).refused.strict, ['io_uring_setup']);
});

test('a second id is refused with the step', async () => {
  const run = startRun(planOf({ command: ['true'], user: { uid: 1, gid: 0 } }));
  await run.ended();
  assert.match(run.lines[0] ?? '', /^failed 22 \d+ user the user: its uid or gid is not among/);
});

test('a directory root, which its user owns', async () => {
  const root = join(dirs.root, 'plain-root');
  for (const name of ['', 'usr', 'proc', 'dev', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  chmodSync(dirs.root, 0o755);
  for (const path of [root, ...readdirSync(root).map((name) => join(root, name))]) chownSync(path, owner.uid, owner.gid);
  const run = startRun(planOf({ command: ['/bin/none'], root: { type: 'directory', path: root } }));
  await run.ended();
  // The way there leads through root's home on a test machine; then the kernel's refusal is the right answer.
  assert.match(run.lines.at(-1) ?? '', /^failed (2 -1 exec \/bin\/none|13 \d+ (lower|overlay) .*)$/);
  rmSync(run.state, { recursive: true });
});

test('entering', async () => {
  const run = startRun(planOf({ command: ['sleep', '600'] }));
  const { init, command } = await pidsOf(run);
  const { loadNative } = await import('#native/binding.ts');
  const native = loadNative();
  using target = native.openProcess(init, native.processStart(init));
  const plan = compileEnterPlan({
    command: ['sh', '-c', 'id -u; hostname; exit 4'],
    env: {},
    cwd: '/',
    user: { uid: 0, gid: 0, groups: [] },
    spec: SandboxSpec.parse({ command: ['true'] }),
    hostname: 'plain',
    joined: null,
    idRange: null,
    owner,
    kernel,
  });
  const entered = start('enter', plan, target.pidfd.number);
  const { stdout } = await collect(entered.process);
  assert.deepEqual(entered.lines.slice(1), ['exit 4 0'], entered.lines.join());
  assert.equal(stdout, '0\nplain\n');
  await entered.ended();
  assert.equal(statusField(command, 'NoNewPrivs'), '1');
  run.send('kill');
  await run.ended();
});

async function collect(child: ChildProcess): Promise<{ stdout: string }> {
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.resume();
  await new Promise((resolve) => child.once('close', resolve));
  return { stdout };
}
