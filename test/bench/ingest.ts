/**
 * Reports of a whole fleet into the store: first all snapshots, then minutes in which 1 % of the namespaces are replaced, one after another without
 * the pause that real minutes have. Then the past of just these minutes is asked for. On a Postgres of its own that flushes to disk as production
 * does; reports are handed to the store in this process, or with `--nats` to a controller through NATS. `npm run bench -- ingest [--nats] [--short]`.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { migrate } from '#controller/store/migrate.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { applyRetention } from '#controller/store/retention.ts';
import { endProcess } from '#controller/up/end.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { postgresGraceMs } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';
import type { HostHello } from '#shared/host.ts';
import type { Report } from '#shared/inventory.ts';
import { createLog } from '#shared/log.ts';
import { select } from '#test/controller/store/fixture.ts';
import { createFleetHost } from './fleet-host.ts';
import type { FleetHost } from './fleet-host.ts';
import { throughController, throughStore } from './ingest-ways.ts';
import type { IngestWay } from './ingest-ways.ts';

/** As many reports at once as the controller has connections. */
const lanes = 10;
const minutesADay = 1440;
const questionsEach = 100;

export type IngestOptions = { hosts: number; minutes: number; nats: boolean };

export async function benchIngest({ hosts: count, minutes, nats }: IngestOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'nsfleet-bench-'));
  const cluster = { binaries: postgresBinaries(), dataDir: join(root, 'data'), passwordFile: join(root, 'password'), settings: {} };
  const quiet = () => undefined;
  const { part, url } = await startPostgres(cluster, { runtime: join(root, 'run'), log: join(root, 'log') }, quiet, quiet);
  try {
    await using store = await openStore({ url, log: createLog('bench', 'error'), poolSize: lanes });
    await migrate(store);
    await keepHouse(store);
    const hellos: HostHello[] = [];
    await using way = nats ? await throughController(url, root) : throughStore(store);
    for (let at = 0; at < count; at += 1) hellos.push(await way.enrol(`host-${at}`));
    const fleet = hellos.map((hello, at) => createFleetHost(hello, at));
    const pids = { postmaster: part.pid, controller: way.controller };
    const of = (work: (host: FleetHost) => Report | null) => (): Promise<void> => applyAll(way, fleet, work);
    if (way.controller === null) console.log('(the controller’s CPU is this process’s, which also makes the reports)');
    console.log(`## ${count} hosts of 200 namespaces and 40 processes, through ${way.name}, load ${loadavg()[0]?.toFixed(2)}`);
    say(
      'first snapshots',
      count,
      await measure(
        store,
        pids,
        of((host) => host.snapshot()),
      ),
    );
    const changes: Measured[] = [];
    const from = Date.now();
    for (let minute = 0; minute < minutes; minute += 1) {
      changes.push(
        await measure(
          store,
          pids,
          of((host) => host.minute()),
        ),
      );
      await keepHouse(store);
    }
    const sum = changes.reduce(added);
    say(`${minutes} minutes of 1 % change`, (count * minutes) / 4, sum);
    const share = (ms: number): string => `${((100 * ms) / (minutes * 60_000)).toFixed(1)} %`;
    console.log(`   in real time, of a core: controller ${share(sum.controllerCpuMs)}, Postgres ${share(sum.postgresCpuMs)}`);
    const aDay = (bytes: number): string => `${((bytes / minutes) * (minutesADay / 2 ** 30)).toFixed(2)} GiB`;
    console.log(`   a day at this rate, extrapolated: tables grow by ${aDay(sum.tableBytes)}, ${aDay(sum.walBytes)} of WAL`);
    await askPast(store, from, fleet);
  } finally {
    await endProcess(part, 'SIGINT', postgresGraceMs);
    rmSync(root, { recursive: true });
  }
}

const keepHouse = (store: Store): Promise<unknown> => applyRetention(store, { days: 30, nowMs: Date.now() });

async function applyAll(way: IngestWay, fleet: readonly FleetHost[], work: (host: FleetHost) => Report | null): Promise<void> {
  const waiting = fleet.values();
  const lane = async (): Promise<void> => {
    for (const host of waiting) {
      const report = work(host);
      if (report === null) continue;
      const result = await way.send(report);
      if (result !== 'committed') throw new Error(`a report of ${host.hostId} was answered ${result}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

type Measured = { ms: number; controllerCpuMs: number; postgresCpuMs: number; tableBytes: number; walBytes: number };

const added = (a: Measured, b: Measured): Measured => ({
  ms: a.ms + b.ms,
  controllerCpuMs: a.controllerCpuMs + b.controllerCpuMs,
  postgresCpuMs: a.postgresCpuMs + b.postgresCpuMs,
  tableBytes: a.tableBytes + b.tableBytes,
  walBytes: a.walBytes + b.walBytes,
});

type Pids = { postmaster: number; controller: number | null };

async function measure(store: Store, { postmaster, controller }: Pids, work: () => Promise<void>): Promise<Measured> {
  const sizes = await sizesOf(store);
  const startMs = performance.now();
  const family = (pid: number, parent: number): boolean => pid === postmaster || parent === postmaster;
  const only = (pid: number): boolean => pid === (controller ?? process.pid);
  const before = { controller: cpuMs(only), postgres: cpuMs(family) };
  await work();
  const ms = performance.now() - startMs;
  const controllerCpuMs = cpuMs(only) - before.controller;
  const postgresCpuMs = cpuMs(family) - before.postgres;
  const after = await sizesOf(store);
  return {
    ms,
    controllerCpuMs,
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

/** Of all chosen processes and of their children that they have reaped: fields 14 to 17 of stat(5), in hundredths of a second. */
function cpuMs(chosen: (pid: number, parent: number) => boolean): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (chosen(Number(pid), Number(fields[1]))) for (const field of fields.slice(11, 15)) ticks += Number(field);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks * 10;
}

function say(what: string, reports: number, { ms, controllerCpuMs, postgresCpuMs, tableBytes, walBytes }: Measured): void {
  const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`;
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(`${what}: ${reports} reports in ${seconds(ms)} (${((reports * 1000) / ms).toFixed(0)} a second)`);
  console.log(
    `   CPU: controller ${seconds(controllerCpuMs)}, Postgres ${seconds(postgresCpuMs)}; tables ${mebibytes(tableBytes)}, WAL ${mebibytes(walBytes)}`,
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
