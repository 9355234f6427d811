/** What keeps an agent from starting is said with a code, and what to do about it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { before, test } from 'node:test';
import { agentVersion } from '#agent/version.ts';
import { readAgentSettings } from '#agent/config.ts';
import { createUserKey, credentialsText } from '#controller/credentials/users.ts';
import { exitCodes, NsfleetError } from '#shared/errors.ts';
import { startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';

leakCheck();
const checkout = fileURLToPath(new URL('../..', import.meta.url));
let root: string;
let env: Record<string, string>;
let nats: TestNats;

before(async () => {
  ({ root, env } = temporaryDirectories());
  nats = fileResources.use(await startTestNats(root));
});
async function agent(args: string[], settings: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['agent/main.ts', ...args], {
    cwd: checkout,
    env: { ...process.env, ...env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: code as number, stdout, stderr };
}

const settings = async (host: string): Promise<Record<string, string>> => ({
  NATS_URL: nats.url,
  NSFLEET_HOST_ID: host,
  NSFLEET_AGENT_CREDENTIALS: await nats.agentCredentialsFile(host),
  NSFLEET_AGENT_STATE: join(root, host),
});

test('--version, --help, and what it does not know', async () => {
  assert.deepEqual(await agent(['--version']), { code: 0, stdout: `${agentVersion}\n`, stderr: '' });
  assert.match((await agent(['--help'])).stdout, /usage:/);
  for (const args of [['dance'], ['--dance'], ['run', 'run'], ['enroll']]) {
    const { code, stderr } = await agent(args);
    assert.equal(code, exitCodes.usage);
    assert.match(stderr, /^error: USAGE: .+\n  what to do: see `nsfleet-agent --help`\n$/);
  }
});

test('without enrolment it says how to enrol', async () => {
  const { code, stderr } = await agent([]);
  assert.equal(code, exitCodes.usage);
  assert.match(stderr, /^error: CONFIG_INVALID: .*NATS_URL is not set .*\n  what to do: enrol this host with/m);
});

test('settings are checked, each problem with its variable', () => {
  const base = { HOME: root, NATS_URL: 'x', NSFLEET_HOST_ID: 'h' };
  const refused = (more: Record<string, string>, word: RegExp) =>
    assert.throws(
      () => readAgentSettings({ ...base, ...more }),
      (error) => error instanceof NsfleetError && error.code === 'CONFIG_INVALID' && word.test(error.reason),
    );
  refused({ NSFLEET_HOST_ID: 'a.b' }, /NSFLEET_HOST_ID/);
  refused({ NSFLEET_ID_POOL: '1000:10' }, /NSFLEET_ID_POOL: starts below/);
  refused({ NSFLEET_ID_POOL: '4294000000:100' }, /NSFLEET_ID_POOL: ends above/);
  refused({ NSFLEET_AGENT_LABELS: 'a b=c' }, /NSFLEET_AGENT_LABELS/);
  refused({ NSFLEET_SCAN_INTERVAL_MS: '1' }, /NSFLEET_SCAN_INTERVAL_MS/);
  const read = readAgentSettings({ ...base, NSFLEET_AGENT_LABELS: 'zone=a,disk=', NSFLEET_ID_POOL: '' });
  assert.deepEqual(read.labels, { zone: 'a', disk: '' });
  assert.deepEqual(read.policy.idPool, { start: 1_879_048_192, count: 4095 });
});

test('credentials that the server does not trust', async () => {
  const host = 'host-denied';
  const given = await settings(host);
  const { seed } = createUserKey();
  const jwt = /-----BEGIN NATS USER JWT-----\n([^\n]+)/.exec(readFileSync(given['NSFLEET_AGENT_CREDENTIALS'] ?? '', 'utf8'))?.[1] ?? '';
  writeFileSync(join(root, 'wrong.creds'), credentialsText(jwt, seed), { mode: 0o600 });
  const { code, stderr } = await agent([], { ...given, NSFLEET_AGENT_CREDENTIALS: join(root, 'wrong.creds') });
  assert.equal(code, exitCodes.denied);
  assert.match(stderr, /^error: NATS_DENIED: /m);
  assert.ok(!stderr.includes(seed) && !stderr.includes(jwt));
});

test('a NATS server below the minimum is refused', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(
      'INFO {"server_id":"x","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576,"nonce":"abcdefgh","auth_required":true}\r\n',
    );
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const given = { ...(await settings('host-old')), NATS_URL: `nats://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const { code, stderr } = await agent([], given);
    assert.equal(code, exitCodes.failed);
    assert.match(stderr, /^error: NATS_TOO_OLD: .*version 2\.9\.10/m);
  } finally {
    server.close();
  }
});

test('waits for a server that is not there yet, and ends on the first signal', async () => {
  const given = { ...(await settings('host-waits')), NATS_URL: 'nats://127.0.0.1:1' };
  const child = spawn(process.execPath, ['agent/main.ts'], {
    cwd: checkout,
    env: { ...process.env, ...env, ...given },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (data: Buffer) => (log += data.toString()));
  await until('two tries', () => log.split('NATS_UNREACHABLE').length > 2);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('stays within its own subjects: what it is not allowed to do, the server refuses', async () => {
  await using side = await startControllerSide(nats);
  await using running = await startAgentProcess(side, nats, root, 'host-here');
  await until('a beat and a report', () => side.beats.length > 0 && side.reports.length > 0);
  assert.equal(side.hellos[0]?.host.hostId, 'host-here');
  assert.equal(side.beats[0]?.epoch, side.hellos[0]?.host.epoch);
  assert.doesNotMatch(readFileSync(join(root, 'host-here.log'), 'utf8'), /permission|violation/i);
  assert.equal(await running.end('SIGTERM'), 0);
});
