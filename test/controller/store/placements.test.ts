import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { openStore } from '#controller/store/client.ts';
import { readEvents } from '#controller/store/events.ts';
import { recordHello } from '#controller/store/hosts.ts';
import { listNamespaces } from '#controller/store/namespace-list.ts';
import { findNamespace } from '#controller/store/namespaces.ts';
import { applyStatuses, desiredForHost, unconfirmed } from '#controller/store/placements.ts';
import { applyReport } from '#controller/store/reports.ts';
import { findSandbox, requestRemove, requestStop } from '#controller/store/sandboxes.ts';
import { mayBecome, sandboxStates } from '#shared/sandbox.ts';
import type { SandboxState } from '#shared/sandbox.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { eightNamespaces, freshStore, log, namespaceOf, place, readyHost, refusedWith, reportOf, select, statusOf } from './fixture.ts';
import type { Placed } from './fixture.ts';

leakCheck();

const exit = { code: 3, signal: null };
/** How to come to each state from `placed`. */
const ways: Record<SandboxState, SandboxState[]> = {
  placed: [],
  running: ['running'],
  paused: ['running', 'paused'],
  stopping: ['running', 'stopping'],
  stopped: ['running', 'stopped'],
  failed: ['failed'],
  lost: ['running', 'lost'],
  removed: ['removed'],
};

test('each transition that the table has is made, and no other', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  for (const from of sandboxStates) {
    for (const to of sandboxStates) {
      const placed = await place(store, 'a');
      let seq = 0;
      for (const state of [...ways[from], to]) {
        seq += 1;
        const { results } = await applyStatuses(store, 'a', [statusOf(placed, seq, state)]);
        assert.deepEqual(results, [{ placementId: placed.desired.placementId, statusSeq: seq, known: true }]);
      }
      const { state } = await findSandbox(store.db, placed.sandbox.id);
      assert.equal(state, from === to || mayBecome(from, to) ? to : from, `${from} → ${to}`);
    }
  }
});

test('statuses out of order and twice: the newest counts, each once', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const placed = await place(store, 'a');
  const running = statusOf(placed, 1, 'running', {
    initPid: 10,
    commandPid: 11,
    namespaces: eightNamespaces(1),
    startedAt: '2026-11-23T10:00:00.000Z',
  });
  const stopped = statusOf(placed, 3, 'stopped', { exit, startedAt: running.startedAt, endedAt: '2026-11-23T10:00:01.000Z' });
  await applyStatuses(store, 'a', [stopped, running, stopped]);
  await applyStatuses(store, 'a', [statusOf(placed, 2, 'stopping')]);
  assert.deepEqual((await applyStatuses(store, 'a', [running])).changed, []);
  const now = await findSandbox(store.db, placed.sandbox.id);
  assert.deepEqual([now.state, now.exit, now.startedAt, now.endedAt], ['stopped', exit, running.startedAt, stopped.endedAt]);
  const { events } = await readEvents(store.db, { since: '0', limit: 100 });
  const types = events.filter((event) => event.sandboxId !== null).map((event) => event.type);
  assert.deepEqual(types, ['sandbox.created', 'sandbox.placed', 'sandbox.running', 'sandbox.stopped']);
});

test('two controllers with statuses of one placement at once: the newest wins', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  for (let round = 0; round < 10; round += 1) {
    const placed = await place(store, 'a');
    const statuses = [statusOf(placed, 1, 'running'), statusOf(placed, 2, 'stopping'), statusOf(placed, 3, 'stopped', { exit })];
    await Promise.all([...statuses, ...statuses].map((status) => applyStatuses(store, 'a', [status])));
    assert.equal((await findSandbox(store.db, placed.sandbox.id)).state, 'stopped');
  }
});

test('a placement of another host, or of none, is not known and not touched', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  await readyHost(store, 'b');
  const placed = await place(store, 'a');
  const { results, changed } = await applyStatuses(store, 'b', [
    statusOf(placed, 1, 'running'),
    { ...statusOf(placed, 1, 'running'), placementId: randomUUID() },
  ]);
  assert.deepEqual([results.map((result) => result.known), changed], [[false, false], []]);
  assert.equal((await findSandbox(store.db, placed.sandbox.id)).state, 'placed');
});

