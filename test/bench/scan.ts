/**
 * The scan against lsns(8), at 100, 1,000 and 5,000 processes. lsns is timed as people run it, as a process whose output is
 * thrown away; ours twice: the C pass over /proc with its rows decoded, and all that the agent does every second (scan,
 * command lines, model, difference).
 */
import { createCommandLines } from '#agent/inventory/command-lines.ts';
import { diffModels } from '#agent/inventory/diff.ts';
import { buildModel, emptyModel } from '#agent/inventory/model.ts';
import type { Generations } from '#agent/inventory/generation-rule.ts';
import type { Model } from '#agent/inventory/model.ts';
import { run } from '#controller/up/run.ts';
import { loadNative } from '#native/binding.ts';
import type { Native } from '#native/binding.ts';
import { countProcesses, gather } from './crowd.ts';
import { formatRows, interleave, median, timed } from './statistics.ts';

const lsnsTimeoutMs = 120_000;
const ours = 'nsfleet scan';

/** Prints a table for each size; a size below what the machine already runs is measured at what it runs. */
export async function benchScan(sizes: readonly number[], rounds: number): Promise<void> {
  const native = loadNative();
  for (const size of sizes) {
    await using crowd = await gather(size);
    const rows = await interleave(
      [
        { name: ours, sample: () => timed(() => native.scan()) },
        { name: 'nsfleet agent tick', sample: agentTick(native) },
        { name: 'lsns', sample: () => timed(lsns) },
      ],
      rounds,
    );
    const ratio = median(rows[2]?.samples ?? []) / median(rows[0]?.samples ?? []);
    console.log(formatRows(`scan of ${crowd.processes} processes (asked for ${size})`, rows, ours));
    console.log(`lsns takes ${ratio.toFixed(1)} times as long as the scan${size === 1000 ? ' (to reach: 5)' : ''}\n`);
  }
  console.log(`${countProcesses()} processes are left on the machine\n`);
}

async function lsns(): Promise<void> {
  const result = await run('/usr/bin/lsns', ['-n', '-r', '-o', 'NS,TYPE,NPROCS,PID,UID,COMMAND'], { timeoutMs: lsnsTimeoutMs });
  if (result.code !== 0) throw new Error(`lsns: exit code ${result.code}: ${result.stderr}`);
}

function agentTick(native: Native): () => Promise<number> {
  const commands = createCommandLines();
  let model: Model = emptyModel;
  let generations: Generations = new Map();
  return () =>
    timed(async () => {
      const scan = await native.scan();
      await commands.update(scan);
      const built = buildModel(scan, generations, commands.of, 0);
      diffModels(model, built.model);
      ({ model, generations } = built);
    });
}
