import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openStore } from '#controller/store/client.ts';
import { readEvents } from '#controller/store/events.ts';
import { recordHello } from '#controller/store/hosts.ts';
import { applyStatuses } from '#controller/store/placements.ts';
import { findSandbox, listSandboxes, placeSandbox } from '#controller/store/sandboxes.ts';
import { schedulingView } from '#controller/store/schedule.ts';
import { Sandbox } from '#shared/resources.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, log, place, readyHost, refusedWith, select, statusOf, wishOf } from './fixture.ts';
import type { Placed } from './fixture.ts';

leakCheck();

test('what is made is complete, is found again, and has its events and its decision', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const { sandbox, desired } = await place(store, 'a', { name: 'blue-cat', input: { labels: { app: 'web' } } });
  assert.deepEqual(Sandbox.parse(sandbox), sandbox);
  assert.deepEqual(await findSandbox(store.db, sandbox.id), sandbox);
  assert.deepEqual(await findSandbox(store.db, 'blue-cat'), sandbox);
  assert.deepEqual(await findSandbox(store.db, sandbox.id.slice(0, 6)), sandbox);
  assert.deepEqual(sandbox.idRange, { start: hello.idPool.start, count: 65_536 });
  assert.deepEqual([desired.placementId, desired.generation, desired.wanted], [sandbox.placementId, 1, 'running']);
  assert.equal(sandbox.decision?.chosen, 'a');
  const events = (await readEvents(store.db, { since: '0', limit: 100 })).events.filter((event) => event.sandboxId === sandbox.id);
  assert.deepEqual(
    events.map((event) => event.type),
    ['sandbox.created', 'sandbox.placed'],
  );
  for (const label of ['app', 'app=web'])
    assert.equal((await listSandboxes(store.db, { limit: 9, label, all: false })).sandboxes.length, 1);
  for (const label of ['ap', 'app=', 'app=we'])
    assert.equal((await listSandboxes(store.db, { limit: 9, label, all: false })).sandboxes.length, 0);
  await assert.rejects(findSandbox(store.db, 'nobody'), refusedWith('SANDBOX_NOT_FOUND'));
});

test('200 at once for one slot, on two controllers: exactly one', { timeout: 60_000 }, async () => {
  await using fresh = await freshStore();
  await using second = await openStore({ url: fresh.url, log });
  await readyHost(fresh.store, 'a', { capacity: { sandboxes: 1, idRanges: 100 } });
  const stores = [fresh.store, second];
  const outcomes = await Promise.all(Array.from({ length: 200 }, (_, at) => placeSandbox(stores[at % 2]!, wishOf('a'))));
  assert.equal(outcomes.filter(({ outcome }) => outcome === 'placed').length, 1);
  assert.equal(outcomes.filter(({ outcome }) => outcome === 'full').length, 199);
  assert.deepEqual(await select(fresh.store, 'select count(*)::int from sandboxes'), [{ count: 1 }]);
});

test('50 at once with one idempotency key, on two hosts: exactly one, and all are told of it', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await readyHost(store, 'b');
  const wish = wishOf('a', { idempotencyKey: 'k', name: 'only' });
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, at) => placeSandbox(store, { ...wish, hostId: at % 2 === 0 ? 'a' : 'b' })),
  );
  assert.equal(outcomes.filter(({ outcome }) => outcome === 'placed').length, 1);
  const ids = new Set(outcomes.map((outcome) => (outcome.outcome === 'full' ? null : outcome.sandbox.id)));
  assert.equal(ids.size, 1);
  const again = await placeSandbox(store, { ...wish, name: 'another-made-up-name' });
  assert.equal(again.outcome, 'repeated');
  assert.ok(again.desired !== null, 'its host has not answered: it is to be told again');
  await assert.rejects(placeSandbox(store, { ...wish, requestHash: 'other' }), refusedWith('IDEMPOTENCY_KEY_REUSED'));
  const one = outcomes.find((outcome): outcome is Placed => outcome.outcome === 'placed')!;
  await applyStatuses(store, one.sandbox.hostId!, [statusOf(one, 1, 'running')]);
  const answered = await placeSandbox(store, wish);
  assert.ok(answered.outcome === 'repeated' && answered.desired === null && answered.sandbox.state === 'running');
});

test('a name is one sandbox’s until that is removed', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => place(store, 'a', { name: 'blue' })));
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  assert.equal(made.length, 1);
  for (const result of results) if (result.status === 'rejected') refusedWith('SANDBOX_NAME_TAKEN')(result.reason);
  await applyStatuses(store, 'a', [statusOf(made[0]!, 1, 'failed')]);
  await assert.rejects(place(store, 'a', { name: 'blue' }), refusedWith('SANDBOX_NAME_TAKEN'));
  await applyStatuses(store, 'a', [statusOf(made[0]!, 2, 'removed')]);
  const second = await place(store, 'a', { name: 'blue' });
  assert.equal((await findSandbox(store.db, 'blue')).id, second.sandbox.id);
  assert.equal((await findSandbox(store.db, made[0]!.sandbox.id)).state, 'removed');
});

