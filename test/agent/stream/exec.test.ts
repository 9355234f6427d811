/** exec and logs through a real agent: bytes, ends, signals, exit codes, slow readers and readers that go away. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { creditPayload } from '#shared/frames.ts';
import type { Frame } from '#shared/frames.ts';
import type { ExecRequest } from '#shared/messages.ts';
import { desired, range, startAgentProcess, startControllerSide, until } from '#test/support/controller-side.ts';
import type { AgentProcess, ClientStream, ControllerSide } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';

leakCheck();
let root: string;
const host = 'host-exec';
const placement = desired(['sh', '-c', 'echo first; echo oops >&2; exec sleep 600'], {}, { env: { COLOR: 'blue' }, hostname: 'inner' });
let nats: TestNats;
let side: ControllerSide;
let agent: AgentProcess;

before(async () => {
  ({ root } = temporaryDirectories());
  nats = fileResources.use(await startTestNats(root));
  side = fileResources.use(await startControllerSide(nats));
  agent = await startAgentProcess(side, nats, root, host);
  fileResources.defer(async () => {
    await agent.end('SIGTERM');
  });
  fileResources.defer(async () => {
    side.do(host, [{ ...placement, generation: 9, wanted: 'removed' }]);
    await side.status(placement.placementId, ({ state }) => state === 'removed');
  });
  side.do(host, [placement]);
  await side.status(placement.placementId, ({ state }) => state === 'running');
});
async function exec(command: string[], more: Partial<ExecRequest> = {}): Promise<ClientStream> {
  const stream = side.stream(host);
  const answer = await side.ask(host, {
    type: 'exec',
    streamId: stream.id,
    placementId: placement.placementId,
    exec: { command, env: {}, ...more },
  });
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  return stream;
}

const json = (frame: Frame): unknown => JSON.parse(Buffer.from(frame.payload).toString());
/** Grants back what came, as a reader does that keeps up. */
const keepUp = (stream: ClientStream) => {
  stream.onFrame = (frame) => {
    if (frame.kind === 'stdout' || frame.kind === 'stderr') stream.send('credit', creditPayload(frame.payload.length));
  };
};

test('stdout, stderr and the exit code', async () => {
  const stream = await exec(['sh', '-c', 'echo out; echo err >&2; echo $COLOR $HOSTNAME $$; exit 9']);
  assert.deepEqual(json(await stream.over), { code: 9, signal: null });
  assert.match(stream.text('stdout'), /^out\nblue inner [0-9]+\n$/);
  assert.equal(stream.text('stderr'), 'err\n');
});

test('is in the namespaces, ids and root of the sandbox', async () => {
  const stream = await exec([
    'sh',
    '-c',
    'readlink /proc/self/ns/* | sort -u; id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; ls /proc/self/fd | tr "\\n" " "',
  ]);
  await stream.over;
  const out = stream.text('stdout');
  for (const { type, inode } of side.newest.get(placement.placementId)?.namespaces ?? [])
    assert.match(out, new RegExp(`${type}:\\[${inode}\\]`));
  assert.match(out, /\n0\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n0 1 2 3 $/);
});

test('stdin arrives whole and its end is heard', async () => {
  const stream = await exec(['sh', '-c', 'sha256sum; echo done']);
  const data = Buffer.alloc(200_000, 'nsfleet');
  for (let at = 0; at < data.length; at += 32_000) stream.send('stdin', data.subarray(at, at + 32_000));
  stream.send('end', Uint8Array.of(0));
  assert.deepEqual(json(await stream.over), { code: 0, signal: null });
  assert.equal(stream.text('stdout'), `${createHash('sha256').update(data).digest('hex')}  -\ndone\n`);
  assert.ok(stream.frames.some(({ kind }) => kind === 'credit'));
});

test('a signal reaches the command', async () => {
  const stream = await exec(['sleep', '600']);
  stream.send('signal', Uint8Array.of(15));
  assert.deepEqual(json(await stream.over), { code: null, signal: 15 });
});

test('what cannot be run is the answer’s error', async () => {
  const refusals = [
    [{ command: ['no-such'], env: {} }, 'COMMAND_NOT_FOUND'],
    [{ command: ['/etc/ld.so.cache'], env: {} }, 'COMMAND_NOT_EXECUTABLE'],
    [{ command: ['true'], env: {}, cwd: '/nowhere' }, 'CWD_REFUSED'],
  ] as const;
  for (const [request, code] of refusals) {
    const { id } = side.stream(host);
    const answer = await side.ask(host, {
      type: 'exec',
      streamId: id,
      placementId: placement.placementId,
      exec: { ...request, command: [...request.command] },
    });
    assert.equal(answer.error?.code, code, JSON.stringify(answer.error));
  }
  const answer = await side.ask(host, {
    type: 'exec',
    streamId: 'x',
    placementId: placement.sandboxId,
    exec: { command: ['true'], env: {} },
  });
  assert.equal(answer.error?.code, 'SANDBOX_NOT_RUNNING');
});

