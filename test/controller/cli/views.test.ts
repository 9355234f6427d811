import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { NsfleetError } from '#shared/errors.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { hostFixture, namespaceFixture, sandboxFixture, seen } from './fixtures.ts';
import { startFleet } from './fleet.ts';
import type { Fleet } from './fleet.ts';
import { cli } from './run.ts';

leakCheck();
const dirs = temporaryDirectories();
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet(dirs));
});
const lines = (text: string) => text.split('\n').slice(0, -1);
const run = (...argv: string[]) => cli(dirs.env, ...argv);
const json = async (...argv: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await run(...argv, '--json');
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout) as Record<string, unknown>;
};

test('host ls, host show, and their JSON', async () => {
  fleet.hosts.splice(0, Infinity, hostFixture(), hostFixture({ id: 'h2', name: 'db-1', status: 'unknown', facts: null, lastBeatAt: null }));
  const { code, stdout } = await run('host', 'ls');
  assert.equal(code, 0);
  assert.deepEqual(lines(stdout), [
    'NAME  STATUS  SANDBOXES NAMESPACES SCAN CHANGES HIDDEN HEARD         KERNEL LABELS ID',
    'web-1 ready       2/100         12 proc poll         0 3 minutes ago 6.12.0 zone=a h1',
    'db-1  unknown     2/100         12 -    -            0 -             -      zone=a h2',
  ]);
  assert.deepEqual((await run('host', 'list')).stdout, stdout);
  assert.deepEqual(await json('host', 'ls'), {
    hosts: [hostFixture(), hostFixture({ id: 'h2', name: 'db-1', status: 'unknown', facts: null, lastBeatAt: null })],
  });
  const show = await run('host', 'show', 'web-1');
  assert.match(show.stdout, /^Last heard: +2026-11-23T12:00:00.000Z \(3 minutes ago\)$/m);
  assert.match(show.stdout, /^Missing: +no cgroup v2: mount it$/m);
  assert.deepEqual(await json('host', 'show', 'h1'), hostFixture());
});

test('ns ls: columns as lsns users expect them, all pages, types in any spelling', async () => {
  const rows = namespaceTypes.map((type, index) => namespaceFixture({ id: String(index + 1), type }));
  rows.push(namespaceFixture({ id: '10', type: 'net', leader: null, processCount: 0, referenceCount: 2 }));
  fleet.namespaces.splice(0, Infinity, ...rows);
  const { code, stdout } = await run('ns', 'ls');
  assert.equal(code, 0);
  assert.equal(lines(stdout).length, 10);
  assert.equal(lines(stdout)[0], 'ID         NS TYPE   NPROCS HOLDERS PID UID HOST  COMMAND');
  assert.equal(lines(stdout)[7], ' 7 4026531833 net        83       0   1   0 web-1 /sbin/init splash');
  assert.equal(lines(stdout)[9], '10 4026531833 net         0       2   -   - web-1 -');

  const ids = async (...argv: string[]) => ((await json('ns', 'ls', ...argv))['namespaces'] as { id: string }[]).map((row) => row.id);
  assert.deepEqual(await ids('--type', 'net'), ['7', '10']);
  assert.deepEqual(await ids('-t', 'net,mnt'), ['1', '7', '10']);
  assert.deepEqual(await ids('-t', 'net', '-t', 'mnt', '-t', 'net'), ['1', '7', '10']);
  assert.equal((await ids()).length, 9);
  assert.equal((await run('namespace', 'list')).stdout, stdout);
});

