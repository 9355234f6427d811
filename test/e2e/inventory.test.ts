/** The fleet's inventory against a second witness on the same host: lsns(8), and a namespace that the test makes and ends. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { api } from '#shared/api.ts';
import type { Namespace } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});
const word = (namespace: { type: string; inode: number }) => `${namespace.type}:[${namespace.inode}]`;

function lsns(): Set<string> {
  const { stdout, status, stderr } = spawnSync('lsns', ['--json', '-o', 'NS,TYPE'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const { namespaces } = JSON.parse(stdout) as { namespaces: { ns: number | string; type: string }[] };
  return new Set(namespaces.map(({ ns, type }) => `${type}:[${ns}]`));
}

async function nsfleet(args: string[]): Promise<Namespace[]> {
  const { code, stdout, stderr } = await fleet.cli(['ns', 'ls', '--json', ...args]);
  assert.equal(code, 0, stderr);
  return api.namespaceList.reply.partial({ nextCursor: true, stale: true }).parse(JSON.parse(stdout)).namespaces;
}

describe('ns ls', () => {
  it('contains every namespace that lsns lists at the same moment', async () => {
    const holder = spawn('unshare', ['--net', '--ipc', '--uts', '--mount', '--cgroup', 'sleep', '60'], { stdio: 'ignore' });
    try {
      await until('the holder to have unshared', () =>
        readlinkSync(`/proc/${holder.pid}/ns/net`) === readlinkSync('/proc/self/ns/net') ? null : true,
      );
      const first = lsns();
      const ours = new Set((await nsfleet(['--fresh'])).map(word));
      const second = lsns();
      const stable = [...first].filter((name) => second.has(name));
      assert.ok(stable.length >= 8 + 5, `lsns lists ${stable.join(' ')}`);
      assert.ok(stable.includes(readlinkSync(`/proc/${holder.pid}/ns/net`)));
      assert.deepEqual(
        stable.filter((name) => !ours.has(name)),
        [],
      );
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
  });

  it('shows a namespace within seconds of its making, and its end, once', async () => {
    const holder = spawn('unshare', ['--net', 'sleep', '60'], { stdio: 'ignore' });
    const name = await until('the network namespace', () => {
      const link = readlinkSync(`/proc/${holder.pid}/ns/net`);
      return link === readlinkSync('/proc/self/ns/net') ? null : link;
    });
    const seen = await until(
      'it to be reported',
      async () => (await nsfleet(['--type', 'net'])).find((row) => word(row) === name) ?? null,
      5000,
    );
    assert.equal(seen.processCount, 1);
    assert.equal(seen.leader?.pid, holder.pid);
    assert.match(seen.leader?.command ?? '', /sleep 60/);
    assert.equal(seen.current, true);
    assert.notEqual(seen.owner, null);

    const shown = await fleet.cli(['ns', 'show', seen.id, '--json']);
    assert.equal(shown.code, 0, shown.stderr);
    const detail = api.namespaceShow.reply.parse(JSON.parse(shown.stdout));
    assert.deepEqual(
      detail.holders.filter((holder) => holder.kind === 'process').map((holder) => holder.pid),
      [holder.pid],
    );

    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await until('its end', async () => ((await nsfleet(['--type', 'net'])).every((row) => row.id !== seen.id) ? true : null), 5000);
    const past = (await nsfleet(['--type', 'net', '--ended'])).filter((row) => row.id === seen.id);
    assert.equal(past.length, 1);
    assert.equal(past[0]?.current, false);
  });

  it('writes nothing while nothing changes', async () => {
    const events = async () => (await fleet.client.call('eventList', { query: { limit: 10_000 } })).events.length;
    const quiet = async () => {
      const first = await events();
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return (await events()) === first ? true : null;
    };
    await until('a quiet moment of 2.5 s', quiet, 60_000);
  });
});

describe('questions to hosts', () => {
  it('finds a mount that only another mount namespace has, and translates pids', async () => {
    const holder = spawn('unshare', ['-mp', '--fork', '--kill-child', 'sh', '-c', 'mount -t tmpfs nsf-e2e /mnt; echo ready; read x'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      const mounts = await fleet.cli(['mount', 'find', '--source', 'nsf-e2e', '--json']);
      assert.equal(mounts.code, 0, mounts.stderr);
      const found = api.mountFind.reply.parse(JSON.parse(mounts.stdout));
      assert.deepEqual(found.silent, []);
      const [mount] = found.mounts;
      assert.deepEqual([found.mounts.length, mount?.target, mount?.fsType], [1, '/mnt', 'tmpfs']);
      // The shell is the child of unshare(1), and pid 1 in its namespace.
      const shell = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
      const pids = await fleet.cli(['pid', 'translate', shell, '--host', fleet.hostIds[0] ?? '']);
      assert.equal(pids.code, 0, pids.stderr);
      assert.match(pids.stdout, /^ *PID +NS KEY\n *[0-9]+ .*\n *1 .*\n$/);
    } finally {
      holder.stdin.end();
      await once(holder, 'exit');
    }
  });

  it('needs something to look for, and says what it does not find', async () => {
    assert.equal((await fleet.cli(['mount', 'find'])).code, 2);
    const gone = await fleet.cli(['pid', 'translate', '4194303', '--host', fleet.hostIds[0] ?? '', '--json']);
    assert.equal(gone.code, 3);
    assert.match(gone.stderr, /PROCESS_NOT_FOUND/);
  });
});
