/** The agent of an ordinary user: one mapped id, no pool, an inventory of what that user may see. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { asNobody, nobody } from '#test/support/as-nobody.ts';
import { desired, startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import type { AgentProcess, ControllerSide } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { archiveOf, layoutOf } from '#test/support/images.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';
import { ownDirectory } from '#test/support/own-directories.ts';
import { makeRoot } from '#test/support/roots.ts';
import { tarOf } from '#test/support/tar.ts';

leakCheck();
const host = 'host-plain';
const isRoot = process.getuid?.() === 0;
/** nobody: as root the test becomes that user, else it is one already */
const uid = isRoot ? nobody.uid : (process.getuid?.() ?? 0);
let directory: string;
let nats: TestNats;
let side: ControllerSide;
let agent: AgentProcess;

before(async () => {
  const { root } = temporaryDirectories();
  nats = fileResources.use(await startTestNats(root));
  side = fileResources.use(await startControllerSide(nats));
  // Root's own cache is closed to that user.
  directory = mkdtempSync(join(tmpdir(), 'nsfleet-plain-'));
  ownDirectory(directory);
  fileResources.defer(() => rmSync(directory, { recursive: true, force: true }));
  const credentials = join(directory, 'creds');
  copyFileSync(await nats.agentCredentialsFile(host), credentials);
  for (const path of [directory, credentials]) if (isRoot) chownSync(path, uid, uid);
  chmodSync(directory, 0o700);
  const place = join(directory, 'checkout');
  mkdirSync(place);
  const env = {
    NSFLEET_AGENT_CREDENTIALS: credentials,
    NSFLEET_AGENT_STATE: join(directory, 'state'),
    HOME: directory,
    NODE_COMPILE_CACHE: '',
  };
  agent = await startAgentProcess(side, nats, root, host, env, isRoot ? asNobody(place, ['agent/main.ts']) : undefined);
  fileResources.defer(async () => {
    await agent.end('SIGTERM');
  });
});
test('says what it is and what it lacks', async () => {
  const { host: hello } = side.hellos[0]!;
  assert.equal(hello.facts.privileged, false);
  assert.equal(hello.capacity.idRanges, 0);
  assert.deepEqual(hello.facts.features?.cgroupControllers, []);
  assert.equal(hello.facts.features?.namespaces.net, true, 'tried as that user');
  assert.ok(hello.facts.missing.some((sentence) => sentence.includes(`uid ${uid}`)));
  await until('the first report', () => side.reports.length > 0);
  const { counts, rows } = side.reports[0]!;
  assert.ok(rows.namespaces.length >= 8);
  if (isRoot) assert.ok(counts.unreadable > 0, 'root’s processes are closed to it');
});

test('runs a sandbox with its own id as root inside, runs a command in it, and removes it', async () => {
  const placement = desired(['sh', '-c', 'id -u; echo hello > /tmp/x; exec sleep 60'], { idRange: null });
  side.do(host, [placement]);
  const status = await side.status(placement.placementId, ({ state }) => state !== 'placed');
  assert.equal(status.state, 'running', JSON.stringify(status.error));
  assert.equal(status.namespaces.length, 8);
  assert.equal(statSync(`/proc/${status.commandPid}`).uid, uid);
  const map = readFileSync(`/proc/${status.commandPid}/uid_map`, 'utf8').trim().split(/\s+/).map(Number);
  assert.deepEqual(map, [0, uid, 1]);

  const stream = side.stream(host);
  const exec = { command: ['sh', '-c', 'while [ ! -s /tmp/x ]; do sleep 0.01; done; cat /tmp/x; id -u; exit 5'], env: {} };
  const answer = await side.ask(host, { type: 'exec', streamId: stream.id, placementId: placement.placementId, exec });
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  assert.equal(JSON.parse(Buffer.from((await stream.over).payload).toString()).code, 5);
  assert.equal(stream.text('stdout'), 'hello\n0\n');

  side.do(host, [{ ...placement, generation: 2, wanted: 'removed' }]);
  await side.status(placement.placementId, ({ state }) => state === 'removed');
});

test('a range of ids is refused: this agent could not map it', async () => {
  const placement = desired(['true'], { idRange: { start: 1_879_048_192, count: 65_536 } });
  side.do(host, [placement]);
  const status = await side.status(placement.placementId, ({ state }) => state === 'failed');
  assert.equal(status.error?.code, 'ID_RANGE_REFUSED');
  side.do(host, [{ ...placement, generation: 2, wanted: 'removed' }]);
  await side.status(placement.placementId, ({ state }) => state === 'removed');
});

