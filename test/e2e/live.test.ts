import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findCompiler, run } from '#native/compiler.mjs';
import { sleep } from '#shared/async.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const instances = '/sys/kernel/tracing/instances';
const traceable =
  process.geteuid?.() === 0 &&
  spawnSync('sh', ['-c', `d=${instances}/probe-$$ && mkdir $d && test -e $d/events/syscalls/sys_exit_setns && rmdir $d`]).status === 0;

let fleet: Fleet;
before(async () => {
  // Full scans are rare here: what is shown was heard.
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_FULL_SCAN_INTERVAL_MS: '600000' } }));
});

const agentLog = (): string => readFileSync(join(fleet.root, 'host-0.log'), 'utf8');
const instancesOf = (pid: number): string[] => readdirSync(instances).filter((name) => name.startsWith(`nsfleet-${pid}-`));

async function netNamespace(inode: number): Promise<{ processCount: number } | null> {
  const { namespaces } = await fleet.client.call('namespaceList', { query: { type: 'net', limit: 1000 } });
  return namespaces.find((row) => row.inode === inode) ?? null;
}

const inodeOf = (link: string): number => Number(/\d+/.exec(readlinkSync(link))?.[0]);

describe('an agent that hears', { skip: !traceable }, () => {
  it('says by what', async () => {
    const { code, stdout } = await fleet.cli(['host', 'show', 'host-0']);
    assert.equal(code, 0);
    assert.match(stdout, /Changes: +heard at once \(tracefs\)/);
  });

  it('shows a namespace, another process in it, and its end, without a full scan', async () => {
    const holder = spawn('unshare', ['--net', 'sleep', '60'], { stdio: 'ignore' });
    const own = inodeOf('/proc/self/ns/net');
    const inode = await until('the network namespace', () => {
      const now = inodeOf(`/proc/${holder.pid}/ns/net`);
      return now === own ? null : now;
    });
    await until('it to be shown', async () => ((await netNamespace(inode))?.processCount === 1 ? true : null), 5000);
    const guest = spawn('nsenter', [`--net=/proc/${holder.pid}/ns/net`, 'sleep', '60'], { stdio: 'ignore' });
    await until('the second process', async () => ((await netNamespace(inode))?.processCount === 2 ? true : null), 5000);
    for (const child of [guest, holder]) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await until('its end', async () => ((await netNamespace(inode)) === null ? true : null), 5000);
  });

  it('keeps a namespace that a bind mount holds after its process', async () => {
    const place = join(fleet.root, 'net');
    writeFileSync(place, '');
    spawnSync('unshare', [`--net=${place}`, 'true']);
    try {
      const inode = statSync(place).ino;
      await until('it to be shown', async () => ((await netNamespace(inode))?.processCount === 0 ? true : null), 10_000);
      const guest = spawn('nsenter', [`--net=${place}`, 'sleep', '60'], { stdio: 'ignore' });
      await until('a process in it', async () => ((await netNamespace(inode))?.processCount === 1 ? true : null), 5000);
      guest.kill('SIGKILL');
      await once(guest, 'exit');
      await until('its end', async () => ((await netNamespace(inode))?.processCount === 0 ? true : null), 5000);
      spawnSync('umount', [place]);
      await until('the namespace’s end', async () => ((await netNamespace(inode)) === null ? true : null), 10_000);
    } finally {
      spawnSync('umount', [place]);
    }
  });

  it('is not drowned by 5,000 forks a second, and knows what is true afterwards', async () => {
    const storm = join(fleet.root, 'fork-storm');
    const compiler = await findCompiler({ work: fleet.root, log: () => undefined });
    const source = fileURLToPath(new URL('../bench/fork-storm.c', import.meta.url));
    await run([...compiler.command, ...compiler.target('shim'), '-O2', source, '-o', storm], { what: 'compile' });
    const seconds = 5;
    const usedBefore = cpuMs(fleet.agents[0]?.pid ?? 0);
    const child = spawn(storm, ['5000', String(seconds)], { stdio: 'ignore' });
    await once(child, 'exit');
    const perSecondMs = (cpuMs(fleet.agents[0]?.pid ?? 0) - usedBefore) / seconds;
    // A tenth of a core, and half as much again for what is not a scan.
    assert.ok(perSecondMs <= 150, `${perSecondMs} ms of CPU a second`);

    const holder = spawn('unshare', ['--net', 'sleep', '60'], { stdio: 'ignore' });
    const own = inodeOf('/proc/self/ns/net');
    try {
      const inode = await until('the network namespace', () => {
        const now = inodeOf(`/proc/${holder.pid}/ns/net`);
        return now === own ? null : now;
      });
      await until('it to be shown', async () => ((await netNamespace(inode))?.processCount === 1 ? true : null), 5000);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    await fleet.client.call('namespaceList', { query: { live: 'true', limit: 1 } });
    await sleep(2000);
    assert.doesNotMatch(agentLog(), /repaired what was not heard/);
  });

  it('leaves no instance and no watcher behind, however it ends', async () => {
    const [agent] = fleet.agents;
    assert.ok(agent !== undefined);
    const killed = agent.pid;
    assert.equal(instancesOf(killed).length, 1);
    await agent.end('SIGKILL');
    await until('its watcher to clean up', () => (instancesOf(killed).length === 0 ? true : null));
    await agent.start();
    await fleet.ready();
    await until('another instance', () => (instancesOf(agent.pid).length === 1 ? true : null));
    const ended = agent.pid;
    await agent.end('SIGTERM');
    assert.deepEqual(instancesOf(ended), []);
    await agent.start();
    await fleet.ready();
  });
});

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
