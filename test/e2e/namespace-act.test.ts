/** `ns create`, `attach`, `rm`, `exec` and `reap` through the whole path, against the kernel. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { api } from '#shared/api.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { netnsTurn } from '#test/support/netns-turn.ts';

await netnsTurn();
leakCheck();

const name = `nsf-e2e-${process.pid}`;
const skip = process.geteuid?.() === 0 ? false : 'needs root';
let fleet: Fleet;
let host: string;
before(async () => {
  if (skip !== false) return;
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_AGENT_ACTIONS: 'exec,keep,reap' } }));
  host = fleet.hostIds[0] ?? '';
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function create(...types: string[]): Promise<{ id: string; path: string; inode: number; type: string }[]> {
  const stdout = await run('ns', 'create', '--host', host, '--name', name, '--type', types.join(','), '--json');
  return api.namespaceCreate.reply.parse(JSON.parse(stdout)).namespaces.map((row) => {
    assert.ok(row.namespaceId, `${row.type} is in the inventory when the answer comes`);
    return { id: row.namespaceId, path: row.path, inode: row.inode, type: row.type };
  });
}

describe('kept namespaces', { skip }, () => {
  it('live without a process, are seen as held by their mount, and go', async () => {
    const made = await create('net', 'uts', 'mnt');
    assert.deepEqual(
      made.map(({ path }) => path),
      [`/run/netns/${name}`, `/run/nsfleet/ns/${name}/uts`, `/run/nsfleet/ns/${name}/mnt`],
    );
    for (const { id, path, inode, type } of made) {
      assert.equal(statSync(path).ino, inode);
      const shown = api.namespaceShow.reply.parse(JSON.parse(await run('ns', 'show', id, '--json')));
      assert.deepEqual([shown.type, shown.processCount, shown.current], [type, 0, true]);
      // Where mounts propagate it is in other mount namespaces too.
      assert.ok(shown.holders.some((holder) => holder.kind === 'mount' && holder.path === path));
      assert.equal(await run('ns', 'rm', id), `${shown.hostName}: ${path}\n`);
      assert.equal(existsSync(path), false);
    }
    const again = await fleet.cli(['ns', 'rm', made[0]?.id ?? '']);
    assert.equal(again.code, 4, again.stderr);
    assert.match(again.stderr, /NAMESPACE_NOT_KEPT/);
  });

  it('ip netns lists and enters ours', { skip: spawnSync('ip', ['-V']).error !== undefined && 'ip(8) is not installed' }, async () => {
    const [net] = await create('net');
    assert.match(spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout, new RegExp(`^${name}`, 'm'));
    const seen = spawnSync('ip', ['netns', 'exec', name, 'readlink', '/proc/self/ns/net'], { encoding: 'utf8' });
    assert.equal(seen.stdout.trim(), `net:[${net?.inode}]`);
    const taken = await fleet.cli(['ns', 'create', '--host', host, '--name', name, '--type', 'net']);
    assert.deepEqual([taken.code, /NAMESPACE_NAME_TAKEN/.test(taken.stderr)], [4, true]);
    await run('ns', 'rm', net?.id ?? '');
  });

  it('a pid namespace, a bad name and a missing host are refused before anything is made', async () => {
    const base = ['ns', 'create', '--host', host];
    assert.equal((await fleet.cli([...base, '--name', name, '--type', 'pid'])).code, 2);
    assert.equal((await fleet.cli([...base, '--name', '../x', '--type', 'net'])).code, 2);
    assert.equal((await fleet.cli(['ns', 'create', '--host', 'nowhere', '--name', name, '--type', 'net'])).code, 3);
    assert.equal(existsSync(`/run/netns/${name}`), false);
  });
});

describe('ns exec', { skip }, () => {
  it('runs the host’s programs in the namespaces that were named, and only those', async () => {
    const [net, uts] = await create('net', 'uts');
    const links = 'for t in net uts mnt pid ipc; do readlink /proc/self/ns/$t; done';
    const ns = ['--ns', `net=${net?.id}`, '--ns', `uts=${uts?.id}`];
    const out = (await run('ns', 'exec', '--host', host, ...ns, '--ns', 'mnt=host', '--', 'sh', '-c', links)).trim().split('\n');
    assert.deepEqual(out.slice(0, 2), [`net:[${net?.inode}]`, `uts:[${uts?.inode}]`]);
    assert.deepEqual(out.slice(3), [readlinkSync('/proc/self/ns/pid'), readlinkSync('/proc/self/ns/ipc')]);
    const interfaces = await run('ns', 'exec', '--host', host, '--ns', `net=${net?.id}`, '--', 'ls', '/sys/class/net');
    assert.equal(interfaces, 'lo\n', 'its own /sys');
    for (const { id } of [net, uts].filter((row) => row !== undefined)) await run('ns', 'rm', id);
  });

  it('joins a process’s and a sandbox’s namespaces, keeps the exit code, passes input on', async () => {
    await run('sandbox', 'run', '--name', name, '--detach', '--', 'sleep', '60');
    const hostname = await run('ns', 'exec', '--host', host, '--ns', `uts=sandbox:${name}`, '--', 'hostname');
    assert.equal(hostname, `${name}\n`);
    const holder = spawn(
      'unshare',
      ['-pu', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', 'hostname in-there; echo ready; read x'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    try {
      await once(holder.stdout, 'data');
      const target = `pid:${await until('the child', () => readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim() || null)}`;
      await fleet.client.call('namespaceList', { query: { live: 'true' } });
      const seen = await fleet.cli(
        ['ns', 'exec', '--host', host, '--ns', `all=${target}`, '--', 'sh', '-c', 'hostname; cat; ps -e -o comm= | head -1; exit 7'],
        {
          input: 'hello\n',
        },
      );
      assert.deepEqual([seen.code, seen.stdout.split('\n').slice(0, 3)], [7, ['in-there', 'hello', 'sh']], seen.stderr);
    } finally {
      holder.stdin.end();
      await once(holder, 'exit');
    }
    assert.equal((await fleet.cli(['ns', 'exec', '--host', host, '--', 'no-such-program'])).code, 127);
    await run('sandbox', 'rm', '--force', name);
  });
});

describe('ns reap', { skip }, () => {
  it('shows the steps, takes them, and refuses what is in use', async () => {
    const [net] = await create('net');
    const holder = spawn('nsenter', [`--net=${net?.path}`, 'sh', '-c', 'echo ready; read x'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    try {
      const refused = await fleet.cli(['ns', 'reap', net?.id ?? '']);
      assert.deepEqual([refused.code, /1 processes live in it/.test(refused.stdout)], [1, true], refused.stdout + refused.stderr);
    } finally {
      holder.stdin.end();
      await once(holder, 'exit');
    }
    const dry = await run('ns', 'reap', '--dry-run', net?.id ?? '');
    assert.match(dry, new RegExp(`would be reaped +unmount /run/netns/${name};.* unlink /run/netns/${name}`));
    assert.equal(existsSync(net?.path ?? ''), true);
    assert.match(await run('ns', 'reap', net?.id ?? ''), / reaped +unmount/);
    assert.equal(existsSync(net?.path ?? ''), false);
  });
});
