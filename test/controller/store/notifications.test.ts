import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '#controller/store/client.ts';
import { onChange, waitForSandbox } from '#controller/store/notifications.ts';
import { applyStatuses } from '#controller/store/placements.ts';
import { applyReport } from '#controller/store/reports.ts';
import type { Sandbox } from '#shared/resources.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, log, namespaceOf, place, readyHost, refusedWith, reportOf, select, statusOf } from './fixture.ts';

leakCheck();

const isRunning = (sandbox: Sandbox) => sandbox.state === 'running';

test('a waiter is woken by the process that writes and by the other one, long before its timer', async () => {
  await using fresh = await freshStore();
  await using second = await openStore({ url: fresh.url, log });
  await readyHost(fresh.store, 'a');
  for (const waiting of [fresh.store, second]) {
    const placed = await place(fresh.store, 'a');
    const start = performance.now();
    const waiter = waitForSandbox(waiting, placed.sandbox.id, isRunning, { ms: 10_000 });
    await sleep(50);
    await applyStatuses(fresh.store, 'a', [statusOf(placed, 1, 'running', { commandPid: 7 })]);
    assert.equal((await waiter).commandPid, 7);
    assert.ok(performance.now() - start < 900, 'not by the timer, which comes after a second');
  }
});

test('what is so already needs no wait; what never comes is DEADLINE_EXCEEDED; an abort ends it', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const { sandbox } = await place(store, 'a');
  const wait = (isDone: (sandbox: Sandbox) => boolean, more: { ms: number; signal?: AbortSignal }) =>
    waitForSandbox(store, sandbox.id, isDone, more);
  assert.equal((await wait((now) => now.state === 'placed', { ms: 5000 })).id, sandbox.id);
  await assert.rejects(wait(isRunning, { ms: 30 }), refusedWith('DEADLINE_EXCEEDED'));
  await assert.rejects(wait(isRunning, { ms: 5000, signal: AbortSignal.timeout(30) }), { name: 'TimeoutError' });
  await assert.rejects(wait(isRunning, { ms: 5000, signal: AbortSignal.abort(new RangeError('away')) }), RangeError);
  await assert.rejects(waitForSandbox(store, crypto.randomUUID(), isRunning, { ms: 5000 }), refusedWith('SANDBOX_NOT_FOUND'));
});

test('a wake-up that is lost costs a second, not the wait', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const { sandbox } = await place(store, 'a');
  const waiter = waitForSandbox(store, sandbox.id, isRunning, { ms: 10_000 });
  await sleep(50);
  await select(store, `update placements set state = 'running'`);
  assert.equal((await waiter).state, 'running');
});

test('the listening connection is made again when it breaks, and then everybody is woken', async () => {
  await using fresh = await freshStore();
  await using second = await openStore({ url: fresh.url, log });
  const hello = await readyHost(fresh.store, 'a');
  const heard: (string | null)[] = [];
  const stop = onChange(second, 'namespace', (id) => void heard.push(id));
  const report = (seq: number) => applyReport(fresh.store, reportOf(hello, seq, 'snapshot', { namespaces: [namespaceOf('net', seq)] }));
  await report(1);
  await until(() => heard.includes('a'));
  await select(
    fresh.store,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen nsfleet'`,
  );
  await until(() => heard.includes(null));
  heard.length = 0;
  await report(2);
  await until(() => heard.includes('a'));
  stop();
  heard.length = 0;
  await report(3);
  await sleep(50);
  assert.deepEqual(heard, []);
});

test('broken connections of the pool are replaced, and nobody dies of them', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await select(
    store,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await sleep(50);
  await place(store, 'a');
});

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    assert.ok(performance.now() < end, 'waited for 5 s');
    await sleep(5);
  }
}
