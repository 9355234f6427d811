/**
 * One sandbox around `echo`, by ours and by the peers, in turn; the agent alone, then the whole path, each beside all peers. Two moments: when it runs (ours: the agent tells `running`, which is
 * the command's execve; peers: the first byte of echo's output, so echo's own start is in theirs: the bare row says how much that is)
 * and when it has ended (ours: the exit status is told; peers: the process is reaped).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { directories } from '#shared/config.ts';
import { loadNative } from '#native/binding.ts';
import { startAgentAlone } from './agent-alone.ts';
import { createLauncher } from './launch.ts';
import { findPeers } from './peers.ts';
import { formatRows, interleave, median } from './statistics.ts';
import type { Row } from './statistics.ts';
import { startWholePath } from './whole-path.ts';

/** What an agent keeps ready by default. */
const readySandboxes = 4;
const agentName = `nsfleet, agent alone (pool of ${readySandboxes})`;
const coldName = 'nsfleet, agent alone, pool empty';
const wholeName = 'nsfleet, whole path (a shim ready)';
const wholeAgainName = 'nsfleet, whole path, right after another';
const payload = ['/usr/bin/echo', 'x'];

type Moments = { heardMs?: number | undefined; runningMs: number; endedMs: number };

export async function benchCreate(rounds: number): Promise<void> {
  const { cache } = directories(process.env);
  const workDir = mkdtempSync(join(cache, 'bench-'));
  try {
    const native = loadNative();
    using launcher = createLauncher(native);
    const peers = await findPeers(cache, workDir, payload);
    for (const peer of peers) if (peer.missing !== undefined) console.log(`${peer.name} is missing: ${peer.missing}`);
    const launch = async (argv: readonly string[]): Promise<Moments> => {
      const { firstByteMs, endedMs } = await launcher.launch(argv);
      return { runningMs: firstByteMs, endedMs };
    };
    const others = [
      ...peers.filter((peer) => peer.missing === undefined).map(({ name, argv }) => ({ name, moments: () => launch(argv) })),
      { name: 'bare echo', moments: () => launch(payload) },
    ];
    // One after the other: a stack that runs scans and reports what the others make, on the same two cores.
    {
      await using agent = await startAgentAlone(native, join(workDir, 'agent'), readySandboxes);
      await using cold = await startAgentAlone(native, join(workDir, 'cold'), 0);
      const contenders = [
        {
          name: agentName,
          async moments() {
            // As a user meets it, who comes now and then; a burst larger than the pool is the next line.
            await agent.filled();
            return agent.create(payload);
          },
        },
        { name: coldName, moments: () => cold.create(payload) },
      ];
      print('the agent alone', 2, await measure([...contenders, ...others], rounds));
    }
    await using whole = await startWholePath(workDir);
    await whole.create(payload);
    whole.stages();
    const contenders = [
      {
        name: wholeName,
        async moments() {
          await whole.filled(readySandboxes);
          return whole.create(payload);
        },
      },
      ...others,
      { name: wholeAgainName, moments: () => whole.create(payload) },
    ];
    const taken = await measure(contenders, rounds);
    print('the whole path', 10, taken);
    const all = {
      name: 'all of it, both kinds',
      samples: taken.running.filter(({ name }) => name.startsWith('nsfleet')).flatMap(({ samples }) => samples),
    };
    console.log(`${formatRows('the whole path: where the time until running goes', [all, ...whole.stages()])}\n`);
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** Both moments of each contender, from the same runs. */
async function measure(
  contenders: readonly { name: string; moments: () => Promise<Moments> }[],
  rounds: number,
): Promise<{ running: Row[]; heard: Row[]; ended: Row[] }> {
  const all = contenders.map((): Moments[] => []);
  const running = await interleave(
    contenders.map(({ name, moments }, index) => ({
      name,
      async sample() {
        const taken = await moments();
        all[index]?.push(taken);
        return taken.runningMs;
      },
    })),
    rounds,
  );
  const ended = contenders.map(({ name }, index) => ({ name, samples: (all[index] ?? []).slice(1).map((taken) => taken.endedMs) }));
  const heard = contenders.map(({ name }, index) => ({
    name,
    samples: (all[index] ?? []).slice(1).flatMap(({ heardMs }) => heardMs ?? []),
  }));
  return { running, heard: heard.filter(({ samples }) => samples.length > 0), ended };
}

function print(what: string, toReachMs: number, { running, heard, ended }: { running: Row[]; heard: Row[]; ended: Row[] }): void {
  const of = (name: string | undefined) => median(running.find((row) => row.name === name)?.samples ?? []).toFixed(2);
  console.log(`${formatRows(`${what}: from asking for a sandbox to its command running`, running)}\n`);
  if (heard.length > 0) console.log(`${formatRows(`${what}: until the shim’s “running” is heard, before that is committed`, heard)}\n`);
  console.log(`${formatRows(`${what}: from asking for a sandbox to its command’s end being known`, ended)}\n`);
  console.log(`${what}: ${of(running[0]?.name)} ms to running (to reach: ${toReachMs}); bubblewrap ${of('bubblewrap')}\n`);
}
