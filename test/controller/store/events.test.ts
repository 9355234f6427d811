import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore, transact } from '#controller/store/client.ts';
import { appendEvents, numberBefore, readEvents } from '#controller/store/events.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, log, select } from './fixture.ts';

leakCheck();

test('a reader that goes on after the last number misses none, whoever commits when', { timeout: 60_000 }, async () => {
  await using fresh = await freshStore();
  await using second = await openStore({ url: fresh.url, log });
  const stores = [fresh.store, second];
  const writers = 16;
  const each = 25;
  let writing = true;
  const seen: string[] = [];
  const reading = (async () => {
    let since = '0';
    for (let last = false; !last;) {
      last = !writing;
      const { events } = await readEvents(second.db, { since, limit: 7 });
      seen.push(...events.map((event) => String(event.detail['name'])));
      since = events.at(-1)?.seq ?? since;
      if (events.length > 0) last = false;
    }
  })();
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let at = 0; at < each; at += 1) {
        await transact(stores[writer % 2]!, async (tx) => {
          await appendEvents(tx, [
            { type: 'test', detail: { name: `${writer}.${at}a` } },
            { type: 'test', detail: { name: `${writer}.${at}b` } },
          ]);
          // between its numbers and its commit: here one without the lock would be overtaken
          await tx.execute(`select pg_sleep(${Math.random() / 200})`);
        }).catch(assert.ifError);
      }
    }),
  );
  writing = false;
  await reading;
  assert.equal(seen.length, writers * each * 2);
  assert.equal(new Set(seen).size, seen.length);
  for (const [at, name] of seen.entries())
    if (name.endsWith('a')) assert.equal(seen[at + 1], name.replace(/a$/, 'b'), 'of one transaction, side by side');
});

test('numbers are text beyond 2^53, and what a transaction takes back was never seen', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await select(store, `select setval('event_seq', 9007199254740993)`);
  await assert.rejects(
    transact(store, async (tx) => {
      await appendEvents(tx, [{ type: 'never' }]);
      throw new RangeError('taken back');
    }),
  );
  await transact(store, (tx) => appendEvents(tx, [{ type: 'one', namespaceId: '9007199254740995' }, { type: 'two' }]));
  const { events } = await readEvents(store.db, { since: '9007199254740993', limit: 10 });
  assert.deepEqual(
    events.map((event) => [event.seq, event.type, event.namespaceId]),
    [
      ['9007199254740995', 'one', '9007199254740995'],
      ['9007199254740996', 'two', null],
    ],
  );
  assert.deepEqual(await readEvents(store.db, { since: '9007199254740996', limit: 10 }), {
    events: [],
    last: '9007199254740996',
    atEnd: true,
  });
});

test('across ten and a hundred the order is that of numbers, not of text', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await transact(store, (tx) =>
    appendEvents(
      tx,
      Array.from({ length: 120 }, () => ({ type: 'test' })),
    ),
  );
  const { events } = await readEvents(store.db, { since: '0', limit: 1000 });
  assert.deepEqual(
    events.map((event) => Number(event.seq)),
    Array.from({ length: 120 }, (_, at) => at + 1),
  );
});

test('of types alone a bounded number is looked at, and `last` says so; no event is passed over', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await transact(store, (tx) => appendEvents(tx, [{ type: 'rare.first' }]));
  await select(store, `insert into events (seq, type, detail) select g, 'common', '{}' from generate_series(10, 450000) g`);
  await select(store, `select setval('event_seq', 450000)`);
  await transact(store, (tx) => appendEvents(tx, [{ type: 'rare.last' }]));
  const found: string[] = [];
  const reached: string[] = [];
  for (let page = { last: '0', atEnd: false }; !page.atEnd;) {
    const next = await readEvents(store.db, { since: page.last, limit: 10, types: ['rare.'] });
    found.push(...next.events.map(({ type }) => type));
    reached.push(next.last);
    page = next;
  }
  assert.deepEqual(found, ['rare.first', 'rare.last']);
  assert.deepEqual(reached, ['200000', '400000', '450001']);
});

test('a moment is the number before its first event; what was dropped is passed over, what is to come begins behind the newest', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const before = (time: string) => numberBefore(store.db, `2026-11-20T${time}Z`);
  assert.equal(await before('00:00'), '0', 'nothing has happened yet');
  const write = (seq: number, time: string) =>
    select(store, `insert into events (seq, at, type, detail) values (${seq}, '2026-11-20T${time}Z', 'test', '{}')`);
  await write(3, '10:00');
  await write(4, '11:00');
  // The clock was set back: what has a larger number is given, too, whatever its time says.
  await write(5, '10:30');
  await write(8, '12:00');
  const moments = ['09:00', '10:00', '10:00:00.001', '11:00', '11:30', '12:00', '12:00:00.001'];
  assert.deepEqual(await Promise.all(moments.map(before)), ['2', '2', '3', '3', '7', '7', '8']);
  await select(store, 'delete from events where seq < 5');
  await select(store, 'update events_dropped set seq = 4');
  assert.equal(await before('09:00'), '4');
  assert.equal((await readEvents(store.db, { since: '4', limit: 10 })).events.length, 2, 'which is not expired');
  await select(store, 'delete from events');
  await select(store, 'update events_dropped set seq = 8');
  assert.equal(await before('09:00'), '8');
});