test('the namespaces of a sandbox are joined to the inventory, whichever comes first, and stay in its history', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const placed = await place(store, 'a', { name: 'blue' });
  const namespaces = eightNamespaces(1);
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [namespaceOf('net', 99), namespaceOf('net', 7)] }));
  const { changed } = await applyStatuses(store, 'a', [statusOf(placed, 1, 'running', { namespaces })]);
  assert.deepEqual(changed[0]?.namespaces, namespaces);
  assert.deepEqual((await findSandbox(store.db, 'blue')).namespaces, namespaces);
  const found = await findNamespace(store.db, { namespace: 'id:7' });
  assert.deepEqual(found.sandbox, { id: placed.sandbox.id, name: 'blue' });
  const mine = await listNamespaces(store.db, { limit: 10, ended: true, sandbox: 'blue' });
  assert.deepEqual(
    mine.namespaces.map((row) => row.key),
    ['id:7'],
  );
  await applyStatuses(store, 'a', [statusOf(placed, 2, 'stopped', { exit })]);
  assert.deepEqual((await findSandbox(store.db, 'blue')).namespaces, namespaces);
  const again = { ...hello, bootId: randomUUID(), epoch: 2 };
  await recordHello(store, again);
  await applyReport(store, reportOf(again, 1, 'snapshot', { namespaces: [namespaceOf('net', 7)] }));
  assert.equal((await findNamespace(store.db, { namespace: 'id:7' })).sandbox, null, 'the same id of another boot is another namespace');
});

test('autoRemove: when it has ended its removal is wanted, once', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const placed = await place(store, 'a', { input: { autoRemove: true } });
  assert.deepEqual((await applyStatuses(store, 'a', [statusOf(placed, 1, 'running')])).followUps, []);
  const ended = await applyStatuses(store, 'a', [statusOf(placed, 2, 'stopped', { exit })]);
  assert.deepEqual(
    ended.followUps.map(({ wanted, generation }) => [wanted, generation]),
    [['removed', 2]],
  );
  assert.deepEqual((await applyStatuses(store, 'a', [statusOf(placed, 3, 'stopped', { exit })])).followUps, []);
  assert.equal((await applyStatuses(store, 'a', [statusOf(placed, 4, 'removed', { generation: 2 })])).changed[0]?.state, 'removed');
  assert.deepEqual(await desiredForHost(store.db, 'a'), []);
});

test('stop: once for each way of stopping, and nothing for what has ended', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const placed = await place(store, 'a');
  const { id } = placed.sandbox;
  const first = await requestStop(store, id, {});
  assert.deepEqual([first.desired?.wanted, first.desired?.generation, first.sandbox.wanted], ['stopped', 2, 'stopped']);
  assert.equal((await requestStop(store, id, {})).desired?.generation, 2, 'the same again is sent again');
  const hard = await requestStop(store, id, { signal: 'SIGKILL', graceMs: 0 });
  assert.deepEqual([hard.desired?.generation, hard.desired?.stopSignal, hard.desired?.stopGraceMs], [3, 'SIGKILL', 0]);
  const results = await Promise.all(Array.from({ length: 10 }, () => requestStop(store, id, { signal: 'SIGINT' })));
  assert.deepEqual(new Set(results.map((result) => result.sandbox.generation)), new Set([4]), 'ten at once are one wish');
  await applyStatuses(store, 'a', [statusOf(placed, 1, 'stopped', { exit, generation: 4 })]);
  assert.equal((await requestStop(store, id, {})).desired, null);
  await assert.rejects(requestStop(store, randomUUID(), {}), refusedWith('SANDBOX_NOT_FOUND'));
});

test('remove: refused while it runs, unless forced; then as often as asked', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await readyHost(store, 'a');
  const placed = await place(store, 'a');
  const { id } = placed.sandbox;
  await applyStatuses(store, 'a', [statusOf(placed, 1, 'running')]);
  await assert.rejects(requestRemove(store, id, { force: false }), refusedWith('SANDBOX_STILL_RUNNING'));
  const removal = await requestRemove(store, id, { force: true });
  assert.deepEqual([removal.desired?.wanted, removal.desired?.generation, removal.sandbox.state], ['removed', 2, 'running']);
  assert.equal((await requestRemove(store, id, { force: false })).desired?.generation, 2);
  assert.equal((await requestStop(store, id, {})).desired?.wanted, 'removed', 'a removal is not taken back');
  await applyStatuses(store, 'a', [statusOf(placed, 2, 'removed', { generation: 2 })]);
  assert.equal((await requestRemove(store, id, { force: false })).desired, null);
});