test('an image’s layers: unpacked by that user, all files its own, hidden what a layer hides', async () => {
  // Not where its agent keeps its keys.
  const elsewhere = mkdtempSync(join(tmpdir(), 'nsfleet-image-'));
  ownDirectory(elsewhere);
  fileResources.defer(() => rmSync(elsewhere, { recursive: true, force: true }));
  chmodSync(elsewhere, 0o755);
  const base = makeRoot(join(elsewhere, 'base'), ['sh', 'ls', 'cat', 'id']);
  const lower = execFileSync('tar', ['-C', base, '-c', '.'], { maxBuffer: 1 << 28 });
  rmSync(base, { recursive: true });
  const upper = tarOf([
    { path: 'etc/.wh.motd' },
    { path: 'tmp/.wh..wh..opq' },
    { path: 'etc/new', content: 'of the second layer\n', uid: 1000, gid: 1000 },
  ]);
  const image = join(elsewhere, 'image.tar');
  writeFileSync(image, archiveOf(layoutOf([{ layers: [{ archive: lower }, { archive: upper }] }])), { mode: 0o644 });
  const script = 'set -e; cat /etc/new; [ ! -e /etc/motd ]; id -u; echo x > /etc/more; ls -A /tmp';
  const spec = SandboxSpec.parse({ command: ['sh', '-c', script], root: { type: 'oci', path: image } });
  const placement = { ...desired(['true'], { idRange: null }), spec };
  side.do(host, [placement]);
  const status = await side.status(placement.placementId, ({ state }) => state === 'stopped' || state === 'failed');
  assert.equal(status.error, null, JSON.stringify(status.error));
  assert.deepEqual(status.exit, { code: 0, signal: null });
  const log = join(directory, 'state/placements', placement.placementId, 'stdout.log');
  assert.equal(readFileSync(log, 'utf8'), 'of the second layer\n0\n');
  side.do(host, [{ ...placement, generation: 2, wanted: 'removed' }]);
  await side.status(placement.placementId, ({ state }) => state === 'removed');
});

test('joins namespaces of another sandbox together with the user namespace that owns them, and only so', async () => {
  const web = { ...desired(['sleep', '60'], { idRange: null }), name: 'web' };
  side.do(host, [web]);
  const first = await side.status(web.placementId, ({ state }) => state !== 'placed');
  assert.equal(first.state, 'running', JSON.stringify(first.error));
  const ofWeb = { from: 'sandbox', name: 'web' } as const;
  const start = async (given: Partial<SandboxSpecInput>) => {
    const spec = SandboxSpec.parse({ command: ['sleep', '60'], ...given });
    const placement = { ...desired(['sleep', '60'], { idRange: null }), name: 'joiner', spec };
    side.do(host, [placement]);
    const status = await side.status(placement.placementId, ({ state }) => state !== 'placed');
    return { placement, status };
  };
  const { placement, status } = await start({ namespaces: { user: ofWeb, net: ofWeb, ipc: ofWeb, pid: ofWeb } });
  assert.equal(status.state, 'running', JSON.stringify(status.error));
  const keyOf = ({ namespaces }: typeof status, type: string) => namespaces.find((namespace) => namespace.type === type)?.key;
  for (const type of ['user', 'net', 'ipc', 'pid']) assert.equal(keyOf(status, type), keyOf(first, type), type);
  for (const type of ['mnt', 'uts', 'cgroup', 'time']) assert.notEqual(keyOf(status, type), keyOf(first, type), type);
  const stream = side.stream(host);
  const exec = { command: ['readlink', '/proc/self/ns/net'], env: {} };
  const answer = await side.ask(host, { type: 'exec', streamId: stream.id, placementId: placement.placementId, exec });
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  await stream.over;
  assert.equal(stream.text('stdout').trim(), readlinkSync(`/proc/${first.commandPid}/ns/net`));

  const map = [{ inside: 0, outside: 200_000, count: 10 }];
  const shared = { from: 'host' } as const;
  const refused: [Partial<SandboxSpecInput>, string, RegExp][] = [
    [{ namespaces: { net: ofWeb } }, 'JOIN_REFUSED', /can join it only together with that one/],
    [{ namespaces: { net: shared } }, 'POLICY_REFUSED', /net namespace of the host/],
    [{ idMaps: { uid: map, gid: map } }, 'ID_RANGE_REFUSED', /maps one id only/],
  ];
  const ended = [placement];
  for (const [given, code, words] of refused) {
    const one = await start(given);
    assert.deepEqual(
      [one.status.state, one.status.error?.code, words.test(one.status.error?.reason ?? '')],
      ['failed', code, true],
      one.status.error?.reason,
    );
    ended.push(one.placement);
  }
  for (const one of [...ended, web]) {
    side.do(host, [{ ...one, generation: 2, wanted: 'removed' }]);
    await side.status(one.placementId, ({ state }) => state === 'removed');
  }
});
