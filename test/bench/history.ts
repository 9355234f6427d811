/**
 * The past at size: how long the migrations take on it, how fast it is written, and what looking into it costs. On a Postgres of its own
 * that flushes to disk as production does. `npm run bench -- history [--rows 10000000]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { readEvents } from '#controller/store/events.ts';
import { diffNamespaces, namesOnHost, sameInode } from '#controller/store/history.ts';
import { migrate, readMigrations } from '#controller/store/migrate.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyReport } from '#controller/store/reports.ts';
import { makeDays } from '#controller/store/retention.ts';
import { endProcess } from '#controller/up/end.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { postgresGraceMs } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';
import { createLog } from '#shared/log.ts';
import { namespaceOf, readyHost, reportOf } from '#test/controller/store/fixture.ts';

const hosts = 1000;
const days = 30;
const dayMs = 86_400_000;

/** Namespaces come evenly over 30 days; most live for minutes, a few for days, so that some 200 a host are there at any moment. */
const rowsSql = (rows: number, extra: string) => `
  insert into namespaces (id, host_id, boot_id, type, key, inode, parent, owner, owner_uid, process_count, leader_pid, leader_uid, leader_comm,
    leader_command, first_seen, ended_at ${extra === '' ? '' : ', names, details, changed_at'})
  select g, 'host-' || (g * 7919 % ${hosts}), '00000000-0000-4000-8000-000000000000', (array['mnt','cgroup','uts','ipc','user','pid','net','time'])[1 + (g % 8)::int],
    'id:' || g, 4026532000 + g % 5000, null, 'id:1', null, 1 + (g % 5)::int, 1000 + (g % 30000)::int, 0, 'worker-' || g % 100, '/usr/bin/worker --shard ' || g % 1000,
    born, case when born + life > now() then 'infinity' else born + life end ${extra}
  from (
    select g, now() - interval '${days} days' + g * (interval '${days} days' / ${rows}) as born,
      -ln(1 - random()) * case when random() < 0.03 then interval '20 days' else interval '10 minutes' end as life
    from generate_series(1::bigint, ${rows}) g
  ) made`;

const newFields = `, '[]', '{"links": 1}', case when random() < 0.05 then born + life / 2 end`;

const eventsSql = (rows: number) => `
  insert into events (seq, at, type, host_id, namespace_id, detail)
  select g, now() - interval '${days} days' + g * (interval '${days} days' / ${rows}),
    (array['namespace.appeared', 'namespace.gone', 'namespace.changed'])[1 + (g % 3)::int], 'host-' || (g * 7919 % ${hosts}), 1 + g * 31 % ${rows},
    '{"type": "net", "key": "id:1", "inode": 1, "changed": {"leader": {"from": {"pid": 1, "uid": 0, "comm": "a", "command": "a"}, "to": null}}}'
  from generate_series(1::bigint, ${rows}) g`;

export async function benchHistory(rows: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'nsfleet-bench-'));
  const settings = { max_wal_size: '4GB', maintenance_work_mem: '256MB', shared_buffers: '512MB' };
  const cluster = { binaries: postgresBinaries(), dataDir: join(root, 'data'), passwordFile: join(root, 'password'), settings };
  const quiet = () => undefined;
  const { part, url } = await startPostgres(cluster, { runtime: join(root, 'run'), log: join(root, 'log') }, quiet, quiet);
  try {
    await using store = await openStore({ url, log: createLog('bench', 'warn') });
    await migrations(store, rows);
    await fill(store, rows);
    await questions(store);
    await writing(store);
  } finally {
    await endProcess(part, 'SIGINT', postgresGraceMs);
    rmSync(root, { recursive: true });
  }
}

async function run(store: Store, text: string): Promise<number> {
  const client = await store.pool.connect();
  const start = performance.now();
  try {
    await client.query('set statement_timeout = 0');
    await client.query(text);
  } finally {
    client.release(true);
  }
  return performance.now() - start;
}

function say(what: string, ms: number, more = ''): void {
  console.log(`${what.padEnd(66)} ${(ms / 1000).toFixed(2).padStart(8)} s  ${more}`);
}

async function migrations(store: Store, rows: number): Promise<void> {
  const [first, ...others] = readMigrations();
  await migrate(store, first === undefined ? [] : [first]);
  const took = await run(store, rowsSql(rows, ''));
  say(`${rows} namespaces of the past, one statement, one leaf`, took, `${Math.round(rows / (took / 1000))} a second`);
  say(`${rows} events`, await run(store, eventsSql(rows)));
  for (const [at, migration] of others.entries()) {
    const start = performance.now();
    await migrate(store, readMigrations().slice(0, at + 2));
    say(`migration ${migration.name} on that`, performance.now() - start);
  }
  await run(store, 'truncate namespaces, events');
}

