/** A shim that waits for its plan: what it holds, what it refuses, when it ends, and that a sandbox from it is as any other. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { idRange, planOf, readLog, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { isAlive, loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

const { EBADMSG, EINVAL, ENOENT, EPROTO } = constants.errno;

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});

async function waiting(state = stateDirectory(dirs.root)): Promise<ReturnType<Shims['ready']> & { init: number }> {
  const shim = shims.ready(state);
  return Object.assign(shim, { init: Number((await shim.line('ready')).split(' ')[1]) });
}

async function gone(...pids: number[]): Promise<void> {
  const end = performance.now() + 1000;
  while (pids.some((pid) => isAlive(pid))) {
    assert.ok(performance.now() < end, `${pids.join(', ')} are still there after a second`);
    await sleep(5);
  }
}

test('waits with namespaces of its own and nothing of the host’s mounts', async () => {
  const shim = await waiting();
  const { pid, init } = shim;
  for (const one of [pid, init]) assert.equal(readFileSync(`/proc/${one}/comm`, 'utf8'), 'nsfleet-ready\n');
  for (const type of namespaceTypes) {
    const own = type !== 'cgroup';
    assert.equal(readlinkSync(`/proc/${init}/ns/${type}`) !== readlinkSync(`/proc/self/ns/${type}`), own, type);
    assert.equal(readlinkSync(`/proc/${pid}/ns/${type}`), readlinkSync(`/proc/self/ns/${type}`), type);
  }
  // Of the host's file systems only the devices; sysfs is a fresh one.
  const types = readFileSync(`/proc/${init}/mountinfo`, 'utf8').matchAll(/ - (\S+)/g);
  assert.deepEqual(new Set([...types].map(([, type]) => type)), new Set(['devtmpfs', 'mqueue', 'proc', 'sysfs', 'tmpfs']));
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  assert.equal(readFileSync(`/proc/${init}/uid_map`, 'utf8'), '');
  // Three of them are its logs and its socket.
  assert.ok(readdirSync(`/proc/${pid}/fd`).length <= 23);
  assert.ok(readdirSync(`/proc/${init}/fd`).length <= 18);
  const resident = [pid, init].map((one) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, 'utf8'))?.[1]));
  assert.ok(resident[0]! + resident[1]! < 1024, `both together: ${resident.join(' and ')} KiB`);
  shim.hangUp();
  await shim.ended();
});

test('a sandbox from it cannot be told from one that was made at once', async () => {
  const script = `
    hostname; pwd; cat /proc/self/uid_map; echo x > /dev/shm/x; echo y > /dev/stdout
    cut -d' ' -f4- /proc/self/mountinfo | sed -e 's/,[ug]id=[0-9]*//g' | sort
    ls -lanL --time-style=+ / /etc /tmp | grep -v proc; ls -lan --time-style=+ /dev | grep -v shm; stat -c '%a %u %g' / /root /tmp
    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Name|Umask)' /proc/self/status /proc/1/status
    cat /proc/sys/user/max_user_namespaces /proc/net/dev | cut -d: -f1; tr '\\0' '\\n' < /proc/1/cmdline | grep .; ulimit -n; ulimit -c
    : > /x; mount -t tmpfs x /tmp; ls /proc/scsi; (: > /proc/sys/kernel/core_pattern)`;
  const plan = shellPlan(`${script} 2>&1`);
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  shim.give(plan);
  await shim.ended();
  const lines = shim.lines.filter((line) => !line.startsWith('note'));
  assert.match(lines.join('\n'), /^ready \d+\nrunning \d+ \d+\nexit \d+ 0$/);
  const other = await runToEnd(shims, plan, dirs.root);
  assert.equal(readLog(state, 'stdout.log'), other.stdout);
  assert.ok(other.stdout.split('\n').length > 80);
  assert.equal(lines.at(-1), other.lines.at(-1));
});

test('once it has its plan it is named as any other', async () => {
  const shim = await waiting();
  const root = statSync(`/proc/${shim.init}/root/`).dev;
  shim.give(shellPlan('sleep 600'));
  await shim.line('running');
  assert.equal(statSync(`/proc/${shim.init}/root/`).dev, root, 'what was made beforehand is used');
  const names = [shim.pid, shim.init].map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  assert.deepEqual(names, ['nsfleet-shim', 'nsfleet-init']);
  assert.equal(statusField(shim.init, 'Uid').split('\t')[0], String(idRange.start));
  for (const pid of [shim.pid, shim.init]) assert.doesNotMatch(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /ready/);
  shim.send('kill');
  assert.equal(await shim.line('exit'), 'exit -1 9');
  await shim.ended();
});

test('a directory as a root', async () => {
  const root = join(dirs.root, 'lower');
  for (const name of ['', 'proc', 'dev', 'bin']) mkdirSync(join(root, name), { recursive: true });
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  shim.give(planOf({ command: ['/bin/none'], root: { type: 'directory', path: root } }));
  await shim.ended();
  assert.equal(shim.lines.at(-1), `failed ${ENOENT} -1 exec /bin/none`);
  await gone(shim.init);
});

test('ends at once, and says nothing, when its agent does', async () => {
  const shim = await waiting();
  shim.hangUp();
  assert.deepEqual(await shim.ended(), { code: 0, signal: 0 });
  await gone(shim.init);
  const early = shims.ready(stateDirectory(dirs.root));
  early.hangUp();
  await early.ended();
});

test('its init does not outlive it', async () => {
  const shim = await waiting();
  process.kill(shim.pid, 'SIGKILL');
  await gone(shim.init);
  await shim.ended();
  const other = await waiting();
  process.kill(other.pid, 'SIGTERM');
  assert.deepEqual(await other.ended(), { code: 0, signal: 0 });
  await gone(other.init);
});

test('an agent that died before its plan was taken had none made', async () => {
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  process.kill(shim.pid, 'SIGSTOP');
  shim.give(shellPlan('sleep 600'), 'plan\n', null);
  shim.hangUp();
  process.kill(shim.pid, 'SIGCONT');
  await shim.ended();
  await gone(shim.init);
  assert.deepEqual(readdirSync(state), []);
});

test('who the command is and what it may use is its plan’s to say, as late as that comes', async () => {
  const script = `id -u; id -g; id -G; echo $HOME $USER $SHELL; umask; ulimit -n; ulimit -Hn; ulimit -c; cut -d' ' -f19 /proc/self/stat
    cat /proc/self/oom_score_adj; echo x > /dev/stdout`;
  const plan = shellPlan(script, {
    user: { uid: 'nobody', gid: 'tty', groups: [7, 'nogroup'] },
    umask: '077',
    rlimits: { nofile: { soft: 50, hard: 60 }, core: { soft: 1024, hard: 2048 } },
    nice: 4,
    oomScoreAdj: 17,
  });
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  shim.give(plan);
  await shim.ended();
  assert.match(shim.lines.at(-1) ?? '', /^exit 0 0$/, shim.lines.join('; '));
  const expected = '65534\n5\n5 7 65534\n/ nobody /usr/sbin/nologin\n0077\n50\n60\n2\n4\n17\nx\n';
  assert.equal(readLog(state, 'stdout.log'), expected);
  assert.equal((await runToEnd(shims, plan, dirs.root)).stdout, expected, 'as by a new one');
});

test('an agent that died before it had written down what it makes had nothing run', async () => {
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  shim.give(shellPlan('echo it ran'), 'plan\n', null);
  const end = performance.now() + 5000;
  // The five that its init keeps: it is about to start the command, and sleeps.
  const waits = () => readdirSync(`/proc/${shim.init}/fd`).length === 5 && statusField(shim.init, 'State').startsWith('S');
  while (!waits() && performance.now() < end) await sleep(1);
  const children = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  assert.equal(children(shim.pid), String(shim.init));
  assert.equal(children(shim.init), '', 'all is made, and no command started');
  assert.deepEqual(shim.lines, [`ready ${shim.init}`]);
  shim.hangUp();
  assert.deepEqual(await shim.ended(), { code: 0, signal: 0 });
  await gone(shim.init);
  assert.deepEqual(readdirSync(state), [], 'it never was here: the next agent makes it anew');
});

test('another word than start ends it', async () => {
  const shim = await waiting();
  shim.give(shellPlan('true'), 'plan\n', 'kill');
  await shim.ended();
  assert.equal(shim.lines.at(-1), `failed ${EPROTO} -1 ready request`);
  await gone(shim.init);
});

test('a plan that it cannot do is refused before anything is done', async () => {
  const plan = shellPlan('true');
  const withoutLo = { ...plan, operations: plan.operations.filter(({ op }) => op !== 'loopback_up') };
  const withCaps = { ...plan, operations: plan.operations.filter(({ op }) => op !== 'drop_capabilities') };
  const inside = { ...plan, operations: plan.operations.map((one) => (one.op === 'tree' ? { ...one, side: 'inner' as const } : one)) };
  const cases = [
    [{ ...plan, namespaces: namespaceTypes.filter((type) => type !== 'net') }, `failed ${EINVAL} -1 ready namespaces`],
    [withCaps, `failed ${EINVAL} -1 ready capabilities are dropped`],
    [shellPlan('true', { capabilities: { add: ['CAP_NET_RAW'] } }), `failed ${EINVAL} -1 ready capabilities are dropped`],
    [withoutLo, `failed ${EINVAL} -1 ready lo is up`],
    [inside, `failed ${EINVAL} 0 tree not in a ready sandbox`],
    [new Uint8Array([1, 2, 3, 4]), `failed ${EBADMSG} -1 plan decode`],
  ] as const;
  for (const [given, expected] of cases) {
    const state = stateDirectory(dirs.root);
    const shim = await waiting(state);
    shim.give(given);
    await shim.ended();
    assert.equal(shim.lines.at(-1), expected);
    assert.deepEqual(readdirSync(state).sort(), ['stderr.log', 'stdout.log'], 'what it had before');
    await gone(shim.init);
  }
});

test('what is no plan ends it', async () => {
  const shim = await waiting();
  shim.give(shellPlan('true'), 'kill\n');
  await shim.ended();
  assert.equal(shim.lines.at(-1), `failed ${EPROTO} -1 ready request`);
  const other = await waiting();
  other.send('plan');
  await other.ended();
  assert.equal(other.lines.at(-1), `failed ${EPROTO} -1 ready request`);
  await gone(shim.init, other.init);
});

test('an operation that fails is named, and all is undone', async () => {
  const plan = shellPlan('true');
  const at = plan.operations.findIndex(({ op }) => op === 'pivot_root');
  plan.operations.splice(at, 0, { op: 'mkdir', side: 'inner', path: '/no/such/thing', mode: 0o755, followSymlinks: false });
  const state = stateDirectory(dirs.root);
  const shim = await waiting(state);
  shim.give(plan);
  await shim.ended();
  assert.equal(shim.lines.at(-1), `failed ${ENOENT} ${at} mkdir /no/such/thing`);
  await gone(shim.init);
  assert.deepEqual(readdirSync(state).sort(), ['stderr.log', 'stdout.log']);
  assert.equal(existsSync(join(state, 'exit')), false);
});
