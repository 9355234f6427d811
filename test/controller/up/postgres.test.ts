/** The embedded Postgres: made once, kept, started again after a SIGKILL, and over a stale pid file. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { endProcess } from '#controller/up/end.ts';
import { identify } from '#controller/up/identity.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { serverOn } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';
import type { PostgresServer } from '#controller/up/postgres.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const cluster = { binaries: postgresBinaries(), dataDir: join(dirs.root, 'pg'), passwordFile: join(dirs.root, 'password') };
const said: string[] = [];

function start(dataDir = cluster.dataDir): Promise<PostgresServer> {
  const places = { runtime: dirs.runtime, log: join(dirs.root, 'log') };
  return startPostgres(
    { ...cluster, dataDir },
    places,
    (line) => said.push(line),
    () => undefined,
  );
}

async function query(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(text);
    return Object.values(result.rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

test('it is made, keeps its data over a clean stop and over a SIGKILL, and is secret', async () => {
  let server = await start();
  await query(server.url, 'CREATE TABLE kept (n int)');
  await query(server.url, 'INSERT INTO kept VALUES (1)');
  assert.equal(await endProcess(server.part, 'SIGINT', 30_000), 'ended');
  assert.equal(await server.part.ended, 'code 0');

  server = await start();
  await query(server.url, 'INSERT INTO kept VALUES (2)');
  assert.equal(await endProcess(server.part, 'SIGKILL', 30_000), 'ended');

  server = await start();
  assert.equal(await query(server.url, 'SELECT count(*)::int FROM kept'), 2);
  assert.equal(await query(server.url, 'SHOW fsync'), 'on');
  assert.equal(statSync(cluster.passwordFile).mode & 0o777, 0o600);
  assert.equal(statSync(cluster.dataDir).mode & 0o777, 0o700);
  const wrong = new URL(server.url);
  wrong.password = 'wrong';
  await assert.rejects(query(wrong.href, 'SELECT 1'), /password/);
  await endProcess(server.part, 'SIGINT', 30_000);
});

test('a server that an earlier start left on the data is ended first', async () => {
  const left = await start();
  assert.deepEqual(serverOn(cluster.dataDir), identify(left.part.pid));
  const next = await start();
  assert.ok(said.some((line) => line.includes(`server ${left.part.pid}`)));
  assert.equal(identify(left.part.pid), null);
  await endProcess(next.part, 'SIGINT', 30_000);
});

test('a pid file that names a process of somebody else does not stop it, nor is that process touched', async () => {
  writeFileSync(join(cluster.dataDir, 'postmaster.pid'), `${process.pid}\n${cluster.dataDir}\n0\n1\n\n\n0 0\nready\n`);
  assert.equal(serverOn(cluster.dataDir), null);
  const server = await start();
  assert.equal(await query(server.url, 'SELECT 1'), 1);
  await endProcess(server.part, 'SIGINT', 30_000);
});

test('a half-made cluster is thrown away and made anew', async () => {
  const dataDir = join(dirs.root, 'half');
  mkdirSync(`${dataDir}.new`);
  writeFileSync(join(`${dataDir}.new`, 'PG_VERSION'), '18\n');
  const server = await start(dataDir);
  assert.equal(await query(server.url, 'SELECT current_database()'), 'nsfleet');
  await endProcess(server.part, 'SIGINT', 30_000);
  assert.equal(existsSync(`${dataDir}.new`), false);
});

test('a damaged cluster is told with the end of its log', async () => {
  const dataDir = join(dirs.root, 'damaged');
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(join(dataDir, 'PG_VERSION'), '9\n');
  await assert.rejects(start(dataDir), { code: 'CHILD_DIED', reason: /postgres/ });
  assert.deepEqual(readdirSync(dataDir), ['PG_VERSION']);
});