test('a host that is silent, full or out of ranges takes none; an unknown one is refused', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await select(store, `update beats set at = now() - interval '21 seconds'`);
  const outcome = async (hostId: string) => (await placeSandbox(store, wishOf(hostId))).outcome;
  assert.equal(await outcome('a'), 'full');
  await readyHost(store, 'b', { idPool: { start: 200_000, count: 2, size: 65_536 } });
  assert.deepEqual([await outcome('b'), await outcome('b'), await outcome('b')], ['placed', 'placed', 'full']);
  await readyHost(store, 'c', { capacity: { sandboxes: 1, idRanges: 0 }, idPool: { start: 0, count: 0, size: 65_536 } });
  const { sandbox, desired } = await place(store, 'c');
  assert.deepEqual([sandbox.idRange, desired.idRange], [null, null], 'an unprivileged agent maps one id');
  assert.equal(await outcome('c'), 'full');
  await assert.rejects(outcome('nobody'), refusedWith('HOST_NOT_FOUND'));
  assert.deepEqual(
    (await schedulingView(store.db)).map(({ id, status, used }) => [id, status, used.sandboxes, used.idRanges]),
    [
      ['a', 'unknown', 0, 0],
      ['b', 'ready', 2, 2],
      ['c', 'ready', 1, 0],
    ],
  );
});

test('an ended sandbox frees its slot and keeps its id range; a removed one frees both, the lowest first', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a', { capacity: { sandboxes: 3, idRanges: 100 } });
  const at = (start: number) => hello.idPool.start + start * 65_536;
  const made = [await place(store, 'a'), await place(store, 'a'), await place(store, 'a')];
  assert.deepEqual(
    made.map(({ sandbox }) => sandbox.idRange?.start),
    [at(0), at(1), at(2)],
  );
  assert.equal((await placeSandbox(store, wishOf('a'))).outcome, 'full');
  await applyStatuses(store, 'a', [statusOf(made[1]!, 1, 'stopped'), statusOf(made[0]!, 1, 'stopped')]);
  assert.equal((await place(store, 'a')).sandbox.idRange?.start, at(3));
  await applyStatuses(store, 'a', [statusOf(made[1]!, 2, 'removed')]);
  assert.equal((await place(store, 'a')).sandbox.idRange?.start, at(1));
});

test('id ranges in use never overlap, also when the pool is moved or resized', { timeout: 60_000 }, async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const host = await readyHost(store, 'a', { capacity: { sandboxes: 1000, idRanges: 1000 } });
  let live: Placed[] = [];
  const pool = fc.record({
    start: fc.integer({ min: 100_000, max: 700_000 }),
    count: fc.integer({ min: 1, max: 9 }),
    size: fc.constantFrom(65_536, 65_536, 1000),
  });
  const step = fc.oneof(fc.constant('place' as const), fc.constant('place' as const), fc.nat(), pool);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), async (steps) => {
      let now = host.idPool;
      for (const step of steps) {
        if (typeof step === 'object') {
          now = step;
          await recordHello(store, { ...host, idPool: step });
        } else if (step === 'place') {
          const placed = await placeSandbox(store, wishOf('a'));
          const starts = Array.from({ length: now.count }, (_, at) => now.start + at * now.size);
          const free = (start: number) =>
            live.every(({ desired: { idRange } }) => idRange!.start >= start + now.size || idRange!.start + idRange!.count <= start);
          if (placed.outcome !== 'placed') assert.ok(!starts.some(free), 'there was room');
          else live.push(placed);
        } else if (live.length > 0) {
          const [gone] = live.splice(step % live.length, 1);
          await applyStatuses(store, 'a', [statusOf(gone!, 1, 'removed')]);
        }
        const ranges = live.map(({ desired }) => desired.idRange!).sort((a, b) => a.start - b.start);
        for (const [at, range] of ranges.entries())
          assert.ok(range.start + range.count <= (ranges[at + 1]?.start ?? Infinity), 'two share ids');
      }
      await applyStatuses(
        store,
        'a',
        live.slice(0, 100).map((placed) => statusOf(placed, 1, 'removed')),
      );
      live = live.slice(100);
      await recordHello(store, host);
    }),
    { numRuns: 25 },
  );
});

test('what a column cannot hold is INVALID_INPUT, and nothing is made', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await assert.rejects(place(store, 'a', { input: { labels: { a: 'nul\0' } } }), (error: unknown) => {
    refusedWith('INVALID_INPUT')(error);
    assert.ok(!String(error).includes('insert into'), 'no SQL in the message');
    return true;
  });
  assert.deepEqual(await select(store, 'select from sandboxes'), []);
});

test('lists: newest first, in pages, by host and state', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await readyHost(store, 'b');
  const made: Placed[] = [];
  for (let at = 0; at < 7; at += 1) made.push(await place(store, at % 2 === 0 ? 'a' : 'b'));
  await applyStatuses(store, 'a', [statusOf(made[0]!, 1, 'stopped'), statusOf(made[2]!, 1, 'running')]);
  const ids = async (query: Partial<Parameters<typeof listSandboxes>[1]>) =>
    (await listSandboxes(store.db, { limit: 100, all: false, ...query })).sandboxes.map((row) =>
      made.findIndex(({ sandbox }) => sandbox.id === row.id),
    );
  assert.deepEqual(await ids({}), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(await ids({ all: true }), [6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual(await ids({ host: 'a.example' }), [6, 4, 2]);
  assert.deepEqual(await ids({ state: 'stopped' }), [0]);
  const first = await listSandboxes(store.db, { limit: 4, all: true });
  assert.deepEqual(await ids({ limit: 4, all: true, cursor: first.nextCursor }), [2, 1, 0]);
  assert.equal((await listSandboxes(store.db, { limit: 7, all: true })).nextCursor, null);
});
