/** Starting, ending, signalling and failing: what the shim says and what it leaves. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Plan } from '#shared/plan.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { testIdRange } from '#test/support/id-pool.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { pidsOf, planOf, readLog, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { isAlive, loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { ECANCELED, ENOENT, EACCES, ENOTDIR, ENOEXEC } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});
function exitFile(state: string): string[] {
  return readFileSync(join(state, 'exit'), 'utf8').split('\n').slice(0, 3);
}

test('the exit code is kept: said, and in a file', async () => {
  const { lines, state } = await runToEnd(shims, shellPlan('exit 42'), dirs.root);
  assert.match(lines[0] ?? '', /^running \d+ \d+$/);
  assert.deepEqual(lines.slice(1), ['exit 42 0']);
  assert.deepEqual(exitFile(state), ['nsfleet-exit 1', 'code 42', 'signal 0']);
  assert.ok(Math.abs(Number(/ended_ms (\d+)/.exec(readFileSync(join(state, 'exit'), 'utf8'))?.[1]) - Date.now()) < 60_000);
  assert.deepEqual(readdirSync(state).sort(), ['exit', 'stderr.log', 'stdout.log']);
});

test('a signal that ends the command is kept apart from codes', async () => {
  const { lines, state } = await runToEnd(shims, shellPlan('kill -SEGV $$'), dirs.root);
  assert.equal(lines.at(-1), 'exit -1 11');
  assert.deepEqual(exitFile(state), ['nsfleet-exit 1', 'code -1', 'signal 11']);
});

test('signals reach the command, and only what is a signal', async () => {
  const state = stateDirectory(dirs.root);
  const run = shims.run(shellPlan('trap "exit 7" USR1; echo trapped; while :; do sleep 0.01; done'), state);
  await run.line('running');
  while (readLog(state, 'stdout.log') === '') await new Promise((resolve) => setTimeout(resolve, 2));
  run.send('signal 0');
  assert.equal(await run.line('error'), 'error 22 request');
  run.send('signal 10');
  assert.equal(await run.line('ok'), 'ok');
  assert.equal(await run.line('exit'), 'exit 7 0');
  await run.ended();
});

test('kill ends everything in it', async () => {
  const run = shims.run(shellPlan('setsid sleep 600 & (trap "" TERM HUP INT; sleep 600) & wait'), stateDirectory(dirs.root));
  const { init } = await pidsOf(run);
  while (readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim() === '') await new Promise(setImmediate);
  run.send('kill');
  assert.equal(await run.line('exit'), 'exit -1 9');
  await run.ended();
  assert.equal(existsSync(`/proc/${init}`), false);
});

test('orphans are reaped by PID 1, and die when the command ends', async () => {
  const script = `
    (sleep 0.01 & ) ; (setsid sh -c 'exit 3' & ) ; sleep 0.1
    echo zombies $(grep -l '^State:.Z' /proc/[0-9]*/status | wc -l)
    (setsid sleep 600 >/dev/null 2>&1 & )
    exit 5`;
  const run = shims.run(shellPlan(script), stateDirectory(dirs.root));
  const { init } = await pidsOf(run);
  assert.equal(await run.line('exit'), 'exit 5 0');
  await run.ended();
  assert.equal(existsSync(`/proc/${init}`), false);
});

test('what runs not says why, and leaves nothing but logs', async () => {
  const cases: [Plan, string][] = [
    [planOf({ command: ['no-such-command'] }), `failed ${ENOENT} -1 exec no-such-command`],
    [planOf({ command: ['/etc/passwd'] }), `failed ${EACCES} -1 exec /etc/passwd`],
    [planOf({ command: ['/etc/passwd/x'] }), `failed ${ENOTDIR} -1 exec /etc/passwd/x`],
    [planOf({ command: ['true'], env: { PATH: '/nowhere' } }), `failed ${ENOENT} -1 exec true`],
    [planOf({ command: ['/proc/self/fd/3'] }), `failed ${EACCES} -1 exec /proc/self/fd/3`],
    [planOf({ command: ['true'], cwd: '/no/such' }), `failed ${ENOENT} -1 cwd /no/such`],
    [planOf({ command: ['true'], cwd: '/etc/passwd' }), `failed ${ENOTDIR} -1 cwd /etc/passwd`],
    [planOf({ command: ['line\nbreak'] }), `failed ${ENOENT} -1 exec line?break`],
  ];
  for (const [plan, expected] of cases) {
    const { lines, state } = await runToEnd(shims, plan, dirs.root);
    assert.deepEqual(lines, [expected]);
    assert.deepEqual(readdirSync(state).sort(), ['stderr.log', 'stdout.log']);
  }
  for (let fd = 3; fd <= 20; fd++) {
    const { lines } = await runToEnd(shims, planOf({ command: ['true'], cwd: `/proc/self/fd/${fd}` }), dirs.root);
    assert.match(lines[0] ?? '', /^failed \d+ -1 cwd /, `cwd of descriptor ${fd}`);
  }
});

test('a file that is no program is refused, not given to a shell', async () => {
  const script = shellPlan('printf "echo hi" > /tmp/x; chmod 755 /tmp/x; exec /tmp/x');
  assert.equal((await runToEnd(shims, script, dirs.root)).stdout, 'hi\n', 'the shell’s own custom');
  const plan = planOf({ command: ['/tmp/x'] });
  plan.operations.splice(
    plan.operations.findIndex(({ op }) => op === 'pivot_root'),
    0,
    { op: 'file', side: 'inner', path: '/tmp/x', mode: 0o755, content: 'echo hi', replace: false, followSymlinks: false },
  );
  assert.deepEqual((await runToEnd(shims, plan, dirs.root)).lines, [`failed ${ENOEXEC} -1 exec /tmp/x`]);
});

test('a failing operation names its index and what it worked on', async () => {
  const plan = shellPlan('true');
  const index = plan.operations.findIndex(({ op }) => op === 'tree');
  plan.operations[index] = {
    ...(plan.operations[index] as Extract<(typeof plan.operations)[number], { op: 'tree' }>),
    path: '/no/such',
    optional: false,
  };
  assert.deepEqual((await runToEnd(shims, plan, dirs.root)).lines, [`failed ${ENOENT} ${index} tree /no/such`]);
});

test('what the inner half says before it ends is heard, also where it left something unread', async () => {
  const plan = shellPlan('true');
  plan.operations = [{ op: 'mkdir', side: 'inner', path: '/x', mode: 0o755, followSymlinks: false }];
  for (let round = 0; round < 30; round++) assert.deepEqual((await runToEnd(shims, plan, dirs.root)).lines, ['failed 9 0 mkdir /x']);
});

test('killed before it ran', async () => {
  const run = shims.run(shellPlan('sleep 600'), stateDirectory(dirs.root));
  run.send('kill');
  await run.ended();
  assert.ok(run.lines[0] === `failed ${ECANCELED} -1 start killed` || run.lines.at(-1) === 'exit -1 9', run.lines.join('\n'));
});

test('it lives on without its agent and serves shim.sock', async () => {
  const state = stateDirectory(dirs.root);
  const run = shims.run(shellPlan('trap "exit 9" TERM; echo trapped; while :; do sleep 0.01; done'), state);
  const { init, command } = await pidsOf(run);
  while (readLog(state, 'stdout.log') === '') await new Promise((resolve) => setTimeout(resolve, 2));
  run.hangUp();
  assert.equal(statSync(join(state, 'shim.sock')).mode & 0o777, 0o600);
  const socket = connect(join(state, 'shim.sock')).setEncoding('utf8');
  const said: string[] = [];
  socket.on('data', (text: string) => {
    said.push(...text.trim().split('\n'));
    if (said.length === 1) socket.write('signal 15\n');
  });
  await new Promise((resolve) => socket.on('close', resolve));
  const shim = Number(said[0]?.split(' ')[2]);
  assert.deepEqual(said, [`nsfleet-shim 1 ${shim} ${init} ${command}`, 'ok', 'exit 9 0']);
  await run.ended();
  assert.deepEqual(exitFile(state), ['nsfleet-exit 1', 'code 9', 'signal 0']);
  assert.equal(existsSync(join(state, 'shim.sock')), false);
});

test('at most sixteen connections at a time; requests that are none are refused', async () => {
  const state = stateDirectory(dirs.root);
  const run = shims.run(shellPlan('sleep 600'), state);
  await run.line('running');
  const sockets = Array.from({ length: 17 }, () =>
    connect(join(state, 'shim.sock'))
      .setEncoding('utf8')
      .on('error', () => undefined),
  );
  const firsts = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<string>((resolve) => socket.once('data', (text: string) => resolve(text)).once('close', () => resolve('closed'))),
    ),
  );
  assert.equal(firsts.filter((text) => text.startsWith('nsfleet-shim 1 ')).length, 16);
  assert.equal(firsts.filter((text) => text === 'closed').length, 1);
  const open = sockets.find((socket) => !socket.destroyed && firsts[sockets.indexOf(socket)] !== 'closed')!;
  const gone = new Promise((resolve) => open.once('close', resolve));
  open.resume().write('x'.repeat(200));
  await gone;
  for (const socket of sockets) socket.destroy();
  run.send('kill');
  assert.equal(await run.line('exit'), 'exit -1 9');
  await run.ended();
});

test('the outer half holds what it needs, cannot be dumped and has a session of its own', async () => {
  const run = shims.run(shellPlan('sleep 600'), stateDirectory(dirs.root));
  const { init } = await pidsOf(run);
  const shim = Number(statusField(init, 'PPid'));
  assert.equal(readFileSync(`/proc/${shim}/stat`, 'utf8').split(' ')[5], String(shim), 'session');
  assert.equal(readFileSync(`/proc/${shim}/environ`, 'utf8'), '');
  assert.ok(readdirSync(`/proc/${shim}/fd`).length <= 14);
  assert.ok(readdirSync(`/proc/${init}/fd`).length <= 3);
  const ignored = BigInt(`0x${statusField(shim, 'SigIgn')}`);
  for (const signal of [1, 2, 3, 13]) assert.ok((ignored >> BigInt(signal - 1)) & 1n, `signal ${signal}`);
  const resident = [shim, init].map((pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]));
  assert.ok(resident[0]! + resident[1]! < 1024, `both together: ${resident.join(' and ')} KiB`);
  run.send('kill');
  await run.ended();
});

test('SIGTERM to the outer half ends the sandbox in order; SIGKILL takes it along', async () => {
  for (const [signal, told] of [
    ['SIGTERM', true],
    ['SIGKILL', false],
  ] as const) {
    const state = stateDirectory(dirs.root);
    const run = shims.run(shellPlan('sleep 600'), state);
    const { init } = await pidsOf(run);
    process.kill(Number(statusField(init, 'PPid')), signal);
    await run.ended();
    while (isAlive(init)) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(existsSync(join(state, 'exit')), told);
  }
});

test('mounts of the host are as before, after fifty sandboxes', async () => {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  for (let round = 0; round < 2; round++) {
    const plans = Array.from({ length: 25 }, (_, n) => planOf({ command: ['true'] }, testIdRange(n)));
    await Promise.all(plans.map((plan) => runToEnd(shims, plan, dirs.root)));
  }
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
});
