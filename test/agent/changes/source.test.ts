import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { changeKinds } from '#agent/changes/records.ts';
import { createChanges } from '#agent/changes/source.ts';
import type { ChangesEar } from '#agent/changes/source.ts';
import { makeInstance } from '#agent/changes/tracefs.ts';
import { loadNative } from '#native/binding.ts';
import { buildNative } from '#native/build.mjs';
import type { ChangeSource } from '#shared/host.ts';
import { createLog } from '#shared/log.ts';
import { until } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const instances = '/sys/kernel/tracing/instances';
const root = process.geteuid?.() === 0;
/** In another one than the first the kernel's pids are not ours. */
/** Made beforehand, by the same steps that an administrator would take. */
const first = probe(['sh', '-c', '[ "$(readlink /proc/self/ns/pid)" = "pid:[4026531836]" ]']);
const tracefs =
  root && first && probe(['sh', '-c', `d=${instances}/probe-$$ && mkdir $d && test -e $d/events/syscalls/sys_exit_setns && rmdir $d`]);
const connector = root && first && probe(['grep', '-q', 'cn_proc', '/proc/net/connector']);

function probe(command: [string, ...string[]]): boolean {
  return spawnSync(command[0], command.slice(1), { stdio: 'ignore' }).status === 0;
}

await buildNative();
const native = loadNative();
const program = native.sealProgram(fileURLToPath(new URL('../../../native/build/nsfleet-shim', import.meta.url)));
after(() => program.close());

type Heard = AsyncDisposable & {
  kinds: Map<number, number>;
  sources: { source: ChangeSource; reason: string | null }[];
  lost: number;
  watcherPid(): number;
};

async function listen(best: ChangeSource): Promise<Heard> {
  const changes = createChanges({ native, program, log: createLog('test', 'silent'), best });
  const end = new AbortController();
  const heard: Pick<Heard, 'kinds' | 'sources' | 'lost'> = { kinds: new Map(), sources: [], lost: 0 };
  const ear: ChangesEar = {
    onChange: (pid, kinds) => heard.kinds.set(pid, (heard.kinds.get(pid) ?? 0) | kinds),
    onLost: () => (heard.lost += 1),
    onSource: (source, reason) => heard.sources.push({ source, reason }),
  };
  const running = changes.run(ear, end.signal);
  await until('a source', () => (heard.sources.length > 0 ? true : null));
  return Object.assign(heard, {
    watcherPid() {
      // 0 would be this test's whole process group.
      assert.ok(changes.pid, 'a watcher runs');
      return changes.pid;
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
    },
  });
}

const mine = (): string[] => readdirSync(instances).filter((name) => name.startsWith(`nsfleet-${process.pid}-`));

async function ofCommand(heard: Heard, wanted: number, ...command: [string, ...string[]]): Promise<number> {
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore' });
  await once(child, 'exit');
  const pid = child.pid ?? 0;
  await until(`kinds ${wanted} of ${command.join(' ')}`, () => (((heard.kinds.get(pid) ?? 0) & wanted) === wanted ? true : null));
  return pid;
}

describe('tracefs', { skip: !tracefs }, () => {
  it('tells of births, execs, ends, and of namespaces that are made or joined', async () => {
    await using heard = await listen('tracefs');
    assert.deepEqual(heard.sources, [{ source: 'tracefs', reason: null }]);
    assert.equal(mine().length, 1);
    const { change, exit, gone, namespaces, new: born } = changeKinds;
    const lives = 'sleep 0.1';
    await ofCommand(heard, born | change | exit | gone | namespaces, 'unshare', '--net', 'sh', '-c', lives);
    await ofCommand(heard, namespaces, 'nsenter', `--net=/proc/${process.pid}/ns/net`, 'sh', '-c', lives);
    await ofCommand(heard, born | change | exit | gone, 'sh', '-c', lives);
  });

  it('leaves no instance behind, and none of agents that are gone', async () => {
    const dead = `${instances}/nsfleet-${process.pid}-1-01234567`;
    mkdirSync(dead);
    const living = await makeInstance({ pid: process.pid, startTicks: native.processStart(process.pid) }, () => null);
    {
      await using _heard = await listen('tracefs');
      assert.ok(!existsSync(dead));
      assert.ok(existsSync(`${instances}/${living.instance}`), 'the name says that its agent lives');
      assert.equal(mine().length, 2);
    }
    assert.deepEqual(mine(), [living.instance]);
    spawnSync('rmdir', [`${instances}/${living.instance}`]);
  });

  it('starts a watcher again that was killed, and is polled meanwhile', async () => {
    await using heard = await listen('tracefs');
    const first = heard.watcherPid();
    process.kill(first, 'SIGKILL');
    await until('another watcher', () => (heard.sources.length >= 3 ? true : null));
    assert.deepEqual(
      heard.sources.map(({ source }) => source),
      ['tracefs', 'poll', 'tracefs'],
    );
    assert.notEqual(heard.watcherPid(), first);
    await until('the first one’s instance to be removed', () => (mine().length === 1 ? true : null));
    await ofCommand(heard, changeKinds.namespaces, 'unshare', '--uts', 'sleep', '0.1');
  });

  it('hears for two agents on one host', async () => {
    await using one = await listen('tracefs');
    await using two = await listen('tracefs');
    assert.equal(mine().length, 2);
    const pid = await ofCommand(one, changeKinds.namespaces, 'unshare', '--uts', 'sleep', '0.1');
    await until('the other to hear it', () => (((two.kinds.get(pid) ?? 0) & changeKinds.namespaces) > 0 ? true : null));
  });

  it('says so when events were lost', async () => {
    await using heard = await listen('tracefs');
    process.kill(heard.watcherPid(), 'SIGSTOP');
    // 64 KiB a CPU are full after some thousand events.
    spawnSync('sh', ['-c', 'i=0; while [ $i -lt 4000 ]; do (:); i=$((i+1)); done']);
    process.kill(heard.watcherPid(), 'SIGCONT');
    await until('the loss', () => (heard.lost > 0 ? true : null));
    await ofCommand(heard, changeKinds.namespaces, 'unshare', '--uts', 'sleep', '0.1');
  });
});

describe('the proc connector', { skip: !connector }, () => {
  it('tells of births, execs and ends, and why it is not tracefs', async () => {
    await using heard = await listen('proc-connector');
    assert.deepEqual(heard.sources, [{ source: 'proc-connector', reason: 'NSFLEET_CHANGE_SOURCE is proc-connector' }]);
    await ofCommand(heard, changeKinds.new | changeKinds.change | changeKinds.exit, 'sleep', '0.05');
  });
});

it('polls where a plain user may hear nothing, and says why', { skip: !root }, async () => {
  process.seteuid?.(65_534);
  try {
    await using heard = await listen('tracefs');
    assert.equal(heard.sources[0]?.source, 'poll');
    assert.match(heard.sources[0]?.reason ?? '', /tracefs: only root .*; proc-connector: only root/);
  } finally {
    process.seteuid?.(0);
  }
});