test('ns ls: --output, --no-headings, filters reach the API, stale hosts are named', async () => {
  const sandbox = { id: sandboxFixture().id, name: 'web' };
  fleet.namespaces.splice(0, Infinity, namespaceFixture({ sandbox }), namespaceFixture({ id: '2', current: false }));
  assert.equal(lines((await run('ns', 'ls')).stdout)[0], 'ID         NS TYPE NPROCS PID UID HOST  SANDBOX LAST-SEEN     COMMAND');
  assert.equal((await run('ns', 'ls', '-n', '-o', 'ns,TYPE,Owner_uid')).stdout, '4026531833 net -\n4026531833 net -\n');
  assert.equal((await run('ns', 'ls', '-o', 'user')).stdout, 'UID\n  0\n  0\n');
  assert.equal((await run('ns', 'ls', '--noheadings', '-o', 'ID')).stdout, '1\n2\n');
  assert.match(lines((await run('ns', 'ls', '-o', '+KEY')).stdout)[0]!, /HOST +SANDBOX LAST-SEEN +KEY +COMMAND$/);
  fleet.stale.push('db-1');
  fleet.asked.length = 0;
  const fresh = await run('ns', 'ls', '--live', '--ended', '--host', 'web-1', '--sandbox', 'web', '-t', 'net,mnt');
  assert.equal(fresh.code, 0);
  assert.match(fresh.stderr, /^warning: db-1 did not answer/);
  const queries = fleet.asked.map(({ query }) => query as Record<string, unknown>);
  assert.deepEqual(
    queries.map(({ live, ended, host, sandbox, type }) => [live, ended, host, sandbox, type]),
    [
      ['true', 'true', 'web-1', 'web', 'net'],
      ['false', 'true', 'web-1', 'web', 'mnt'],
    ],
  );
  fleet.stale.length = 0;
});

test('ns ls: a hostile process cannot write on the terminal, JSON has it exact', async () => {
  const command = 'a) R 1 (\n\u001b]0;owned\u0007\u202e{"x":1}';
  const hostile = namespaceFixture({ leader: { pid: 5, uid: 1000, comm: 'x\u001b[2J', command } });
  fleet.namespaces.splice(0, Infinity, hostile);
  const { stdout } = await run('ns', 'ls');
  assert.equal(lines(stdout).length, 2);
  assert.match(stdout, /a\) R 1 \(\\x0a\\x1b]0;owned\\x07\\u\{202e\}\{"x":1\}$/m);
  const text = (await run('ns', 'ls', '--json')).stdout;
  assert.equal(text.includes('\u001b'), false);
  assert.equal(text.includes('\u202e'), false);
  assert.deepEqual((JSON.parse(text) as { namespaces: unknown[] }).namespaces[0], hostile);
});

test('ns show by number, key and inode', async () => {
  fleet.namespaces.splice(0, Infinity, namespaceFixture());
  for (const name of ['1', 'ino:4026531833.0', '4026531833']) {
    const { code, stdout } = await run('ns', 'show', name);
    assert.equal(code, 0);
    assert.match(stdout, /^Holders: +process 1 \(systemd\), uid 0$/m);
    assert.match(stdout, /^Owner: +7 \(ino:4026531837\.0\)$/m);
  }
  assert.equal((await run('ns', 'show', '99')).code, 3);
});

test('status: problems first, exit code 0 or 1', async () => {
  const good = await run('status');
  assert.equal(good.code, 0);
  assert.equal(lines(good.stdout)[0], 'All is well.');
  assert.equal(lines(good.stdout)[1], '1 host with something missing: `nsfleet host show web-1`');
  assert.match(good.stdout, /^Sandboxes: +2: 2 running$/m);
  fleet.hosts.splice(0, Infinity);
  assert.doesNotMatch((await run('status')).stdout, /missing/);
  assert.match(good.stdout, /^Namespaces: +8: 1 mnt, 1 cgroup/m);
  fleet.status.ok = false;
  fleet.status.problems.push('Host db-1 was last heard 3 minutes ago.');
  const bad = await run('status');
  assert.equal(bad.code, 1);
  assert.deepEqual(lines(bad.stdout).slice(0, 2), ['Problems:', '  Host db-1 was last heard 3 minutes ago.']);
  const asJson = await run('status', '--json');
  assert.equal(asJson.code, 1);
  assert.deepEqual(JSON.parse(asJson.stdout), fleet.status);
});

