/**
 * What the store's verbs cost, on a Postgres of its own that flushes to disk as production does. Two numbers of a verb are its median and
 * 95th percentile when nothing else runs; the rates are with ten at once. `node test/bench/store.ts` (Node 24).
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, transact } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { appendEvents } from '#controller/store/events.ts';
import { recordBeat } from '#controller/store/hosts.ts';
import { migrate } from '#controller/store/migrate.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyStatuses } from '#controller/store/placements.ts';
import { applyReport } from '#controller/store/reports.ts';
import { findSandbox, placeSandbox } from '#controller/store/sandboxes.ts';
import { schedulingView } from '#controller/store/schedule.ts';
import { endProcess } from '#controller/up/end.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { postgresGraceMs } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';
import type { HostHello } from '#shared/host.ts';
import { createLog } from '#shared/log.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { eightNamespaces, namespaceOf, place, processOf, readyHost, reportOf, statusOf, wishOf } from '#test/controller/store/fixture.ts';

const hostCount = 200;
const namespacesEach = 200;
const rounds = 300;

const root = mkdtempSync(join(tmpdir(), 'nsfleet-bench-'));
const cluster = { binaries: postgresBinaries(), dataDir: join(root, 'data'), passwordFile: join(root, 'password'), settings: {} };
const quiet = () => undefined;
const { part, url } = await startPostgres(cluster, { runtime: join(root, 'run'), log: join(root, 'log') }, quiet, quiet);
try {
  await using store = await openStore({ url, log: createLog('bench', 'warn') });
  await migrate(store);
  const hosts: HostHello[] = [];
  for (let at = 0; at < hostCount; at += 1) {
    hosts.push(
      await readyHost(store, `host-${at}`, {
        capacity: { sandboxes: 10_000, idRanges: 4095 },
        idPool: { start: 0x7000_0000, count: 4095, size: 65_536 },
      }),
    );
  }
  await inventory(store, hosts);
  await sandboxes(store, hosts);
  await rates(store, hosts);
} finally {
  await endProcess(part, 'SIGINT', postgresGraceMs);
  rmSync(root, { recursive: true });
}

async function inventory(store: Store, hosts: readonly HostHello[]): Promise<void> {
  const namespaces = Array.from({ length: namespacesEach }, (_, at) => namespaceOf(namespaceTypes[at % 8]!, at));
  const keys = namespaces.slice(0, 8).map((row) => row.key);
  const processes = Array.from({ length: namespacesEach }, (_, at) => processOf(at + 1, { namespaces: keys }));
  const seq = new Map<string, number>();
  const next = (hostId: string) => seq.set(hostId, (seq.get(hostId) ?? 0) + 1).get(hostId)!;
  const snapshot = (hello: HostHello) => applyReport(store, reportOf(hello, next(hello.hostId), 'snapshot', { namespaces, processes }));
  await timed(`first snapshot, ${namespacesEach} namespaces and processes`, hosts.length, (at) => snapshot(hosts[at]!));
  await timed('the same snapshot again', hosts.length, (at) => snapshot(hosts[at]!));
  await timed('delta: a namespace and a process more', rounds, (at) => {
    const hello = hosts[at % hosts.length]!;
    const rows = { namespaces: [namespaceOf('net', 10_000 + at)], processes: [processOf(10_000 + at, { namespaces: keys })] };
    return applyReport(store, reportOf(hello, next(hello.hostId), 'delta', rows));
  });
  const beat = ({ hostId, bootId, epoch }: HostHello) => ({
    v: 1 as const,
    hostId,
    bootId,
    epoch,
    seq: 1,
    digest: '0'.repeat(32),
    placements: 0,
    load1: 0,
  });
  await timed('heartbeat', rounds, (at) => recordBeat(store, beat(hosts[at % hosts.length]!)));
  await timed('list 1,000 namespaces', 30, () => listNamespaces(store.db, { limit: 1000, ended: false }));
  await timed(`show one of ${namespacesEach} holders`, 30, () => findNamespace(store.db, { namespace: keys[0]!, host: 'host-0' }));
}

async function sandboxes(store: Store, hosts: readonly HostHello[]): Promise<void> {
  const placed = await timed('place a sandbox', rounds, (at) =>
    place(store, hosts[at % hosts.length]!.hostId, { idempotencyKey: randomUUID() }),
  );
  const status = (at: number) => statusOf(placed[at]!, 1, 'running', { initPid: 2, commandPid: 3, namespaces: eightNamespaces(at * 8) });
  await timed('its status running, with eight namespaces', rounds, (at) =>
    applyStatuses(store, hosts[at % hosts.length]!.hostId, [status(at)]),
  );
  await timed('its status stopped', rounds, (at) =>
    applyStatuses(store, hosts[at % hosts.length]!.hostId, [statusOf(placed[at]!, 2, 'stopped')]),
  );
  await timed('find a sandbox', rounds, (at) => findSandbox(store.db, placed[at]!.sandbox.id));
  await timed(`the scheduler’s view of ${hosts.length} hosts`, rounds, () => schedulingView(store.db));
}

async function rates(store: Store, hosts: readonly HostHello[]): Promise<void> {
  await rate('sandboxes placed, on many hosts', (at) => placeSandbox(store, wishOf(hosts[at % hosts.length]!.hostId)));
  await rate('sandboxes placed, on one host', () => placeSandbox(store, wishOf('host-0')));
  await rate('transactions with an event', () => transact(store, (tx) => appendEvents(tx, [{ type: 'bench' }])));
  await rate('transactions without', () =>
    transact(store, (tx) => tx.execute(`update hosts set name = name where id = 'host-${Math.trunc(Math.random() * hostCount)}'`)),
  );
}

async function timed<T>(what: string, times: number, run: (at: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const took: number[] = [];
  for (let at = 0; at < times; at += 1) {
    const start = performance.now();
    results.push(await run(at));
    took.push(performance.now() - start);
  }
  took.sort((a, b) => a - b);
  const quantile = (part: number) => took[Math.floor((took.length - 1) * part)]!.toFixed(2).padStart(8);
  console.log(`${what.padEnd(52)} ${quantile(0.5)} ms ${quantile(0.95)} ms`);
  return results;
}

async function rate(what: string, run: (at: number) => Promise<unknown>): Promise<void> {
  const seconds = 2;
  const end = performance.now() + seconds * 1000;
  let done = 0;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      while (performance.now() < end) await run(done++);
    }),
  );
  console.log(`${what.padEnd(52)} ${(done / seconds).toFixed(0).padStart(8)} a second`);
}
