/** A sandbox as its own command sees it, and the same one as the host's /proc shows it. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { before, test } from 'node:test';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { idRange, pidsOf, readLog, runToEnd, shellPlan, stateDirectory } from '#test/support/sandbox.ts';
import { loadShims, statusField } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});
async function inside(script: string): Promise<string> {
  const { stdout, stderr, lines } = await runToEnd(shims, shellPlan(script), dirs.root);
  assert.equal(stderr, '', lines.join('\n'));
  return stdout;
}

test('all eight namespaces are its own, from inside and from the host', async () => {
  const run = shims.run(shellPlan('exec sleep 600'), stateDirectory(dirs.root));
  const { init, command } = await pidsOf(run);
  for (const type of namespaceTypes) {
    const host = readlinkSync(`/proc/self/ns/${type}`);
    for (const pid of [init, command]) assert.notEqual(readlinkSync(`/proc/${pid}/ns/${type}`), host, `${type} of ${pid}`);
    assert.equal(readlinkSync(`/proc/${init}/ns/${type}`), readlinkSync(`/proc/${command}/ns/${type}`), type);
  }
  assert.equal(readFileSync(`/proc/${command}/uid_map`, 'utf8').trim().split(/\s+/).join(' '), `0 ${idRange.start} ${idRange.count}`);
  assert.equal(readFileSync(`/proc/${command}/gid_map`, 'utf8').trim().split(/\s+/).join(' '), `0 ${idRange.start} ${idRange.count}`);
  for (const pid of [init, command]) {
    assert.equal(statusField(pid, 'Uid').split('\t').join(' '), Array(4).fill(idRange.start).join(' '));
    assert.equal(statusField(pid, 'Gid').split('\t').join(' '), Array(4).fill(idRange.start).join(' '));
    assert.equal(statusField(pid, 'Groups'), '');
    assert.equal(statusField(pid, 'NoNewPrivs'), '1');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.equal(BigInt(`0x${statusField(pid, set)}`), 0n, `${set} of ${pid}`);
  }
  assert.equal(statusField(init, 'NSpid').split('\t').at(-1), '1');
  assert.equal(readFileSync(`/proc/${init}/comm`, 'utf8').trim(), 'nsfleet-init');
  assert.equal(statSync(`/proc/${init}/fd`).uid, 0, 'PID 1 cannot be dumped, so its directory is root’s');
  run.send('kill');
  await run.ended();
});

test('the command’s own view', async () => {
  const seen = await inside(
    'hostname; id -u; id -G; cat /proc/sys/kernel/hostname; ls /sys/class/net; cut -d: -f1 /proc/net/dev | tail -n +3',
  );
  assert.deepEqual(
    seen.split('\n').map((line) => line.trim()),
    ['tested', '0', '0', 'tested', 'lo', 'lo', ''],
  );
});

test('lo is up', async () => {
  assert.match(await inside('cat /proc/net/fib_trie'), /127\.0\.0\.1/);
});

test('/dev holds exactly the allowed', async () => {
  const names = (await inside('ls -A /dev')).trim().split('\n').sort();
  assert.deepEqual(names, [
    'fd',
    'full',
    'mqueue',
    'null',
    'ptmx',
    'pts',
    'random',
    'shm',
    'stderr',
    'stdin',
    'stdout',
    'tty',
    'urandom',
    'zero',
  ]);
  assert.equal(
    (await inside('echo x > /dev/null; head -c 3 /dev/zero | tr "\\0" z; echo y > /dev/stdout; (: < /dev/tty) 2>&1')).split('\n')[0],
    'zzzy',
  );
});

test('every mount is nosuid, and nodev but for the devices', async () => {
  const lines = (await inside('cat /proc/self/mountinfo')).trim().split('\n');
  assert.ok(lines.length > 20);
  for (const line of lines) {
    const fields = line.split(' ');
    const options = (fields[5] ?? '').split(',');
    assert.ok(options.includes('nosuid'), line);
    assert.ok(options.includes('nodev') || / (devtmpfs|devpts) /.test(line), line);
    assert.equal(fields[6], '-', `propagates: ${line}`);
    assert.doesNotMatch(line, new RegExp(dirs.root), 'the host’s paths do not show');
  }
});

test('masks and read-only paths hold', async () => {
  const script = `
    cat /proc/keys /proc/timer_list /proc/interrupts | wc -c
    ls -A /proc/acpi /proc/scsi 2>/dev/null | grep -v : | grep -c .
    for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger /usr/x /etc/x /x; do
      (: > $path) 2>/dev/null && echo "wrote $path"
    done
    umount /proc/keys 2>/dev/null && echo unmounted
    mount -o remount,rw / 2>/dev/null && echo remounted
    unshare -U true 2>/dev/null && echo nested
    true`;
  assert.equal(await inside(script), '0\n0\n');
});

test('a fresh /proc of its own pid namespace, the shim’s init being 1', async () => {
  const seen = await inside('echo /proc/[0-9]*; cat /proc/1/comm; cat /proc/1/environ 2>/dev/null | wc -c; ls /proc/1/fd 2>/dev/null');
  assert.equal(seen, '/proc/1 /proc/2\nnsfleet-init\n0\n');
});

test('descriptors, session and environment are its own', async () => {
  const seen = await inside(
    'exec 2>&1; for fd in /proc/self/fd/*; do readlink $fd; done | sed s/:.*//; cut -d" " -f5,6,7 /proc/self/stat; env | sort',
  );
  const [stdin, stdout, stderr, ...rest] = seen.split('\n');
  assert.deepEqual([stdin, stdout, stderr], ['/dev/null', 'pipe', 'pipe']);
  const [processGroup, session, terminal] = (rest.shift() ?? '').split(' ');
  assert.deepEqual([session, terminal], ['2', '0'], `group ${processGroup}`);
  assert.deepEqual(rest, [
    'HOME=/root',
    'HOSTNAME=tested',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'PWD=/',
    'SHELL=/bin/sh',
    'USER=root',
    '',
  ]);
});

test('another user inside', async () => {
  const plan = shellPlan('id -u; id -g; id -un; cd; pwd; echo y > /dev/stdout; touch /tmp/mine /run/not 2>/dev/null; ls /tmp', {
    user: { uid: 1000, gid: 1001 },
  });
  const { stdout } = await runToEnd(shims, plan, dirs.root);
  assert.equal(stdout, '1000\n1001\nuser\n/\ny\nmine\n');
});

test('the two streams are kept apart and rotated at the limit', async () => {
  const plan = shellPlan('i=0; while [ $i -lt 1000 ]; do echo 0123456789; i=$((i+1)); done; echo last; echo oops >&2', {
    logMaxBytes: 4096,
  });
  const { state, stdout, stderr } = await runToEnd(shims, plan, dirs.root);
  assert.equal(stderr, 'oops\n');
  assert.ok(stdout.endsWith('last\n'));
  assert.equal(statSync(`${state}/stdout.log.1`).size, 4096);
  assert.equal(`${readLog(state, 'stdout.log.1')}${stdout}`.includes('01234567890123456789'), false, 'no byte is lost between the two');
  assert.equal(statSync(`${state}/stdout.log`).mode & 0o777, 0o600);
});
