import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enrollHost, findHost, listHosts, recordBeat, recordHello } from '#controller/store/hosts.ts';
import { applyStatuses } from '#controller/store/placements.ts';
import { countFleet, databaseVersion, ping } from '#controller/store/status.ts';
import { placementDigest } from '#shared/placement.ts';
import { Host } from '#shared/resources.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, helloOf, place, readyHost, refusedWith, select, statusOf } from './fixture.ts';

leakCheck();

const none = '0'.repeat(32);

test('enrolment again with the same key is the same answer; no key takes over a host', async () => {
  await using fresh = await freshStore();
  const { db } = fresh.store;
  const host = { id: 'h1', name: 'web', publicKey: 'UA' };
  const first = await enrollHost(db, host);
  assert.deepEqual(Host.parse(first), first);
  assert.deepEqual([first.status, first.facts, first.lastBeatAt], ['unknown', null, null]);
  assert.deepEqual(await enrollHost(db, host), first);
  await assert.rejects(enrollHost(db, { ...host, publicKey: 'UB' }), refusedWith('INVALID_INPUT'));
  await assert.rejects(enrollHost(db, { ...host, id: 'h2' }), refusedWith('INVALID_INPUT'));
  assert.equal((await listHosts(db, { limit: 10 })).hosts.length, 1);
});

test('by id, by name, ambiguous, unknown; in pages by name', async () => {
  await using fresh = await freshStore();
  const { db } = fresh.store;
  const enroll = (id: string, name: string) => enrollHost(db, { id, name, publicKey: `U${id}` });
  await Promise.all([enroll('h1', 'web'), enroll('h2', 'web'), enroll('h3', 'a'), enroll('web2', 'h1'), enroll('h4', 'z')]);
  assert.equal((await findHost(db, 'a')).id, 'h3');
  assert.equal((await findHost(db, 'h1')).id, 'h1', 'an id before a name');
  await assert.rejects(findHost(db, 'web'), refusedWith('HOST_AMBIGUOUS'));
  await assert.rejects(findHost(db, 'nobody'), refusedWith('HOST_NOT_FOUND'));
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listHosts>> = await listHosts(db, { limit: 2, cursor });
    ids.push(...page.hosts.map((host) => host.id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  assert.deepEqual(ids, ['h3', 'web2', 'h1', 'h2', 'h4']);
});

test('a host is ready while it beats, in the session of its hello; an unknown one is not known', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  assert.deepEqual(await recordHello(store, helloOf('nobody')), { known: false, rebooted: false });
  const hello = await readyHost(store, 'a', { epoch: 3 });
  const beat = { v: 1 as const, hostId: 'a', bootId: hello.bootId, epoch: 3, seq: 0, digest: none, placements: 0, load1: 0.5 };
  assert.equal((await findHost(store.db, 'a')).status, 'ready');
  await select(store, `update beats set at = now() - interval '25 seconds'`);
  const silent = await findHost(store.db, 'a');
  assert.deepEqual([silent.status, silent.statusReason], ['unknown', 'no heartbeat for 25 s']);
  assert.equal((await recordBeat(store, { ...beat, epoch: 2 })).known, false);
  assert.equal((await recordBeat(store, { ...beat, bootId: helloOf('x').bootId })).known, false);
  assert.equal((await recordBeat(store, { ...beat, hostId: 'nobody' })).known, false);
  assert.equal((await findHost(store.db, 'a')).status, 'unknown', 'those are no signs of life');
  assert.equal((await recordBeat(store, beat)).known, true);
  assert.equal((await findHost(store.db, 'a')).status, 'ready');
});

test('a second agent with an older epoch is refused while the first is alive', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a', { epoch: 3 });
  await assert.rejects(recordHello(store, { ...hello, epoch: 2 }), refusedWith('REPORT_STALE'));
  assert.deepEqual(await recordHello(store, hello), { known: true, rebooted: false });
  await select(store, `update beats set at = now() - interval '25 seconds'`);
  assert.deepEqual(await recordHello(store, { ...hello, epoch: 1 }), { known: true, rebooted: false });
});

test('the digest of a beat agrees exactly while both sides have the same placements', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const beat = { v: 1 as const, hostId: 'a', bootId: hello.bootId, epoch: 1, seq: 0, placements: 0, load1: 0 };
  const matches = async (digest: string) => (await recordBeat(store, { ...beat, digest })).digestMatches;
  assert.equal(await matches(placementDigest([])), true);
  const [one, two] = [await place(store, 'a'), await place(store, 'a')];
  const summary = (placementId: string, state: 'placed' | 'running') => ({ placementId, generation: 1, state });
  const ours = [summary(one.desired.placementId, 'placed'), summary(two.desired.placementId, 'running')];
  assert.equal(await matches(placementDigest(ours)), false);
  await applyStatuses(store, 'a', [statusOf(two, 1, 'running')]);
  assert.equal(await matches(placementDigest(ours)), true);
  await applyStatuses(store, 'a', [statusOf(one, 1, 'removed')]);
  assert.equal(await matches(placementDigest(ours.slice(1))), true);
});

test('the fleet is counted', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  await ping(store);
  assert.match(await databaseVersion(store.db), /^[0-9]+\.[0-9]+/);
  assert.deepEqual((await countFleet(store.db)).hosts, { ready: 0, unknown: 0 });
  await readyHost(store, 'a');
  await enrollHost(store.db, { id: 'b', name: 'b', publicKey: 'UB' });
  await place(store, 'a');
  const counts = await countFleet(store.db);
  assert.deepEqual([counts.hosts, counts.namespaces.net, counts.sandboxes], [{ ready: 1, unknown: 1 }, 0, { placed: 1 }]);
});