test('250 MB through a slow reader: all arrives, and the agent’s memory stays bounded', async () => {
  const size = 250_000_000;
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1]) * 1024;
  const before = rss();
  let most = 0;
  const stream = await exec(['head', '-c', String(size), '/dev/zero']);
  let got = 0;
  let owed = 0;
  const take = (frame: (typeof stream.frames)[number]) => {
    if (frame.kind !== 'stdout') return;
    stream.frames.splice(stream.frames.indexOf(frame), 1);
    got += frame.payload.length;
    owed += frame.payload.length;
    if (owed < 128 * 1024) return;
    most = Math.max(most, rss());
    // Slow: a grant comes a moment after what it is for.
    const grant = owed;
    owed = 0;
    setTimeout(() => stream.send('credit', creditPayload(grant)), 2);
  };
  // The first frame may have come together with the answer.
  for (const frame of stream.frames.slice()) take(frame);
  stream.onFrame = take;
  assert.deepEqual(json(await stream.over), { code: 0, signal: null });
  assert.equal(got, size);
  // What a collector leaves lying for a while is some tens of MiB; what is not bounded would be all 250.
  assert.ok(most - before < 128 * 1024 * 1024, `grew by ${(most - before) >> 20} MiB`);
});

test('never more under way than was granted', async () => {
  const stream = await exec(['sh', '-c', 'head -c 1000000 /dev/zero & head -c 1000000 /dev/zero >&2; wait']);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const bytes = () =>
    stream.frames.reduce((sum, { kind, payload }) => sum + (kind === 'stdout' || kind === 'stderr' ? payload.length : 0), 0);
  assert.equal(bytes(), 256 * 1024);
  stream.send('credit', creditPayload(2_000_000));
  await stream.over;
  assert.equal(bytes(), 2_000_000);
});

test('a reader that goes away ends the command', async () => {
  const stream = await exec(['sh', '-c', 'echo $$; exec sleep 601']);
  await until('output', () => stream.text('stdout') !== '');
  stream.send('close');
  await until('no sleep 601', async () => {
    const look = await exec(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "']);
    await look.over;
    return !look.text('stdout').includes('sleep 601');
  });
});

test('a lost frame breaks the stream, and says so', async () => {
  const stream = await exec(['sleep', '602']);
  stream.send('stdin', Buffer.from('x'), 5);
  const last = await stream.over;
  assert.equal(last.kind, 'error');
  assert.equal((json(last) as { code: string }).code, 'STREAM_BROKEN');
});

test('what a command leaves in the background does not hold the stream open', async () => {
  const stream = await exec(['sh', '-c', 'sleep 5 & echo started']);
  const began = performance.now();
  assert.deepEqual(json(await stream.over), { code: 0, signal: null });
  assert.ok(performance.now() - began < 3000);
  assert.equal(stream.text('stdout'), 'started\n');
});

test('logs: what was written, without and with following', async () => {
  const read = async (follow: boolean) => {
    const stream = side.stream(host);
    keepUp(stream);
    const answer = await side.ask(host, { type: 'logs', streamId: stream.id, placementId: placement.placementId, follow });
    assert.equal(answer.error, null);
    return stream;
  };
  const once = await read(false);
  assert.deepEqual(json(await once.over), { code: null, signal: null });
  assert.equal(once.text('stdout'), 'first\n');
  assert.equal(once.text('stderr'), 'oops\n');
});

test('logs follow to the end, over a rotation', async () => {
  const noisy = desired(
    ['sh', '-c', 'for i in $(seq 1 2000); do echo line $i; [ $((i % 200)) = 0 ] && sleep 0.3; done; exit 4'],
    { idRange: range(1) },
    { logMaxBytes: 12_000 },
  );
  side.do(host, [noisy]);
  await side.status(noisy.placementId, ({ state }) => state === 'running');
  const stream = side.stream(host);
  keepUp(stream);
  await side.ask(host, { type: 'logs', streamId: stream.id, placementId: noisy.placementId, follow: true });
  assert.deepEqual(json(await stream.over), { code: 4, signal: null });
  assert.equal(stream.text('stdout'), Array.from({ length: 2000 }, (_, i) => `line ${i + 1}\n`).join(''));
  side.do(host, [{ ...noisy, generation: 2, wanted: 'removed' }]);
  await side.status(noisy.placementId, ({ state }) => state === 'removed');
});
