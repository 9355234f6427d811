/**
 * Reports of a whole fleet into the store: first all snapshots, then minutes in which 1 % of the namespaces are replaced, one after another without
 * the pause that real minutes have. Then the past of just these minutes is asked for. On a Postgres of its own that flushes to disk as production
 * does; reports are handed to the store as the controller does it, NATS is left out. `npm run bench -- ingest [--short]`.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { migrate } from '#controller/store/migrate.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { applyReport } from '#controller/store/reports.ts';
import { applyRetention } from '#controller/store/retention.ts';
import { endProcess } from '#controller/up/end.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { postgresGraceMs } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';
import type { HostHello } from '#shared/host.ts';
import { Report } from '#shared/inventory.ts';
import { createLog } from '#shared/log.ts';
import { readyHost, select } from '#test/controller/store/fixture.ts';
import { createFleetHost } from './fleet-host.ts';
import type { FleetHost } from './fleet-host.ts';

/** As many reports at once as the controller has connections. */
const lanes = 10;
const minutesADay = 1440;
const questionsEach = 100;

export type IngestSize = { hosts: number; minutes: number };

export async function benchIngest({ hosts: count, minutes }: IngestSize): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'nsfleet-bench-'));
  const cluster = { binaries: postgresBinaries(), dataDir: join(root, 'data'), passwordFile: join(root, 'password'), settings: {} };
  const quiet = () => undefined;
  const { part, url } = await startPostgres(cluster, { runtime: join(root, 'run'), log: join(root, 'log') }, quiet, quiet);
  try {
    await using store = await openStore({ url, log: createLog('bench', 'error'), poolSize: lanes });
    await migrate(store);
    await keepHouse(store);
    const hellos: HostHello[] = [];
    for (let at = 0; at < count; at += 1) hellos.push(await readyHost(store, `host-${at}`));
    const fleet = hellos.map((hello, at) => createFleetHost(hello, at));
    const of = (work: (host: FleetHost) => Report | null) => (): Promise<void> => applyAll(store, fleet, work);
    console.log(`## ${count} hosts of 200 namespaces and 40 processes, load ${loadavg()[0]?.toFixed(2)}`);
    say(
      'first snapshots',
      count,
      await measure(
        store,
        part.pid,
        of((host) => host.snapshot()),
      ),
    );
    const changes: Measured[] = [];
    const from = Date.now();
    for (let minute = 0; minute < minutes; minute += 1) {
      changes.push(
        await measure(
          store,
          part.pid,
          of((host) => host.minute()),
        ),
      );
      await keepHouse(store);
    }
    const sum = changes.reduce(added);
    say(`${minutes} minutes of 1 % change`, (count * minutes) / 4, sum);
    const share = (ms: number): string => `${((100 * ms) / (minutes * 60_000)).toFixed(1)} %`;
    console.log(`   in real time, of a core: controller ${share(sum.ownCpuMs)}, Postgres ${share(sum.postgresCpuMs)}`);
    const aDay = (bytes: number): string => `${((bytes / minutes) * (minutesADay / 2 ** 30)).toFixed(2)} GiB`;
    console.log(`   a day at this rate, extrapolated: tables grow by ${aDay(sum.tableBytes)}, ${aDay(sum.walBytes)} of WAL`);
    await askPast(store, from, fleet);
  } finally {
    await endProcess(part, 'SIGINT', postgresGraceMs);
    rmSync(root, { recursive: true });
  }
}

const keepHouse = (store: Store): Promise<unknown> => applyRetention(store, { days: 30, nowMs: Date.now() });