async function fill(store: Store, rows: number): Promise<void> {
  const now = Date.now();
  await makeDays(store, now - (days + 1) * dayMs, now + dayMs);
  await run(
    store,
    `insert into hosts (id, name, public_key) select 'host-' || g, 'host-' || g, 'key-' || g from generate_series(0, ${hosts - 1}) g;
     insert into agent_sessions (host_id, confirmed_at) select id, now() from hosts;
     insert into beats (host_id, at) select id, now() from hosts;
     insert into namespace_marks select now() - interval '${days} days' + g * interval '1 minute', (${rows}::bigint * g / ${days * 1440})
       from generate_series(0, ${days * 1440}) g`,
  );
  const took = await run(store, rowsSql(rows, newFields));
  say(`${rows} namespaces into a leaf a day`, took, `${Math.round(rows / (took / 1000))} a second`);
  say(`${rows} events into a leaf a day`, await run(store, eventsSql(rows)));
  await run(store, `select setval('namespaces_id_seq', ${rows}), setval('event_seq', ${rows})`);
  say('vacuum analyze', await run(store, 'vacuum analyze'));
  const { rows: sizes } = await store.pool.query<{ line: string }>(
    `select format('%s rows there now; namespaces %s, events %s', (select count(*) from namespaces_current),
      pg_size_pretty((select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'namespaces'::regclass)),
      pg_size_pretty((select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'events'::regclass))) as line`,
  );
  console.log(sizes[0]?.line);
}

async function questions(store: Store): Promise<void> {
  const { db } = store;
  const some = <T>(of: (random: number) => T) => of(Math.random());
  const moment = () => some((random) => new Date(Date.now() - random * days * dayMs).toISOString());
  const host = () => some((random) => `host-${Math.floor(random * hosts)}`);
  const id = async () => {
    const { rows } = await store.pool.query<{ id: string }>(`select (random() * last_value)::bigint::text as id from namespaces_id_seq`);
    return rows[0]?.id ?? '1';
  };
  await timed('ns ls, a page of 1,000', 60, () => listNamespaces(db, { limit: 1000, ended: false }));
  await timed('ns ls --at, first page of 1,000', 100, () => listNamespaces(db, { limit: 1000, ended: false, at: moment() }));
  await timed('ns ls --at, any page of 1,000', 100, async () =>
    listNamespaces(db, { limit: 1000, ended: false, at: moment(), cursor: await id() }),
  );
  await timed('ns ls --at --type net, a page of 1,000', 60, () =>
    listNamespaces(db, { limit: 1000, ended: false, at: moment(), type: 'net' }),
  );
  await timed('ns ls --at --host, whole', 60, () => listNamespaces(db, { limit: 1000, ended: false, at: moment(), host: host() }));
  await timed('ns show, by number', 60, async () => findNamespace(db, { namespace: await id() }));
  await timed('ns history, events of one', 60, async () => readEvents(db, { since: '0', limit: 1000, namespaceIds: [await id()] }));
  await timed('ns history --inode', 60, () => sameInode(db, { hostId: host(), type: 'net', inode: 4_026_532_006 }));
  await timed('host timeline, a page of 1,000', 60, () => readEvents(db, { since: '0', limit: 1000, hostId: host(), from: moment() }));
  await timed('events, a page of 1,000 from anywhere', 60, async () => readEvents(db, { since: await id(), limit: 1000 }));
  await timed('ns diff of a host, a day', 30, () => diffNamespaces(db, { ...spanOf(moment(), dayMs), hostId: host() }, 1000));
  await timed('ns diff of the fleet, an hour', 15, () => diffNamespaces(db, spanOf(moment(), dayMs / 24), 1000));
  await timed('ns diff of two hosts', 30, () => namesOnHost(db, host(), moment(), undefined));
}

function spanOf(moment: string, ms: number): { from: string; to: string } {
  const to = Date.parse(moment);
  return { from: new Date(to - ms).toISOString(), to: moment };
}

async function writing(store: Store): Promise<void> {
  const hello = await readyHost(store, 'writer');
  let seq = 1;
  const keys = (at: number) => Array.from({ length: 200 }, (_, n) => namespaceOf('net', `${at}${String(n).padStart(4, '0')}`));
  await applyReport(store, reportOf(hello, seq, 'snapshot', { namespaces: keys(seq) }));
  await timed('a report: 200 namespaces gone, 200 new', 30, () => {
    const namespacesGone = keys(seq).map(({ type, key }) => ({ type, key }));
    seq += 1;
    return applyReport(store, reportOf(hello, seq, 'delta', { namespaces: keys(seq), namespacesGone }));
  });
}

async function timed(what: string, times: number, run: () => Promise<unknown>): Promise<void> {
  const took: number[] = [];
  for (let at = 0; at < times; at += 1) {
    const start = performance.now();
    await run();
    took.push(performance.now() - start);
  }
  took.sort((a, b) => a - b);
  const quantile = (part: number) => `${took[Math.floor((took.length - 1) * part)]!.toFixed(1).padStart(9)} ms`;
  console.log(`${what.padEnd(52)} p50 ${quantile(0.5)}   p95 ${quantile(0.95)}   max ${quantile(1)}`);
}
