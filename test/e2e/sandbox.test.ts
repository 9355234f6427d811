/** A sandbox from the CLI to the kernel and back, seen from inside and from the host's /proc. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { namespaceTypes } from '#shared/namespace.ts';
import { Sandbox } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});
async function ok(args: string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args, input === undefined ? {} : { input });
  assert.equal(code, 0, `nsfleet ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

const running = async (name: string, ...command: string[]): Promise<Sandbox> =>
  Sandbox.parse(JSON.parse(await ok(['sandbox', 'run', '--json', '-d', '--name', name, '--', ...command])));

describe('a running sandbox', () => {
  it('differs from its host in all eight namespaces, shown from both sides', async () => {
    const sandbox = await running('both-sides', 'sleep', '600');
    const inside = await ok([
      'sandbox',
      'exec',
      'both-sides',
      '--',
      'sh',
      '-c',
      'for t in mnt cgroup uts ipc user pid net time; do readlink /proc/self/ns/$t; done',
    ]);
    const links = inside.trim().split('\n');
    assert.equal(links.length, 8);
    for (const [index, type] of namespaceTypes.entries()) {
      assert.notEqual(links[index], readlinkSync(`/proc/self/ns/${type}`), type);
      assert.equal(links[index], readlinkSync(`/proc/${sandbox.initPid}/ns/${type}`), `${type} of its init, on the host`);
      assert.equal(links[index], readlinkSync(`/proc/${sandbox.commandPid}/ns/${type}`), `${type} of its command, on the host`);
      assert.equal(
        sandbox.namespaces.find((row) => row.type === type)?.inode,
        Number(/\d+/.exec(links[index] ?? '')?.[0]),
        `${type} as the agent told`,
      );
    }
  });

  it('is root inside and nobody outside', async () => {
    const sandbox = await running('ids', 'sleep', '600');
    assert.equal((await ok(['sandbox', 'exec', 'ids', '--', 'id', '-u'])).trim(), '0');
    for (const pid of [sandbox.initPid, sandbox.commandPid]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const uids = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split('\t').map(Number) ?? [];
      assert.equal(uids.length, 4);
      for (const uid of uids) assert.ok(uid >= 100_000, `pid ${pid} runs as uid ${uid}`);
      assert.match(status, /^NoNewPrivs:\s+1$/m);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'), `${set} of ${pid}`);
    }
    const map = readFileSync(`/proc/${sandbox.initPid}/uid_map`, 'utf8').trim().split(/\s+/).map(Number);
    assert.deepEqual(map, [0, sandbox.idRange?.start, 65_536]);
  });

  it('has the shim’s init as PID 1, the hostname that was asked for, and only lo, up', async () => {
    await ok(['sandbox', 'run', '-d', '--name', 'inside', '--hostname', 'deep-thought', '--', 'sleep', '600']);
    const exec = (...command: string[]) => ok(['sandbox', 'exec', 'inside', '--', ...command]);
    assert.equal((await exec('hostname')).trim(), 'deep-thought');
    assert.match(await exec('cat', '/proc/1/comm'), /nsfleet|shim|init/);
    const devices = (await exec('cat', '/proc/net/dev'))
      .split('\n')
      .slice(2)
      .filter((line) => line.trim() !== '');
    assert.deepEqual(
      devices.map((line) => line.trim().split(':')[0]),
      ['lo'],
    );
    assert.match(await exec('cat', '/proc/net/route'), /^Iface/);
    assert.match(await exec('cat', '/proc/net/fib_trie'), /127\.0\.0\.1/);
    assert.equal((await exec('sh', '-c', 'ls /proc | grep -c "^[0-9]"')).trim().length > 0, true);
    assert.deepEqual(
      (await exec('sh', '-c', 'ls /proc/self/fd | wc -l')).trim(),
      '4',
      'stdin, stdout, stderr and the directory that ls reads',
    );
  });

  it('sees a read-only host and writes only to its own tmpfs', async () => {
    await running('root', 'sleep', '600');
    const refused = await fleet.cli(['sandbox', 'exec', 'root', '--', 'sh', '-c', 'touch /usr/x || touch /etc/x || touch /x']);
    assert.notEqual(refused.code, 0);
    assert.equal((await ok(['sandbox', 'exec', 'root', '--', 'sh', '-c', 'echo kept > /tmp/x && cat /tmp/x'])).trim(), 'kept');
    assert.equal(readdirSync('/tmp').includes('x'), false);
    assert.deepEqual(
      (await ok(['sandbox', 'exec', 'root', '--', 'ls', '/home', '/srv', '/boot']).catch(() => ''))
        .trim()
        .split('\n')
        .filter((line) => /^[a-z]/.test(line)),
      [],
    );
  });
});

describe('a command’s end', () => {
  it('comes back as its exit code, its output as its output', async () => {
    const result = await fleet.cli(['sandbox', 'run', '--rm', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42']);
    assert.deepEqual(result, { code: 42, stdout: 'out\n', stderr: 'err\n' });
  });

  it('comes back as 128 + n when signal n ended it', async () => {
    const result = await fleet.cli(['sandbox', 'run', '--rm', '--', 'sh', '-c', 'kill -KILL $$']);
    assert.equal(result.code, 137, result.stderr);
  });

  it('is kept by exec too, with stdin, both outputs and signals', async () => {
    await running('exec', 'sleep', '600');
    const big = 'x'.repeat(3_000_000);
    const echoed = await fleet.cli(['sandbox', 'exec', 'exec', '--', 'cat'], { input: big });
    assert.equal(echoed.code, 0, echoed.stderr);
    assert.equal(echoed.stdout.length, big.length);
    assert.deepEqual(await fleet.cli(['sandbox', 'exec', 'exec', '--', 'sh', '-c', 'echo a; echo b >&2; exit 3']), {
      code: 3,
      stdout: 'a\n',
      stderr: 'b\n',
    });
    assert.equal((await fleet.cli(['sandbox', 'exec', 'exec', '--', 'sh', '-c', 'kill -TERM $$'])).code, 143);
  });

  it('is by stop’s signal, and by SIGKILL when that is ignored', async () => {
    await running('obeys', 'sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.05; done');
    await ok(['sandbox', 'stop', 'obeys']);
    assert.deepEqual((await fleet.client.call('sandboxShow', { params: { sandbox: 'obeys' } })).exit, {
      code: 9,
      signal: null,
      endedBy: 'stop',
    });
    await running('stubborn', 'sh', '-c', 'trap "" TERM; while :; do sleep 0.05; done');
    await ok(['sandbox', 'stop', '--grace', '300ms', 'stubborn']);
    assert.deepEqual((await fleet.client.call('sandboxShow', { params: { sandbox: 'stubborn' } })).exit, {
      code: null,
      signal: 9,
      endedBy: 'stop',
    });
  });

  it('takes everything with it that the command left behind', async () => {
    const sandbox = await running('orphans', 'sh', '-c', '(setsid sleep 86397 &); trap "exit 0" TERM; while :; do sleep 0.05; done');
    const pidNamespace = readlinkSync(`/proc/${sandbox.initPid}/ns/pid`);
    await ok(['sandbox', 'stop', 'orphans']);
    const left = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/ns/pid`) === pidNamespace;
      } catch {
        return false;
      }
    });
    assert.deepEqual(left, []);
  });
});

describe('a refusal', () => {
  const cases: [string, string[], number, RegExp][] = [
    ['a command that is not in the root', ['sandbox', 'run', '--rm', '--', 'no-such-command'], 127, /COMMAND_NOT_FOUND/],
    ['a file that cannot be executed', ['sandbox', 'run', '--rm', '--', '/etc/passwd'], 126, /COMMAND_NOT_EXECUTABLE/],
    [
      'a constraint that no host meets',
      ['sandbox', 'run', '--constraint', 'host.name == "elsewhere"', '--', 'true'],
      7,
      /NOT_PLACED[\s\S]*1 host/,
    ],
    ['a constraint that is no CEL', ['sandbox', 'run', '--constraint', 'host.name ==', '--', 'true'], 2, /CONSTRAINT_INVALID/],
    ['a root that is not there', ['sandbox', 'run', '--rm', '--root', '/no/such/root', '--', 'true'], 125, /ROOT_REFUSED/],
    ['a malformed name', ['sandbox', 'run', '--name', 'Not A Name', '--', 'true'], 2, /INVALID_INPUT|USAGE/],
    ['a host that does not exist', ['host', 'show', 'nowhere'], 3, /HOST_NOT_FOUND/],
    ['a sandbox that does not exist', ['sandbox', 'show', 'nothing'], 3, /SANDBOX_NOT_FOUND/],
    ['a namespace that does not exist', ['ns', 'show', '999999999'], 3, /NAMESPACE_NOT_FOUND/],
    ['an option that does not exist', ['ns', 'ls', '--frsh'], 2, /USAGE/],
  ];
  for (const [name, args, exit, told] of cases)
    it(`${name}: exit ${exit}, a code and advice`, async () => {
      const result = await fleet.cli(args);
      assert.equal(result.code, exit, `${result.stdout}\n${result.stderr}`);
      assert.match(result.stderr, told);
      assert.equal(result.stdout, '');
    });

  it('a name that is taken: exit 4, and the first one lives on', async () => {
    await running('taken', 'sleep', '600');
    const second = await fleet.cli(['sandbox', 'run', '-d', '--name', 'taken', '--', 'sleep', '600']);
    assert.equal(second.code, 4, second.stderr);
    assert.match(second.stderr, /SANDBOX_NAME_TAKEN/);
    assert.equal((await fleet.client.call('sandboxShow', { params: { sandbox: 'taken' } })).state, 'running');
  });
});

describe('--dry-run', () => {
  it('prints the decision and the plan, and makes nothing', async () => {
    const before = await fleet.client.call('sandboxList', { query: { all: 'true' } });
    const text = await ok(['sandbox', 'run', '--dry-run', '--', 'true']);
    for (const word of ['host-0', 'pivot_root', 'hostname', 'no_new_privs', 'loopback', 'mask']) assert.match(text, new RegExp(word), text);
    const after = await fleet.client.call('sandboxList', { query: { all: 'true' } });
    assert.equal(after.sandboxes.length, before.sandboxes.length);
  });
});

describe('rm', () => {
  it('frees the name and the id range, and leaves no directory', async () => {
    await running('gone', 'sleep', '600');
    assert.equal((await fleet.cli(['sandbox', 'rm', 'gone'])).code, 4, 'it still runs');
    await ok(['sandbox', 'rm', '--force', 'gone']);
    await running('gone', 'true');
    await until('it to have ended', async () =>
      (await fleet.client.call('sandboxShow', { params: { sandbox: 'gone' } })).state === 'stopped' ? true : null,
    );
    await ok(['sandbox', 'rm', 'gone']);
  });
});
