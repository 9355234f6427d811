/**
 * How soon a change is in the database, and what hearing it costs: the whole stack as `npm start` runs it. From unshare() returning to the
 * row being committed (a reader that is told by NOTIFY sees it); the agent's CPU while nothing happens at 1,000 processes, and during 5,000
 * forks a second; its memory beside a bare Node that has the same libraries loaded.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { databaseName, databaseUser } from '#controller/up/postgres-cluster.ts';
import { findCompiler, run } from '#native/compiler.mjs';
import { sleep } from '#shared/async.ts';
import { directories } from '#shared/config.ts';
import { gather } from './crowd.ts';
import { median } from './statistics.ts';
import { startWholePath } from './whole-path.ts';
import type { WholePath } from './whole-path.ts';

const crowdSize = 1000;
const stormForksPerSecond = 5000;
/** The bound of agent/inventory/budget.ts holds over ten seconds, with what is saved before. */
const stormSeconds = 10;
/** To know what one costs, by a clock of hundredths of a second. */
const fullScans = 10;
const betweenMs = 150;
/** The stack has started, and its first scans are over. */
const settleMs = 3000;
const visibleMs = 10_000;

/** Prints the four figures; `idleSeconds` is how long nothing happens (300 in the words). */
export async function benchLive(rounds: number, idleSeconds: number): Promise<void> {
  const workDir = mkdtempSync(join(directories(process.env).cache, 'bench-'));
  try {
    const [unsharer, storm] = await Promise.all([compile('unsharer.c', workDir), compile('fork-storm.c', workDir)]);
    await using stack = await startWholePath(workDir);
    await sleep(settleMs);
    const agent = stack.pidOf('agent');
    const host = await stack.host();
    console.log(`## changes, heard by ${host.facts?.changeSource}`);
    const latencies = await latency(unsharer, stack, rounds);
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
    console.log(`unshare() to committed: p50 ${median(sorted).toFixed(1)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms (n ${sorted.length})`);
    {
      await using crowd = await gather(crowdSize);
      await sleep(5000);
      const idle = await cpuOf(agent, () => sleep(idleSeconds * 1000));
      console.log(`agent’s CPU, idle host of ${crowd.processes} processes, ${idleSeconds} s: ${share(idle)}`);
      await stack.scan();
      const scanMs = (await cpuMsOf(agent, () => repeat(fullScans, () => stack.scan()))).ms / fullScans;
      const stormed = await cpuOf(agent, () => run([storm, String(stormForksPerSecond), String(stormSeconds)], { what: 'fork' }));
      const [perSecond, one] = [stormed * 1000, scanMs].map((ms) => `${ms.toFixed(1)} ms`);
      console.log(`agent’s CPU during ${stormForksPerSecond} forks/s for ${stormSeconds} s: ${share(stormed)}, ${perSecond} a second`);
      console.log(`  a full scan of the same host: ${one}; ratio ${((stormed * 1000) / scanMs).toFixed(2)} (to reach: at most 1)`);
    }
    console.log(
      `agent’s memory: ${residentMiB(agent).toFixed(1)} MiB, its watcher’s ${watcherMiB(agent).toFixed(1)}; bare Node with its libraries ${(await bareMiB()).toFixed(1)} MiB\n`,
    );
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

async function latency(program: string, stack: WholePath, rounds: number): Promise<number[]> {
  const client = new pg.Client({ ...stack.database, user: databaseUser, database: databaseName });
  await client.connect();
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  let told = Promise.withResolvers<void>();
  client.on('notification', () => told.resolve());
  await client.query('LISTEN nsfleet');
  const samples: number[] = [];
  try {
    for (let round = 0; round < rounds + 3; round += 1) {
      child.stdin.write('x');
      const line = await lines.next();
      if (line.done === true) throw new Error('the program that unshares ended');
      const [id = '', returnedNs = ''] = line.value.split(' ');
      const end = performance.now() + visibleMs;
      for (;;) {
        told = Promise.withResolvers();
        const { rowCount } = await client.query('SELECT 1 FROM namespaces WHERE type = $1 AND key = $2', ['uts', `id:${id}`]);
        if (rowCount === 1) break;
        if (performance.now() > end) throw new Error(`namespace ${id} is not in the database after ${visibleMs} ms`);
        await Promise.race([told.promise, sleep(200)]);
      }
      // The first ones warm what is to be warmed.
      if (round >= 3) samples.push(Number(process.hrtime.bigint() - BigInt(returnedNs)) / 1e6);
      await sleep(betweenMs * (0.5 + Math.random()));
    }
    return samples;
  } finally {
    child.stdin.end();
    await once(child, 'exit');
    await client.end();
  }
}

async function repeat(times: number, work: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < times; time += 1) await work();
}

/** Of the process and its watcher, as a share of one core. */
async function cpuOf(pid: number, during: () => Promise<unknown>): Promise<number> {
  const { ms, inMs } = await cpuMsOf(pid, during);
  return ms / inMs;
}

async function cpuMsOf(pid: number, during: () => Promise<unknown>): Promise<{ ms: number; inMs: number }> {
  const pids = [pid, ...childrenOf(pid)];
  const before = performance.now();
  const startTicks = pids.map(ticksOf);
  await during();
  const ticks = pids.map(ticksOf).reduce((sum, end, index) => sum + end - (startTicks[index] ?? 0), 0);
  return { ms: ticks * 10, inMs: performance.now() - before };
}

const share = (part: number): string => `${(part * 100).toFixed(2)} % of a core`;

/** Fields 14 and 15 of stat(5), in hundredths of a second. */
function ticksOf(pid: number): number {
  const fields = statOf(pid);
  return Number(fields[11]) + Number(fields[12]);
}

function statOf(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((name) => {
      try {
        return statOf(name)[1] === String(pid) && readFileSync(`/proc/${name}/comm`, 'latin1') === 'nsfleet-watch\n';
      } catch {
        return false;
      }
    })
    .map(Number);
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
}

const watcherMiB = (agent: number): number => childrenOf(agent).reduce((sum, pid) => sum + residentMiB(pid), 0);

async function bareMiB(): Promise<number> {
  const load = "for (const name of ['koffi', 'zod', 'pino', 'nats']) await import(name); console.log('loaded'); setTimeout(() => {}, 1e6)";
  const bare = spawn(process.execPath, ['--input-type=module', '--eval', load], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(bare.stdout, 'data');
    await sleep(500);
    return residentMiB(bare.pid ?? 0);
  } finally {
    bare.kill('SIGKILL');
    await once(bare, 'exit');
  }
}

async function compile(file: string, directory: string): Promise<string> {
  const compiler = await findCompiler({ work: directory, log: () => undefined });
  const output = join(directory, file.replace(/\.c$/, ''));
  const source = fileURLToPath(new URL(file, import.meta.url));
  await run([...compiler.command, ...compiler.target('shim'), '-O2', source, '-o', output], { what: `compile ${file}` });
  return output;
}
