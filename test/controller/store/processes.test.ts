import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordHello } from '#controller/store/hosts.ts';
import { listProcesses } from '#controller/store/processes.ts';
import { applyReport } from '#controller/store/reports.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, helloOf, namespaceOf, processOf, readyHost, refusedWith, reportOf } from './fixture.ts';

leakCheck();

test('processes of a host: as they were reported, by pid, in pages, one of them, none of a boot before', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  await readyHost(store, 'b');
  const processes = [processOf(9, { ppid: 7, comm: 'a) R 1 (\n\\xff' }), processOf(7), processOf(8, { forChildren: ['id:5', null] })];
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [namespaceOf('net', 1)], processes }));
  const all = await listProcesses(store.db, 'a', { limit: 10 });
  assert.deepEqual(
    all.processes,
    processes.toSorted((one, other) => one.pid - other.pid),
  );
  assert.deepEqual([all.host.id, all.host.bootId, all.nextCursor], ['a', hello.bootId, null]);
  const first = await listProcesses(store.db, 'a', { limit: 2 });
  assert.equal(first.nextCursor, '8');
  const second = await listProcesses(store.db, 'a', { limit: 2, cursor: '8' });
  assert.deepEqual([second.processes.map(({ pid }) => pid), second.nextCursor], [[9], null]);
  assert.deepEqual(
    (await listProcesses(store.db, 'a', { limit: 10, pid: 8 })).processes.map(({ pid }) => pid),
    [8],
  );
  assert.deepEqual((await listProcesses(store.db, 'b', { limit: 10 })).processes, []);
  await assert.rejects(listProcesses(store.db, 'c', { limit: 10 }), refusedWith('HOST_NOT_FOUND'));
  await assert.rejects(listProcesses(store.db, 'a', { limit: 10, cursor: 'x' }), refusedWith('INVALID_INPUT'));

  await recordHello(store, helloOf('a', { bootId: '11111111-2222-4333-8444-555555555555', epoch: hello.epoch + 1 }));
  assert.deepEqual((await listProcesses(store.db, 'a', { limit: 10 })).processes, []);
});
