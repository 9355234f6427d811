/**
 * Brings a database to the schema of this code. All pending migrations are one transaction under one lock, so any number of controllers
 * may start at once, and one that dies half-way leaves nothing.
 *
 * drizzle's own migrator takes no lock (5 of 6 that start together crash) and skips a migration older than the newest applied; its
 * journal and its table are kept, so that drizzle-kit understands the database too.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { NsfleetError } from '#shared/errors.ts';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { databaseCode } from './database-error.ts';

const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url));
/** With (7234150, 1) of the events' numbers, (7234150, 2) of retention and (7234151, …) of leaks, the only advisory locks in use. */
const lock = sql`pg_advisory_xact_lock(7234150, 0)`;
/** SQLSTATE: something of that name is there already, and no journal of ours says why. */
const alreadyThere = ['42P07', '42723', '42710'];

export type Migration = { name: string; hash: string; madeAtMs: number; statements: readonly string[] };

/** The migrations of this code, oldest first. `folder` holds drizzle-kit's `meta/_journal.json` and one SQL file each. */
export function readMigrations(folder: string = migrationsFolder): Migration[] {
  const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8')) as { entries: { tag: string }[] };
  return readMigrationFiles({ migrationsFolder: folder }).map((file, position) => ({
    name: journal.entries[position]?.tag ?? '',
    hash: file.hash,
    madeAtMs: file.folderMillis,
    statements: file.sql,
  }));
}

/**
 * Applies what is missing and gives the names of it. Throws DATABASE_NEWER where the database has migrations that this code lacks, and
 * DATABASE_FOREIGN where an applied one is not this code's, or the tables are somebody else's; then nothing was changed.
 */
export async function migrate(store: Store, migrations: readonly Migration[] = readMigrations()): Promise<{ applied: string[] }> {
  return transact(
    store,
    async (tx) => {
      await rowsOf(tx, 'wait for another migration', sql`set local statement_timeout = 0`);
      await rowsOf(tx, 'wait for another migration', sql`select ${lock}`);
      const done = await appliedHashes(tx);
      refuseOthers(store, migrations, done);
      const missing = migrations.slice(done.length);
      for (const migration of missing) await apply(tx, store, migration);
      return { applied: missing.map((migration) => migration.name) };
    },
    'migrate',
  );
}

/** The name of the newest applied migration, empty where there is none. */
export async function appliedMigration(tx: Tx): Promise<string> {
  const done = await appliedHashes(tx);
  return readMigrations().findLast((migration) => done.includes(migration.hash))?.name ?? '';
}

async function appliedHashes(tx: Tx): Promise<string[]> {
  const [there] = await rowsOf<{ journal: string | null }>(
    tx,
    'look for the migrations',
    sql`select to_regclass('drizzle.__drizzle_migrations')::text as journal`,
  );
  if (there?.journal === null) return [];
  const rows = await rowsOf<{ hash: string }>(tx, 'read the migrations', sql`select hash from drizzle.__drizzle_migrations order by id`);
  return rows.map((row) => row.hash);
}

function refuseOthers(store: Store, migrations: readonly Migration[], done: readonly string[]): void {
  const other = done.findIndex((hash, position) => position < migrations.length && hash !== migrations[position]?.hash);
  if (other !== -1) {
    throw refusal(store, 'DATABASE_FOREIGN', `its migration ${other} is not this code’s ${migrations[other]?.name}`);
  }
  if (done.length > migrations.length) {
    throw refusal(store, 'DATABASE_NEWER', `it has ${done.length} migrations, this code knows ${migrations.length}`);
  }
}

async function apply(tx: Tx, store: Store, migration: Migration): Promise<void> {
  const attempted = `apply migration ${migration.name}`;
  try {
    await rowsOf(tx, attempted, sql`create schema if not exists drizzle`);
    await rowsOf(
      tx,
      attempted,
      sql`create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`,
    );
    for (const statement of migration.statements) await rowsOf(tx, attempted, sql.raw(statement));
    await rowsOf(
      tx,
      attempted,
      sql`insert into drizzle.__drizzle_migrations (hash, created_at) values (${migration.hash}, ${migration.madeAtMs})`,
    );
  } catch (error) {
    if (!alreadyThere.includes(databaseCode(error) ?? '')) throw error;
    throw refusal(store, 'DATABASE_FOREIGN', error instanceof NsfleetError ? error.reason : 'a table of that name exists', error);
  }
}

function refusal(store: Store, code: 'DATABASE_FOREIGN' | 'DATABASE_NEWER', reason: string, cause?: unknown): NsfleetError {
  return new NsfleetError(code, { attempted: 'use the database', target: store.address, reason, cause });
}