/** Encoded and parsed on the way, as a message is. */
async function applyAll(store: Store, fleet: readonly FleetHost[], work: (host: FleetHost) => Report | null): Promise<void> {
  const waiting = fleet.values();
  const lane = async (): Promise<void> => {
    for (const host of waiting) {
      const report = work(host);
      if (report === null) continue;
      const { result } = await applyReport(store, Report.parse(JSON.parse(JSON.stringify(report))));
      if (result !== 'committed') throw new Error(`a report of ${host.hostId} was answered ${result}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

type Measured = { ms: number; ownCpuMs: number; postgresCpuMs: number; tableBytes: number; walBytes: number };

const added = (a: Measured, b: Measured): Measured => ({
  ms: a.ms + b.ms,
  ownCpuMs: a.ownCpuMs + b.ownCpuMs,
  postgresCpuMs: a.postgresCpuMs + b.postgresCpuMs,
  tableBytes: a.tableBytes + b.tableBytes,
  walBytes: a.walBytes + b.walBytes,
});

async function measure(store: Store, postmaster: number, work: () => Promise<void>): Promise<Measured> {
  const sizes = await sizesOf(store);
  const startMs = performance.now();
  const own = process.cpuUsage();
  const ticks = ticksOf(postmaster);
  await work();
  const ms = performance.now() - startMs;
  const { user, system } = process.cpuUsage(own);
  // Ticks are hundredths of a second.
  const postgresCpuMs = (ticksOf(postmaster) - ticks) * 10;
  const after = await sizesOf(store);
  return {
    ms,
    ownCpuMs: (user + system) / 1000,
    postgresCpuMs,
    tableBytes: after.tables - sizes.tables,
    walBytes: after.wal - sizes.wal,
  };
}

async function sizesOf(store: Store): Promise<{ tables: number; wal: number }> {
  const [row] = await select<{ tables: string; wal: string }>(
    store,
    `select pg_database_size(current_database())::text as tables, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text as wal`,
  );
  return { tables: Number(row?.tables), wal: Number(row?.wal) };
}

/** utime and stime of the postmaster and its children, and of those that it has reaped: fields 14 to 17 of stat(5). */
function ticksOf(postmaster: number): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (pid !== String(postmaster) && fields[1] !== String(postmaster)) continue;
      for (const field of fields.slice(11, pid === String(postmaster) ? 15 : 13)) ticks += Number(field);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks;
}

function say(what: string, reports: number, { ms, ownCpuMs, postgresCpuMs, tableBytes, walBytes }: Measured): void {
  const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`;
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(`${what}: ${reports} reports in ${seconds(ms)} (${((reports * 1000) / ms).toFixed(0)} a second)`);
  console.log(
    `   CPU: this process, which also makes the reports, ${seconds(ownCpuMs)}, Postgres ${seconds(postgresCpuMs)}; tables ${mebibytes(tableBytes)}, WAL ${mebibytes(walBytes)}`,
  );
}

async function askPast(store: Store, fromMs: number, fleet: readonly FleetHost[]): Promise<void> {
  const spanMs = Date.now() - fromMs;
  const moment = (): string => new Date(fromMs + Math.random() * spanMs).toISOString();
  const host = (): string => fleet[Math.floor(Math.random() * fleet.length)]?.hostId ?? '';
  const ask = (what: string, query: () => object): Promise<void> =>
    timed(what, () => listNamespaces(store.db, { limit: 1000, ended: false, at: moment(), ...query() }));
  await ask('ns ls --at, first page of 1,000', () => ({}));
  await ask('ns ls --at --type net, first page of 1,000', () => ({ type: 'net' }));
  await ask('ns ls --at --host, whole', () => ({ host: host() }));
  const at = moment();
  let cursor: string | null = '0';
  let rows = 0;
  const startMs = performance.now();
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof listNamespaces>> = await listNamespaces(store.db, { limit: 1000, ended: false, at, cursor });
    rows += page.namespaces.length;
    cursor = page.nextCursor;
  }
  console.log(`ns ls --at, all ${rows} of the fleet, page by page: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

async function timed(what: string, run: () => Promise<unknown>): Promise<void> {
  const took: number[] = [];
  for (let at = 0; at < questionsEach; at += 1) {
    const start = performance.now();
    await run();
    took.push(performance.now() - start);
  }
  took.sort((a, b) => a - b);
  const quantile = (part: number): string => `${took[Math.floor((took.length - 1) * part)]?.toFixed(1)} ms`;
  console.log(`${what}: p50 ${quantile(0.5)}, p95 ${quantile(0.95)}, most ${quantile(1)} (n ${questionsEach})`);
}
