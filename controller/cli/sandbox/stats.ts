/** `nsfleet sandbox stats`. */
import type { Pressure, SandboxStats } from '#shared/cgroup.ts';
import { sleep } from '#shared/async.ts';
import { connect } from '../connection.ts';
import { tellFailure } from '../failure.ts';
import { printJson } from '../output/json.ts';
import { bytesText } from '../output/sizes.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import type { Session } from '../session.ts';

/** Between the two looks that a share of the processor is told from. */
const sampleMs = 500;

type Row = { name: string; stats: SandboxStats; cpuPercent: number };

/** What each of them uses at this moment; without names all that run. */
export async function printStats(session: Session, names: readonly string[]): Promise<number> {
  const { client } = connect(session);
  const running = async () => (await client.call('sandboxList', { query: { state: 'running' } })).sandboxes.map(({ name }) => name);
  const asked = names.length > 0 ? names : await running();
  const look = (sandbox: string) => client.call('sandboxStats', { params: { sandbox } });
  const first = await Promise.allSettled(asked.map(look));
  await sleep(sampleMs);
  const second = await Promise.allSettled(asked.map(look));
  let exitCode = 0;
  const rows: Row[] = [];
  for (const [index, name] of asked.entries()) {
    const [before, stats] = [first[index], second[index]];
    if (before?.status === 'fulfilled' && stats?.status === 'fulfilled') {
      rows.push({ name, stats: stats.value, cpuPercent: cpuPercent(before.value, stats.value) });
      continue;
    }
    const failure = [before, stats].find((result) => result?.status === 'rejected');
    const code = failure?.status === 'rejected' ? tellFailure(failure.reason, session.stderr, session.json) : 0;
    // One that ended between listing and looking was not asked for by name.
    if (exitCode === 0 && names.length > 0) exitCode = code;
  }
  if (session.json)
    printJson(session, { sandboxes: rows.map(({ name, stats, cpuPercent: percent }) => ({ name, cpuPercent: percent, ...stats })) });
  else printTable(session, columns, rows);
  return exitCode;
}

/** Of one processor, as docker has it: 200 is two of them. */
function cpuPercent(before: SandboxStats, after: SandboxStats): number {
  const wallUs = (Date.parse(after.at) - Date.parse(before.at)) * 1000;
  return wallUs <= 0 ? 0 : Math.round((1000 * (after.cpu.usageUs - before.cpu.usageUs)) / wallUs) / 10;
}

const columns: readonly Column<Row>[] = [
  { name: 'NAME', cell: ({ name }) => name },
  { name: 'CPU%', align: 'right', cell: ({ cpuPercent: percent }) => percent.toFixed(1) },
  { name: 'MEMORY', align: 'right', cell: ({ stats: { memory } }) => (memory === null ? null : bytesText(memory.bytes)) },
  { name: 'LIMIT', align: 'right', cell: ({ stats: { memory } }) => limitText(memory?.maxBytes ?? null) },
  { name: 'OOM', align: 'right', cell: ({ stats: { memory } }) => memory?.oomKills ?? null },
  { name: 'PIDS', align: 'right', cell: ({ stats: { pids } }) => pids?.current ?? null },
  { name: 'READ', align: 'right', cell: ({ stats: { io } }) => (io === null ? null : bytesText(io.readBytes)) },
  { name: 'WRITTEN', align: 'right', cell: ({ stats: { io } }) => (io === null ? null : bytesText(io.writtenBytes)) },
  { name: 'STALLED cpu/mem/io', cell: ({ stats: { pressure } }) => [pressure.cpu, pressure.memory, pressure.io].map(stallText).join(' ') },
];

/** Share of the last 10 s in which something waited for it. */
function stallText(pressure: Pressure | null): string {
  return pressure === null ? '-' : `${pressure.some.avg10.toFixed(1)}%`;
}

function limitText(bytes: number | null): string | null {
  return bytes === null ? null : bytesText(bytes);
}
