/** The inventory over HTTP: in time, with filters, and what it says of itself. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { applyReport } from '#controller/store/reports.ts';
import type { Client } from '#shared/client.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from '../running.ts';
import type { TestController } from '../running.ts';
import { namespaceOf, processOf, readyHost, referenceOf, reportOf, select } from '../store/fixture.ts';

leakCheck();

let controller: TestController;
let client: Client;
/** Between the first and the second report. */
let then: string;

before(async () => {
  controller = await startTestController(temporaryDirectories());
  client = controller.client;
  const { store } = controller.context;
  const hello = await readyHost(store, 'a', { labels: { zone: 'x' } });
  const leader = { pid: 7, uid: 0, comm: 'old', command: 'old' };
  const first = [namespaceOf('net', 1, { leader, inode: 5 }), namespaceOf('net', 2), namespaceOf('mnt', 3)];
  const processes = [processOf(7, { namespaces: [null, null, null, null, null, null, 'id:1', null] })];
  await applyReport(store, reportOf(hello, 1, 'snapshot', { namespaces: first, processes, references: [referenceOf('f', 2)] }));
  await sleep(20);
  then = new Date().toISOString();
  await sleep(20);
  const next = [
    { ...first[0]!, leader: { ...leader, comm: 'new' } },
    { ...first[1]!, processCount: 0 },
  ];
  await applyReport(store, reportOf(hello, 2, 'delta', { namespaces: next, namespacesGone: [{ type: 'mnt', key: 'id:3' }] }));
  await readyHost(store, 'b');
});

after(() => controller[Symbol.asyncDispose]());

const list = async (query: object) => {
  const { namespaces } = await client.call('namespaceList', { query });
  return namespaces.map(({ key, leader }) => `${key} ${leader?.comm ?? '-'}`);
};

test('lists: now, at a moment as it was, with what has ended, by filter', async () => {
  assert.deepEqual(await list({}), ['id:1 new', 'id:2 -']);
  assert.deepEqual(await list({ at: then }), ['id:1 old', 'id:2 -', 'id:3 -']);
  assert.deepEqual(await list({ at: then, filter: 'leader.comm == "old" && host.labels["zone"] == "x"' }), ['id:1 old']);
  assert.deepEqual(await list({ at: '-1h' }), []);
  assert.deepEqual(await list({ ended: 'true', filter: '!current' }), ['id:3 -']);
  assert.deepEqual(await list({ filter: 'type == "net" && processes == 0 && holders.fd == 1' }), ['id:2 -']);
  assert.deepEqual(await list({ filter: 'age > duration("1h")' }), []);
  assert.deepEqual(await list({ filter: 'host.name == "a.example" && host.id == "b"' }), []);
  await assert.rejects(list({ filter: 'type = "net"' }), { code: 'FILTER_INVALID', reason: /column 6[^]*\^/ });
  await assert.rejects(list({ at: 'yesterday' }), { code: 'INVALID_INPUT', reason: /query at: a moment/ });
});

test('a filtered list in pages is the whole list', async () => {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page: Awaited<ReturnType<typeof client.call<'namespaceList'>>> = await client.call('namespaceList', {
      query: { limit: 1, filter: 'type == "net"', ...(cursor === undefined ? {} : { cursor }) },
    });
    keys.push(...page.namespaces.map(({ key }) => key));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  assert.deepEqual(keys, ['id:1', 'id:2']);
});

test('history, why, differences and the timeline of a host', async () => {
  const { intervals, events } = await client.call('namespaceHistory', { params: { namespace: 'id:1' }, query: { inode: 'true' } });
  assert.equal(intervals.length, 1);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['namespace.appeared', 'namespace.changed'],
  );
  const why = await client.call('namespaceWhy', { params: { namespace: 'id:2' } });
  assert.deepEqual([why.alive, why.namespace.referenceCount], [true, 1]);
  assert.match(why.sentences[0] ?? '', /^Process 7 \(holder\) has it open as descriptor 3, since /);
  const diff = await client.call('namespaceDiff', { query: { from: then, host: 'a' } });
  assert.deepEqual(diff.counts, { before: 3, after: 2, added: 0, removed: 1, between: 0, changed: 1 });
  assert.deepEqual([diff.removed[0]?.key, Object.keys(diff.changed[0]?.changes ?? {})], ['id:3', ['leader']]);
  const hosts = await client.call('hostDiff', { query: { left: 'a', right: 'b', at: then } });
  assert.deepEqual([hosts.left.namespaces, hosts.right.namespaces, hosts.same, hosts.groups.length], [3, 0, 0, 3]);
  const timeline = await client.call('hostTimeline', { params: { host: 'a' }, query: { from: then, types: 'namespace.,holder.' } });
  assert.deepEqual(timeline.events.map(({ type }) => type).toSorted(), ['holder.lost', 'namespace.changed', 'namespace.gone']);
  const later = await client.call('hostTimeline', { params: { host: 'a' }, query: { to: then, limit: 2 } });
  const rest = await client.call('hostTimeline', { params: { host: 'a' }, query: { to: then, cursor: later.nextCursor ?? '' } });
  assert.deepEqual(
    [...later.events, ...rest.events].map(({ type }) => type),
    ['host.enrolled', 'host.connected', ...Array.from({ length: 3 }, () => 'namespace.appeared')],
  );
});

test('events by type, namespace and filter; `last` goes past what was not wanted', async () => {
  const { events, last } = await client.call('eventList', { query: { types: 'namespace.changed', filter: 'has(detail.changed.leader)' } });
  assert.equal(events.length, 1);
  const after = await client.call('eventList', { query: { since: last } });
  assert.deepEqual(after, { events: [], last });
  const [event] = events;
  const one = await client.call('eventList', { query: { namespace: event?.namespaceId ?? '', limit: 1 } });
  assert.deepEqual([one.events.length, one.events[0]?.type, one.last], [1, 'namespace.appeared', one.events[0]?.seq]);
  await assert.rejects(client.call('eventList', { query: { filter: 'nosuch' } }), { code: 'FILTER_INVALID' });
});

test('hosts and leaks by filter', async () => {
  const { hosts } = await client.call('hostList', { query: { filter: 'labels.exists(key, key == "zone") && facts.cpus == 2' } });
  assert.deepEqual(
    hosts.map(({ id }) => id),
    ['a'],
  );
  const { store, leaks } = controller.context;
  await select(store, `update events set at = at - interval '1 hour' where type = 'holder.lost'`);
  leaks.touch('a');
  for (let left = 100; left > 0; left -= 1) {
    const { leaks: found } = await client.call('leakList', { query: { filter: 'rule == "net-without-process" && age > duration("30m")' } });
    if (found[0] !== undefined) {
      assert.match(found[0].pins[0] ?? '', /^process 7 \(holder\) has it open/);
      assert.match(found[0].reason, /^no process has lived in network namespace/);
      return;
    }
    await sleep(100);
  }
  assert.fail('the leak was not found');
});
