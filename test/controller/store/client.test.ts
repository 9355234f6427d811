import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { finish, openStore, rowsOf, transact } from '#controller/store/client.ts';
import { placeSandbox } from '#controller/store/sandboxes.ts';
import { NsfleetError } from '#shared/errors.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, log, readyHost, refusedWith, select, wishOf } from './fixture.ts';

leakCheck();

test('transactions that deadlock run again, and all end', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await readyHost(store, 'b');
  let runs = 0;
  let holding = 0;
  const both = Promise.withResolvers<void>();
  const lock = (first: string, second: string) =>
    transact(store, async (tx) => {
      runs += 1;
      await rowsOf(tx, 'lock', sql`select from hosts where id = ${first} for update`);
      holding += 1;
      if (holding === 2) both.resolve();
      await both.promise;
      await rowsOf(tx, 'lock', sql`select from hosts where id = ${second} for update`);
    });
  await Promise.all([lock('a', 'b'), lock('b', 'a')]);
  assert.ok(runs > 2, 'they did deadlock');
});

test('what fails for its own sake is not run again, and leaves nothing', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  let runs = 0;
  const broken = transact(store, async (tx) => {
    runs += 1;
    await rowsOf(tx, 'write', sql`insert into beats (host_id) values ('nobody')`);
  });
  await assert.rejects(broken, refusedWith('INTERNAL'));
  assert.equal(runs, 1);
});

test('a last statement that fails takes its transaction with it, commit or not', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const broken = transact(store, async (tx) => {
    await rowsOf(tx, 'write', sql`update hosts set name = 'half' where id = 'a'`);
    await finish(tx, 'write', sql`select 1 / ${0}::int`);
  });
  await assert.rejects(broken, refusedWith('INVALID_INPUT'));
  assert.deepEqual(await select(store, `select name from hosts`), [{ name: 'a.example' }]);
  await transact(store, (tx) => finish(tx, 'write', sql`update hosts set name = 'whole' where id = 'a'`));
  assert.deepEqual(await select(store, `select name from hosts`), [{ name: 'whole' }]);
});

test('where begin alone fails, what was sent behind it places nothing', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const connect = store.pool.connect.bind(store.pool);
  store.pool.connect = (async () => {
    const client = await connect();
    const query = client.query.bind(client);
    client.query = ((text: unknown, ...more: unknown[]) =>
      text === 'begin' ? Promise.reject(new Error('cancelled')) : (query as (...given: unknown[]) => unknown)(text, ...more)) as never;
    return client;
  }) as never;
  await assert.rejects(placeSandbox(store, wishOf('a')), refusedWith('INTERNAL'));
  await using second = await openStore({ url: fresh.url, log });
  assert.deepEqual(await select(second, 'select from sandboxes'), []);
});

test('no message of an error holds what was sent', async () => {
  await using fresh = await freshStore();
  const attempt = rowsOf(fresh.store.db, 'try', sql`select ${'hunter2'}::int`);
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof NsfleetError && error.code === 'INVALID_INPUT');
    assert.ok(!error.message.includes('select'));
    return true;
  });
});

test('a server that takes no writes is UNAVAILABLE', async () => {
  await using fresh = await freshStore();
  await readyHost(fresh.store, 'a');
  await select(
    fresh.store,
    `do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`,
  );
  await using readOnly = await openStore({ url: fresh.url, log });
  await assert.rejects(placeSandbox(readOnly, wishOf('a')), refusedWith('UNAVAILABLE'));
});

test('connections that are killed at any moment: the retry with the same key ends with exactly one', { timeout: 60_000 }, async () => {
  await using fresh = await freshStore();
  await using victim = await openStore({ url: `${fresh.url}?application_name=victim`, log });
  await readyHost(fresh.store, 'a');
  let working = true;
  let unknown = 0;
  const killer = (async () => {
    while (working) {
      await select(
        fresh.store,
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim' and random() < 0.3`,
      );
      await sleep(Math.random() * 20);
    }
  })();
  const create = async (key: number) => {
    for (;;) {
      try {
        const made = await placeSandbox(victim, wishOf('a', { idempotencyKey: `k${key}`, name: `s${key}` }));
        assert.notEqual(made.outcome, 'full');
        return;
      } catch (error) {
        refusedWith('DATABASE_UNREACHABLE')(error);
        unknown += 1;
      }
    }
  };
  try {
    for (let key = 0; key < 60; key += 10) await Promise.all(Array.from({ length: 10 }, (_, at) => create(key + at)));
  } finally {
    working = false;
    await killer;
  }
  assert.ok(unknown > 0, 'some were killed');
  assert.deepEqual(await select(fresh.store, 'select count(*)::int, count(distinct idempotency_key)::int as keys from sandboxes'), [
    { count: 60, keys: 60 },
  ]);
  assert.deepEqual(await select(fresh.store, 'select count(*)::int from placements'), [{ count: 60 }]);
});
