import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStore } from '#controller/store/client.ts';
import { listHosts } from '#controller/store/hosts.ts';
import { appliedMigration, migrate, readMigrations } from '#controller/store/migrate.ts';
import type { Migration } from '#controller/store/migrate.ts';
import { NsfleetError } from '#shared/errors.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshDatabase } from '#test/support/postgres.ts';
import { freshStore, log, refusedWith, select } from './fixture.ts';
import { schemaDump } from './schema-dump.ts';

leakCheck();

const migrations = readMigrations();
const names = migrations.map((migration) => migration.name);
const later: Migration = { name: 'later', hash: 'f'.repeat(64), madeAtMs: Date.UTC(2100, 0), statements: ['create table later (id int)'] };

test('five that start at once all succeed, and each migration is applied by one of them', async () => {
  await using database = await freshDatabase();
  const stores = await Promise.all(Array.from({ length: 5 }, () => openStore({ url: database.url, log, poolSize: 2 })));
  try {
    const results = await Promise.all(stores.map((store) => migrate(store)));
    assert.deepEqual(
      results.flatMap((result) => result.applied),
      names,
    );
    assert.equal(await appliedMigration(stores[0]!.db), names.at(-1));
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
});

test('a second time nothing is left to do', async () => {
  await using fresh = await freshStore();
  assert.deepEqual(await migrate(fresh.store), { applied: [] });
});

test('a database with a migration that the code lacks is refused and left alone', async () => {
  await using fresh = await freshStore();
  assert.deepEqual(await migrate(fresh.store, [...migrations, later]), { applied: ['later'] });
  await assert.rejects(migrate(fresh.store), refusedWith('DATABASE_NEWER'));
});

test('a database with another history is refused', async () => {
  await using fresh = await freshStore();
  const others = migrations.map((migration) => ({ ...migration, hash: '0'.repeat(64) }));
  await assert.rejects(migrate(fresh.store, others), refusedWith('DATABASE_FOREIGN'));
});

test('a database with somebody else’s tables is refused, and nothing is added to it', async () => {
  await using database = await freshDatabase();
  await using store = await openStore({ url: database.url, log });
  await select(store, 'create table hosts (somebody text)');
  await assert.rejects(migrate(store), refusedWith('DATABASE_FOREIGN'));
  const left = await select<{ name: string }>(store, `select relname as name from pg_class where relnamespace = 'public'::regnamespace`);
  assert.deepEqual(left, [{ name: 'hosts' }]);
});

test('a migration that fails half-way leaves nothing, and runs again', async () => {
  await using fresh = await freshStore();
  const broken = { ...later, statements: ['create table later (id int)', 'select 1 / 0'] };
  await assert.rejects(migrate(fresh.store, [...migrations, broken]), NsfleetError);
  assert.deepEqual(await select(fresh.store, `select to_regclass('later') as found`), [{ found: null }]);
  assert.deepEqual(await migrate(fresh.store, [...migrations, later]), { applied: ['later'] });
});

test('migrations/schema.sql is the schema that the migrations make', async () => {
  await using fresh = await freshStore();
  const file = fileURLToPath(new URL('../../../migrations/schema.sql', import.meta.url));
  const made = await schemaDump(fresh.store);
  if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(file, made);
  assert.equal(made, readFileSync(file, 'utf8'));
});

test('a wrong DATABASE_URL is DATABASE_UNREACHABLE, says what is wrong, and never shows the password', async () => {
  await using database = await freshDatabase();
  const variant = (change: (url: URL) => void) => {
    const url = new URL(database.url);
    url.password = 'hunter2';
    change(url);
    return url.href;
  };
  const right = new URL(database.url).password;
  const variants: [string, RegExp][] = [
    [variant((url) => void (url.password = 'hunter2')), /password authentication failed/],
    [variant((url) => Object.assign(url, { password: right, pathname: '/nowhere' })), /does not exist/],
    [variant((url) => void (url.username = 'nobody-here')), /password authentication failed|role/],
    [variant((url) => void (url.port = '1')), /ECONNREFUSED/],
    [variant((url) => void (url.hostname = 'no-such-host.invalid')), /ENOTFOUND|EAI_AGAIN/],
    ['mysql://user:hunter2@localhost/x', /not of the form/],
    ['hunter2', /not of the form/],
    ['', /not of the form/],
  ];
  for (const [url, reason] of variants) {
    await assert.rejects(openStore({ url, log }), (error: unknown) => {
      assert.ok(error instanceof NsfleetError);
      assert.equal(error.code, 'DATABASE_UNREACHABLE', error.message);
      assert.match(error.reason, reason);
      const shown = JSON.stringify([error.message, error.stack, error.toWire()]);
      assert.ok(!shown.includes('hunter2') && !shown.includes(right), shown);
      return true;
    });
  }
});

test('before the migrations a query says whose fault it is', async () => {
  await using database = await freshDatabase();
  await using store = await openStore({ url: database.url, log });
  await assert.rejects(listHosts(store.db, { limit: 1 }), refusedWith('DATABASE_FOREIGN'));
});
