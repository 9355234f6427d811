/** Which nats-server is run, and how it is started. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import { endProcess } from '#controller/up/end.ts';
import { findNatsServer } from '#controller/up/nats-find.ts';
import { startNatsServer } from '#controller/up/nats-server.ts';
import { directories } from '#shared/config.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();

/** A program that says it is nats-server of that version. */
function pretender(dir: string, version: string): string {
  mkdirSync(join(dirs.root, dir), { recursive: true });
  const path = join(dirs.root, dir, 'nats-server');
  writeFileSync(path, `#!/bin/sh\necho 'nats-server: v${version}'\n`);
  chmodSync(path, 0o755);
  return path;
}

test('one on PATH below the minimum is passed over, and told; a newer one further on is taken', async () => {
  const old = pretender('old', '2.9.10');
  const recent = pretender('recent', '2.12.8');
  const said: string[] = [];
  const found = await findNatsServer({ PATH: `${join(old, '..')}:${join(recent, '..')}` }, dirs.cache, (line) => said.push(line));
  assert.equal(found, recent);
  assert.match(said.join('\n'), /old\/nats-server is 2\.9\.10/);
});

test('the cached one comes after PATH', async () => {
  const cached = pretender('cached', '2.14.0');
  assert.equal(await findNatsServer({ PATH: '' }, join(cached, '..'), () => undefined), cached);
});

test('NATS_SERVER is taken at its word or refused, never passed over', async () => {
  const old = pretender('asked', '2.11.15');
  await assert.rejects(
    findNatsServer({ NATS_SERVER: old }, dirs.cache, () => undefined),
    { code: 'NATS_TOO_OLD', reason: /2\.11\.15/ },
  );
  await assert.rejects(
    findNatsServer({ NATS_SERVER: '/nonexistent' }, dirs.cache, () => undefined),
    { code: 'NATS_SERVER_MISSING' },
  );
  const right = pretender('right', '2.11.16');
  assert.equal(await findNatsServer({ NATS_SERVER: right }, dirs.cache, () => undefined), right);
});

test('the real one listens on loopback at a port of its own, and two run side by side', async () => {
  const binary = await findNatsServer(process.env, directories(process.env).cache, () => undefined);
  const servers = await Promise.all(
    ['one', 'two'].map((name) => {
      const runtime = join(dirs.root, name);
      const keys = ensureNatsKeys(join(runtime, 'keys'));
      return startNatsServer(binary, keys, { runtime, log: join(runtime, 'log') }, process.env, () => undefined);
    }),
  );
  assert.match(servers[0]?.url ?? '', /^nats:\/\/127\.0\.0\.1:\d+$/);
  assert.notEqual(servers[0]?.url, servers[1]?.url);
  assert.equal(statSync(join(dirs.root, 'one', 'nats', 'nats.conf')).mode & 0o777, 0o600);
  for (const server of servers) assert.equal(await endProcess(server.part, 'SIGTERM', 5000), 'ended');
});

test('one that ends at once is told with the end of its log', async () => {
  const path = join(dirs.root, 'broken');
  writeFileSync(path, '#!/bin/sh\necho "no such flag" >&2\nexit 3\n');
  chmodSync(path, 0o755);
  const keys = ensureNatsKeys(join(dirs.root, 'broken-keys'));
  const places = { runtime: join(dirs.root, 'broken-run'), log: join(dirs.root, 'broken-log') };
  await assert.rejects(
    startNatsServer(path, keys, places, process.env, () => undefined),
    { code: 'CHILD_DIED', reason: /code 3.*no such flag/s },
  );
});