test('events since a number', async () => {
  const event = { at: seen, hostId: 'h1', sandboxId: null, namespaceId: null };
  fleet.events.push(
    { ...event, seq: '9', type: 'host.connected', detail: {} },
    { ...event, seq: '10', type: 'namespace.gone', detail: { a: 1 } },
  );
  assert.equal(lines((await run('events')).stdout).length, 3);
  const { stdout } = await run('events', '--since', '9');
  assert.match(lines(stdout)[1]!, /^ 10 2026-11-23T12:00:00.000Z namespace.gone h1 +- a=1$/);
  assert.deepEqual(await json('events', '--since', '10'), { events: [] });
  assert.equal((await run('events', '--since', 'x')).code, 2);
});

test('sandbox ls and show', async () => {
  const web = sandboxFixture({ name: 'web', labels: { app: 'web', tier: 'a' } });
  const old = sandboxFixture({
    name: 'old',
    state: 'stopped',
    exit: { code: 3, signal: null },
    endedAt: '2026-11-23T12:01:00.000Z',
    labels: { app: 'web' },
  });
  const error = new NsfleetError('COMMAND_NOT_FOUND', { attempted: 'start', target: 'nope', reason: 'ENOENT' }).toWire();
  const bad = sandboxFixture({ name: 'bad', state: 'failed', error, startedAt: null });
  const removed = sandboxFixture({ name: 'removed', state: 'removed', exit: { code: 0, signal: null }, endedAt: seen });
  for (const sandbox of [web, old, bad, removed]) fleet.sandboxes.add(sandbox);
  const { stdout } = await run('sandbox', 'ls');
  assert.match(lines(stdout)[0]!, /^ID +NAME HOST +COMMAND +CREATED +STATUS +LABELS$/);
  assert.equal(lines(stdout)[1], `${web.id.slice(0, 12)} web  web-1 sleep infinity 3 minutes ago Up 3 minutes app=web,tier=a`);
  const all = (await run('sandbox', 'ls', '-a')).stdout;
  assert.match(all, /Exited \(3\) 2 minutes ago/);
  assert.doesNotMatch(all, /Removed/);
  assert.match((await run('sandbox', 'ls', '--state', 'removed')).stdout, /Removed \(0\) 3 minutes ago/);
  assert.equal((await run('sandbox', 'ls', '-q')).stdout, `${web.id}\n`);
  assert.equal((await run('sandbox', 'ls', '-aq', '--label', 'app=web', '--label', 'tier=a')).stdout, `${web.id}\n`);
  assert.deepEqual(await json('sandbox', 'ls', '--all', '--label', 'app', '--label', 'tier'), { sandboxes: [web] });
  for (const label of ['a b', '=x', '']) assert.equal((await run('sandbox', 'ls', '--label', label)).code, 2, label);
  fleet.asked.length = 0;
  await run('sandbox', 'ls', '--state', 'stopped', '--host', 'h1', '--label', 'app');
  const { limit: _, ...query } = fleet.asked[0]!.query as Record<string, unknown>;
  assert.deepEqual(query, { host: 'h1', state: 'stopped', label: 'app', all: 'true' });
  const shown = await run('sandbox', 'show', 'bad');
  assert.match(shown.stdout, /^Error: +COMMAND_NOT_FOUND: cannot start nope: ENOENT$/m);
  assert.match(shown.stdout, /^Created: +2026-11-23T12:00:00.000Z \(3 minutes ago\)$/m);
  assert.match((await run('sandbox', 'show', 'web')).stdout, /^User: +0:0, outside 1879048192–1879113727$/m);
  assert.deepEqual(await json('sandbox', 'show', web.id.slice(0, 8)), { ...web, observed: null });
});
