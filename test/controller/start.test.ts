/** Starting and stopping the controller as a process: what is wrong is said with a code, a remedy and an exit code, at once. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import pg from 'pg';
import { isSafeNatsVersion } from '#shared/nats-version.ts';
import { createClient } from '#shared/client.ts';
import { errorCatalogue } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';
import { freshDatabase } from '#test/support/postgres.ts';
import type { FreshDatabase } from '#test/support/postgres.ts';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import { pretendVersion } from './link/old-server.ts';
import { spawnController, untilServing } from './process.ts';

leakCheck();
const dirs = temporaryDirectories();
let nats: TestNats;
let database: FreshDatabase;

before(async () => {
  nats = fileResources.use(await startTestNats(dirs.root));
  database = fileResources.use(await freshDatabase());
});
function freshDir(): string {
  return mkdtempSync(join(dirs.root, 'c'));
}

async function fails(code: ErrorCode, env: Record<string, string>, databaseUrl = database.url): Promise<string> {
  const dir = freshDir();
  await using controller = spawnController({ nats, databaseUrl, dir, env });
  const how = await controller.ended;
  const stderr = controller.stderr();
  const [first = '', second = ''] = stderr.split('\n').filter((line) => !line.startsWith('{'));
  assert.match(first, new RegExp(`^error: ${code}: cannot `), stderr);
  assert.match(second, /^ {2}what to do: \S/);
  assert.equal(how, `code ${errorCatalogue[code].exit}`);
  assert.equal(existsSync(join(dir, 'address')), false);
  assert.doesNotMatch(stderr, /secret/);
  return stderr;
}

test('it starts, serves, makes its token, and ends on SIGTERM with nothing left', async () => {
  const dir = freshDir();
  await using controller = spawnController({ nats, databaseUrl: database.url, dir });
  const { address, token } = await untilServing(controller, dir);
  const status = await createClient(address, token).call('status');
  assert.deepEqual(status.problems, ['No host is enrolled.']);
  assert.equal(statSync(join(dir, 'token')).mode & 0o777, 0o600);
  const asked = performance.now();
  controller.child.kill('SIGTERM');
  assert.equal(await controller.ended, 'code 0');
  assert.ok(performance.now() - asked < 3000, 'it took more than 3 s to end');
  assert.equal(existsSync(join(dir, 'address')), false);
  assert.doesNotMatch(controller.stderr(), new RegExp(token));
});

test('nothing secret stands in its arguments or environment', async () => {
  const dir = freshDir();
  await using controller = spawnController({ nats, databaseUrl: database.url, dir });
  const { token } = await untilServing(controller, dir);
  const seen = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${controller.child.pid}/${file}`, 'latin1')).join('\n');
  controller.child.kill('SIGTERM');
  await controller.ended;
  assert.ok(!seen.includes(token));
  assert.ok(!seen.includes(new URL(database.url).password || 'postgres://'));
});

test('a port that is in use', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve);
  });
  try {
    const { port } = other.address() as AddressInfo;
    assert.match(await fails('PORT_IN_USE', { NSFLEET_API_LISTEN: `127.0.0.1:${port}` }), /NSFLEET_API_LISTEN/);
  } finally {
    other.close();
  }
});

test('wrong settings, each named', async () => {
  assert.match(await fails('CONFIG_INVALID', { NSFLEET_API_LISTEN: '4180' }), /NSFLEET_API_LISTEN: not <address>:<port>/);
  assert.match(await fails('CONFIG_INVALID', { NSFLEET_LOG_LEVEL: 'loud' }), /NSFLEET_LOG_LEVEL/);
  assert.match(await fails('CONFIG_INVALID', { NSFLEET_DATABASE_URL_FILE: '' }), /DATABASE_URL/);
  assert.match(await fails('CONFIG_INVALID', { NSFLEET_API_LISTEN: '192.0.2.1:0' }), /EADDRNOTAVAIL/);
});

test('a token or keys that others may read', async () => {
  const dir = freshDir();
  await using first = spawnController({ nats, databaseUrl: database.url, dir });
  await untilServing(first, dir);
  first.child.kill('SIGTERM');
  await first.ended;
  chmodSync(join(dir, 'token'), 0o644);
  assert.match(await fails('CONFIG_INVALID', { NSFLEET_API_TOKEN_FILE: join(dir, 'token') }), /mode 0644/);
});

test('a wrong DATABASE_URL: no server, no such database, wrong password', async () => {
  await fails('DATABASE_UNREACHABLE', {}, 'postgres://user:secret@127.0.0.1:1/none');
  await fails('DATABASE_UNREACHABLE', {}, 'mysql://user:secret@127.0.0.1/none');
  const none = new URL(database.url);
  none.pathname = '/there_is_no_such_database';
  await fails('DATABASE_UNREACHABLE', {}, none.href);
  const wrong = new URL(database.url);
  wrong.password = 'secret';
  await fails('DATABASE_UNREACHABLE', {}, wrong.href);
});

test('a database that a newer nsfleet has migrated', async () => {
  await using newer = await freshDatabase();
  const dir = freshDir();
  await using first = spawnController({ nats, databaseUrl: newer.url, dir });
  await untilServing(first, dir);
  first.child.kill('SIGTERM');
  await first.ended;
  const client = new pg.Client({ connectionString: newer.url });
  await client.connect();
  await client.query(`insert into drizzle.__drizzle_migrations (hash, created_at) values ('from the future', 9999999999999)`);
  await client.end();
  await fails('DATABASE_NEWER', {}, newer.url);
});

test('no NATS server, one that does not trust these keys, and one that is too old', async () => {
  await fails('NATS_UNREACHABLE', { NATS_URL: 'nats://127.0.0.1:1' });
  const strange = join(freshDir(), 'keys');
  ensureNatsKeys(strange);
  await fails('NATS_DENIED', { NSFLEET_NATS_KEYS: strange });
  await using old = await pretendVersion(nats.url, '2.10.27');
  await fails('NATS_TOO_OLD', { NATS_URL: old.url });
  const dir = freshDir();
  await using controller = spawnController({
    nats,
    databaseUrl: database.url,
    dir,
    env: { NATS_URL: old.url, NSFLEET_ALLOW_OLD_NATS: '1' },
  });
  await untilServing(controller, dir);
  controller.child.kill('SIGTERM');
  assert.equal(await controller.ended, 'code 0');
  assert.match(controller.stderr(), /2\.10\.27.*Never do so in production/);
});

test('which NATS versions are safe', () => {
  for (const version of ['2.11.16', '2.11.17', '2.12.7', '2.12.11', '2.14.0', '2.15.1', '2.99.0', '3.0.0', 'v2.14.3', '2.15.0-RC.1']) {
    assert.equal(isSafeNatsVersion(version), true, version);
  }
  for (const version of ['2.9.10', '2.10.27', '2.11.15', '2.12.6', '2.13.9', '1.9.9', '2.14.0-RC.2', '2.14', 'unknown', '']) {
    assert.equal(isSafeNatsVersion(version), false, version);
  }
});
