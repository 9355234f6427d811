import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LeakSettings, defaultLeakSettings, readLeakSettings } from '#controller/leaks/settings.ts';
import { lookForLeaks } from '#controller/leaks/watch.ts';
import { readEvents } from '#controller/store/events.ts';
import { hostsToLookAt } from '#controller/store/leak-picture.ts';
import { listLeaks } from '#controller/store/leaks.ts';
import { applyReport } from '#controller/store/reports.ts';
import { applyStatuses } from '#controller/store/placements.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import {
  eightNamespaces,
  freshStore,
  namespaceOf,
  place,
  readyHost,
  referenceOf,
  refusedWith,
  reportOf,
  select,
  statusOf,
} from '../store/fixture.ts';

leakCheck();

test('a leak is found once, follows who pins it, and is cleared', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const look = () => lookForLeaks(store, 'a', defaultLeakSettings);
  assert.equal(await look(), null, 'nothing is concluded before the first report');
  const net = namespaceOf('net', 1, { processCount: 1 });
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [net], references: [referenceOf('f', 1)] }));
  assert.deepEqual(await look(), { found: 0, cleared: 0 });
  await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: [{ ...net, processCount: 0 }] }));
  assert.deepEqual(await look(), { found: 0, cleared: 0 }, 'not for long enough yet');
  assert.deepEqual(await hostsToLookAt(store.db), ['a']);
  await select(store, `update events set at = at - interval '11 minutes' where type = 'holder.lost'`);
  assert.deepEqual(await look(), { found: 1, cleared: 0 });
  assert.deepEqual(await look(), { found: 0, cleared: 0 });
  const version = () => select(store, 'select xmin::text from leaks');
  const before = await version();
  await look();
  assert.deepEqual(await version(), before, 'no row is written where nothing changed');
  await applyReport(store, reportOf(hello, 3, 'delta', { references: [referenceOf('g', 1, { fd: 8 })] }));
  await look();
  const { rows } = await listLeaks(store.db, { limit: 10, all: false });
  assert.deepEqual(
    rows.map(({ rule, hostName, clearedAt, pins }) => [rule, hostName, clearedAt, pins.length]),
    [['net-without-process', 'a.example', null, 2]],
  );
  assert.equal(rows[0]?.namespace?.key, 'id:1');
  await select(store, `update beats set at = now() - interval '1 hour'`);
  assert.equal(await look(), null, 'nothing is concluded of a silent host');
  await select(store, `update beats set at = now()`);
  await applyReport(store, reportOf(hello, 4, 'delta', { namespacesGone: [{ type: 'net', key: 'id:1' }] }));
  assert.deepEqual(await look(), { found: 0, cleared: 1 });
  assert.deepEqual((await listLeaks(store.db, { limit: 10, all: false })).rows, []);
  assert.equal((await listLeaks(store.db, { limit: 10, all: true, host: 'a', rule: 'net-without-process' })).rows.length, 1);
  const { events } = await readEvents(store.db, { since: '0', limit: 100, types: ['leak.'] });
  assert.deepEqual(
    events.map(({ type, namespaceId }) => [type, namespaceId === rows[0]?.namespace?.id]),
    [
      ['leak.found', true],
      ['leak.cleared', true],
    ],
  );
});

test('what outlives its sandbox, and user namespaces that grow', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const placed = await place(store, 'a');
  const namespaces = eightNamespaces(1).map(({ type, key, inode }) => ({ ...namespaceOf(type, 0), key, inode }));
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces }));
  await applyStatuses(store, 'a', [statusOf(placed, 1, 'running', { namespaces: eightNamespaces(1) })]);
  const settings = LeakSettings.parse({ 'sandbox-gone': { minutes: 0 }, 'user-growth': { more: 3 } });
  assert.deepEqual(await lookForLeaks(store, 'a', settings), { found: 0, cleared: 0 });
  await applyStatuses(store, 'a', [statusOf(placed, 2, 'stopped')]);
  await applyReport(store, reportOf(hello, 2, 'delta', { namespacesGone: namespaces.slice(1).map(({ type, key }) => ({ type, key })) }));
  assert.deepEqual(await hostsToLookAt(store.db), ['a']);
  assert.deepEqual(await lookForLeaks(store, 'a', settings), { found: 1, cleared: 0 });
  await select(store, `update namespaces set first_seen = first_seen - interval '10 minutes' where ended_at = 'infinity'`);
  const users = [21, 22, 23].map((id) => namespaceOf('user', id, { ownerUid: 1000 }));
  await applyReport(store, reportOf(hello, 3, 'delta', { namespaces: users }));
  assert.deepEqual(await lookForLeaks(store, 'a', settings), { found: 1, cleared: 0 });
  const { rows } = await listLeaks(store.db, { limit: 10, all: false });
  assert.deepEqual(
    rows.map(({ rule, namespace }) => [rule, namespace?.type ?? null]),
    [
      ['user-growth', null],
      ['sandbox-gone', 'mnt'],
    ],
  );
});

test('two controllers that look at once find a leak once', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: [namespaceOf('net', 1, { processCount: 0 })] }));
  await select(store, `update namespaces set first_seen = first_seen - interval '1 hour'`);
  await Promise.all(Array.from({ length: 6 }, () => lookForLeaks(store, 'a', defaultLeakSettings)));
  assert.equal((await select(store, 'select from leaks')).length, 1);
});

test('the rules are read from a file, and a wrong one is told', () => {
  const file = join(temporaryDirectories().root, 'leaks.json');
  writeFileSync(file, '{"net-without-process": {"minutes": 3}}');
  assert.equal(readLeakSettings(file)['net-without-process'].minutes, 3);
  writeFileSync(file, '{"net-without-process": {"minutes": "3"}}');
  assert.throws(() => readLeakSettings(file), refusedWith('CONFIG_INVALID'));
  assert.throws(() => readLeakSettings(`${file}.missing`), refusedWith('CONFIG_INVALID'));
});
