/**
 * The scan against lsns(8) and against the floor, a bare C loop of readlinkat over /proc/<pid>/ns. lsns is timed as people run it, as a
 * process whose output is thrown away; ours six times: the C pass over /proc with its rows decoded (what has not run since the last one is not
 * read again, and without that: the first time), the same by the BPF task iterator where there is one, all sources as the agent joins them (with what has not run since remembered, and without: the first time), and all that
 * the agent does with a scan of processes (scan, command lines, model, difference).
 */
import { createCommandLines } from '#agent/inventory/command-lines.ts';
import { diffModels } from '#agent/inventory/diff.ts';
import { createDiscovery } from '#agent/inventory/discover.ts';
import { buildModel, emptyModel } from '#agent/inventory/model.ts';
import type { Generations } from '#agent/inventory/generation-rule.ts';
import type { Model } from '#agent/inventory/model.ts';
import { run } from '#controller/up/run.ts';
import { loadNative } from '#native/binding.ts';
import type { Native } from '#native/binding.ts';
import { countProcesses, gather } from './crowd.ts';
import { startFloor } from './floor.ts';
import { formatRows, interleave, median, timed } from './statistics.ts';
import type { Row } from './statistics.ts';

const lsnsTimeoutMs = 120_000;
/** At 20,000 it takes 20 s a round. */
const lsnsMax = 5000;
const ours = 'nsfleet scan';
const byIterator = 'nsfleet scan by the BPF iterator';
const allSources = 'nsfleet all sources';
const floorName = 'floor';

/** Prints a table for each size; a size below what the machine already runs is measured at what it runs. */
export async function benchScan(sizes: readonly number[], rounds: number): Promise<void> {
  const native = loadNative();
  for (const size of sizes) {
    await using crowd = await gather(size);
    const iterator = await native.openTaskIterator();
    using _iterator = 'unavailable' in iterator ? null : iterator;
    await using floor = await startFloor();
    const scan = 'unavailable' in iterator ? () => native.scan() : () => iterator.scan();
    const discovery = createDiscovery({ ...native, scan });
    const firstTime = (): Promise<number> => {
      const fresh = createDiscovery({ ...loadNative(), scan });
      return timed(() => fresh.discover());
    };
    const rows = await interleave(
      [
        { name: floorName, sample: () => floor.sample() },
        { name: ours, sample: () => timed(() => native.scan()) },
        { name: `${ours}, the first time`, sample: () => timed(() => native.scan({ fresh: true })) },
        ...('unavailable' in iterator ? [] : [{ name: byIterator, sample: () => timed(() => iterator.scan()) }]),
        { name: allSources, sample: () => timed(() => discovery.discover()) },
        { name: `${allSources}, the first time`, sample: firstTime },
        { name: 'nsfleet agent tick', sample: agentTick(native) },
        ...(size > lsnsMax ? [] : [{ name: 'lsns', sample: () => timed(lsns) }]),
      ],
      rounds,
    );
    if ('unavailable' in iterator) console.log(`no BPF task iterator: ${iterator.unavailable}`);
    console.log(formatRows(`scan of ${crowd.processes} processes (asked for ${size})`, rows, ours));
    console.log(`${ratios(rows)}\n`);
  }
  console.log(`${countProcesses()} processes are left on the machine\n`);
}

/** What is to be reached, each as a ratio of medians of this run. */
function ratios(rows: readonly Row[]): string {
  const of = (name: string): number => median(rows.find((row) => row.name === name)?.samples ?? []);
  const sentences = [
    ['the scan takes', of(ours) / of(floorName), 'times the floor (to reach: 1.5)'],
    ['the first time', of(`${ours}, the first time`) / of(floorName), 'times'],
    ['the iterator is', of(floorName) / of(byIterator), 'times as fast as the floor (to reach: 10)'],
    ['lsns takes', of('lsns') / of(ours), 'times as long as the scan'],
    ['lsns takes', of('lsns') / of(allSources), 'times as long as all sources (to reach: 3 at 100, 5 at 1,000, 10 at 5,000, 20 at 20,000)'],
  ] as const;
  return sentences.flatMap(([what, ratio, than]) => (Number.isNaN(ratio) ? [] : [`${what} ${ratio.toFixed(2)} ${than}`])).join('\n');
}

async function lsns(): Promise<void> {
  const result = await run('/usr/bin/lsns', ['-n', '-r', '-o', 'NS,TYPE,NPROCS,PID,UID,COMMAND'], { timeoutMs: lsnsTimeoutMs });
  // 1 with its whole table is what it ends with when a process ended meanwhile.
  if (result.code !== 0 && result.stdout === '') throw new Error(`lsns: exit code ${result.code}: ${result.stderr}`);
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