test('what a host has not answered is sent again: after a while, while it is ready, and all of it after a reboot', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const placed = await place(store, 'a');
  const waiting = async (olderThanMs: number) =>
    (await unconfirmed(store.db, olderThanMs)).map(({ hostId, desired }) => [hostId, desired.generation]);
  assert.deepEqual(await waiting(0), [['a', 1]]);
  assert.deepEqual(await waiting(60_000), []);
  await applyStatuses(store, 'a', [statusOf(placed, 1, 'running')]);
  assert.deepEqual(await waiting(0), []);
  await requestStop(store, placed.sandbox.id, {});
  await applyStatuses(store, 'a', [statusOf(placed, 2, 'running', { generation: 1 })]);
  assert.deepEqual(await waiting(0), [['a', 2]], 'an answer to an older generation is none');
  await select(store, `update beats set at = now() - interval '1 minute'`);
  assert.deepEqual(await waiting(0), []);
  await recordHello(store, hello);
  await applyStatuses(store, 'a', [statusOf(placed, 3, 'stopping', { generation: 99 })]);
  assert.deepEqual(await waiting(0), []);
  await recordHello(store, { ...hello, bootId: randomUUID(), epoch: 2 });
  assert.deepEqual(await waiting(0), [['a', 2]], 'the agent of the new boot is to judge it');
  assert.equal((await findSandbox(store.db, placed.sandbox.id)).state, 'stopping', 'and nobody before it');
});

test('the first word about what was just placed here: the same outcome whether the row is as it was left or not', async () => {
  await using fresh = await freshStore();
  await using second = await openStore({ url: fresh.url, log });
  const { store } = fresh;
  await readyHost(store, 'a');
  await readyHost(store, 'b');
  const running = (placed: Placed, seq = 1) => statusOf(placed, seq, 'running', { commandPid: 11, namespaces: eightNamespaces(1) });
  const toldOf = async (placed: Placed) =>
    (await readEvents(store.db, { since: '0', limit: 1000, sandboxId: placed.sandbox.id })).events.map(({ type }) => type);

  const untouched = await place(store, 'a');
  const { changed } = await applyStatuses(store, 'a', [running(untouched)]);
  assert.deepEqual(changed, [await findSandbox(second.db, untouched.sandbox.id)]);
  assert.deepEqual(await toldOf(untouched), ['sandbox.created', 'sandbox.placed', 'sandbox.running']);

  const stopAsked = await place(store, 'a');
  await requestStop(second, stopAsked.sandbox.id, {});
  await applyStatuses(store, 'a', [running(stopAsked)]);
  const stopping = await findSandbox(store.db, stopAsked.sandbox.id);
  assert.deepEqual([stopping.state, stopping.wanted, stopping.generation, stopping.namespaces.length], ['running', 'stopped', 2, 8]);
  assert.deepEqual(await toldOf(stopAsked), ['sandbox.created', 'sandbox.placed', 'sandbox.stopped-wanted', 'sandbox.running']);
  assert.deepEqual(
    (await unconfirmed(store.db, 0)).map(({ desired }) => desired.placementId),
    [stopAsked.desired.placementId],
  );

  const heardElsewhere = await place(store, 'a');
  await applyStatuses(second, 'a', [statusOf(heardElsewhere, 2, 'stopped', { exit })]);
  const { results } = await applyStatuses(store, 'a', [running(heardElsewhere)]);
  assert.equal(results[0]?.known, true);
  assert.equal((await findSandbox(store.db, heardElsewhere.sandbox.id)).state, 'stopped');
  assert.deepEqual(await toldOf(heardElsewhere), ['sandbox.created', 'sandbox.placed', 'sandbox.stopped']);

  const elsewhere = await place(store, 'a');
  const foreign = await applyStatuses(store, 'b', [running(elsewhere)]);
  assert.equal(foreign.results[0]?.known, false);
  assert.equal((await findSandbox(store.db, elsewhere.sandbox.id)).state, 'placed');
});
