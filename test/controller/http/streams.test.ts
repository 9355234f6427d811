/** The bridge between a WebSocket and an agent's stream: data both ways at the pace of the slower, and every way to end. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { creditPayload, decodeFrame, encodeFrame, framePayloadMaxBytes, initialCreditBytes, readCredit, slices } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';
import { subjects } from '#shared/messages.ts';
import type { Question } from '#shared/messages.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from '../running.ts';
import type { TestController } from '../running.ts';
import { startScriptedAgent } from '../scripted-agent.ts';
import type { ScriptedAgent } from '../scripted-agent.ts';
import { errorOf, openStream } from './exec-client.ts';

leakCheck();
const dirs = temporaryDirectories();
let controller: TestController;
let agent: ScriptedAgent;

/** The agent's side of one stream. */
type Side = {
  question: Question;
  heard: Frame[];
  credit: number;
  send(kind: FrameKind, payload?: Uint8Array, skip?: number): void;
  /** All of it, as credit allows. */
  write(data: Uint8Array): Promise<void>;
};
let latest = Promise.withResolvers<Side>();

before(async () => {
  controller = fileResources.use(await startTestController(dirs));
  agent = fileResources.use(
    await startScriptedAgent(controller, 'h1', {
      answer(question) {
        if (question.type !== 'exec' && question.type !== 'logs') return undefined;
        latest.resolve(side(question));
        return {};
      },
    }),
  );
  await controller.client.call('sandboxCreate', { body: { name: 'box', spec: { command: ['sleep'] } } });
});
function side(question: Question & { streamId: string }): Side {
  let sequence = 0;
  const made: Side = {
    question,
    heard: [],
    credit: initialCreditBytes,
    send(kind, payload, skip = 0) {
      sequence += skip;
      agent.connection.publish(subjects.streamFromAgent('h1', question.streamId), encodeFrame(kind, sequence, payload));
      sequence += 1;
    },
    async write(data) {
      for (const part of slices(data)) {
        while (made.credit < part.length) await sleep(2);
        made.credit -= part.length;
        made.send('stdout', part);
      }
    },
  };
  agent.connection.subscribe(subjects.streamToAgent('h1', question.streamId), {
    callback: (_error, message) => {
      const frame = decodeFrame(message.data);
      made.heard.push(frame);
      if (frame.kind === 'credit') made.credit += readCredit(frame.payload);
    },
  });
  return made;
}

const exec = { command: ['cat'] };

async function open(path = '/v1/sandboxes/box/exec', first: unknown = exec) {
  latest = Promise.withResolvers();
  const client = await openStream(controller.address, controller.token, path, first);
  return { client, side: await latest.promise };
}

async function until(what: string, check: () => boolean, ms = 10_000): Promise<void> {
  for (const start = performance.now(); !check(); await sleep(5)) {
    if (performance.now() - start > ms) throw new Error(`not within ${ms} ms: ${what}`);
  }
}

const heardBytes = (made: Side) => made.heard.reduce((sum, frame) => sum + (frame.kind === 'stdin' ? frame.payload.length : 0), 0);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const exitFrame = new TextEncoder().encode(JSON.stringify({ code: 3, signal: null }));

test('bytes go both ways, frames are numbered, and the exit closes with 1000', async () => {
  const { client, side } = await open();
  assert.deepEqual(side.question.type === 'exec' && side.question.exec.command, ['cat']);
  client.send('stdin', Buffer.from('hello'));
  client.send('end', Uint8Array.of(0));
  await until('stdin and end', () => side.heard.length === 2);
  assert.deepEqual(
    side.heard.map(({ kind, seq }) => [kind, seq]),
    [
      ['stdin', 0],
      ['end', 1],
    ],
  );
  side.send('stdout', Buffer.from('hello'));
  side.send('stderr', Buffer.from('bye'));
  side.send('exit', exitFrame);
  assert.equal(await client.closed, 1000);
  assert.deepEqual(
    client.frames.map(({ kind, seq, payload }) => [kind, seq, text(payload)]),
    [
      ['stdout', 0, 'hello'],
      ['stderr', 1, 'bye'],
      ['exit', 2, '{"code":3,"signal":null}'],
    ],
  );
});

test('logs are a stream too', async () => {
  const { client, side } = await open('/v1/sandboxes/box/logs', { follow: true });
  assert.equal(side.question.type === 'logs' && side.question.follow, true);
  side.send('stdout', Buffer.from('line\n'));
  side.send('exit', exitFrame);
  assert.equal(await client.closed, 1000);
  assert.equal(client.stdoutBytes(), 5);
});

test('a reader that does not read stops the agent, and gets everything when it goes on', async () => {
  const { client, side } = await open();
  client.socket.pause();
  const total = 64 * 1024 * 1024;
  const chunk = new Uint8Array(framePayloadMaxBytes);
  let written = 0;
  const writing = (async () => {
    for (; written < total; written += chunk.length) await side.write(chunk);
  })();
  await until('the agent is stopped', () => side.credit < framePayloadMaxBytes);
  await sleep(500);
  const whenStopped = written;
  await sleep(500);
  assert.equal(written, whenStopped, 'the agent goes on writing');
  // What both sockets' kernel buffers hold, and a window.
  assert.ok(written < 24 * 1024 * 1024, `${written} bytes are under way`);
  client.socket.resume();
  await writing;
  side.send('exit', exitFrame);
  assert.equal(await client.closed, 1000);
  assert.equal(client.stdoutBytes(), total);
});

test('an agent that takes nothing stops the writer, and signals overtake what waits', async () => {
  const { client, side } = await open();
  const total = 32 * 1024 * 1024;
  for (let sent = 0; sent < total; sent += framePayloadMaxBytes) client.send('stdin', new Uint8Array(framePayloadMaxBytes));
  await until('the window is used', () => heardBytes(side) === initialCreditBytes);
  await sleep(300);
  assert.equal(heardBytes(side), initialCreditBytes);
  assert.ok(client.socket.bufferedAmount > 1024 * 1024, 'the client does not feel it');
  const giving = setInterval(() => side.send('credit', creditPayload(1024 * 1024)), 5);
  await until('everything has come', () => heardBytes(side) === total, 20_000);
  clearInterval(giving);
  client.send('signal', Uint8Array.of(15));
  await until('the signal', () => side.heard.at(-1)?.kind === 'signal');
  for (const [index, frame] of side.heard.entries()) assert.equal(frame.seq, index);
  side.send('exit', exitFrame);
  assert.equal(await client.closed, 1000);
});

test('a lost frame ends the stream: STREAM_BROKEN, and the agent is told', async () => {
  const { client, side } = await open();
  side.send('stdout', Buffer.from('a'));
  side.send('stdout', Buffer.from('c'), 1);
  assert.equal(errorOf(await client.frame('error')).code, 'STREAM_BROKEN');
  assert.equal(await client.closed, 1011);
  await until('close', () => side.heard.some(({ kind }) => kind === 'close'));
});

test('an agent that sends more than it was granted is cut off', async () => {
  const { client, side } = await open();
  client.socket.pause();
  for (let sent = 0; sent <= 32 * 1024 * 1024; sent += framePayloadMaxBytes) side.send('stdout', new Uint8Array(framePayloadMaxBytes));
  await until('close', () => side.heard.some(({ kind }) => kind === 'close'));
  client.socket.resume();
  assert.match(errorOf(await client.frame('error')).reason, /more than it was granted/);
});

test('a client that goes away closes the agent’s side, also while nothing is read from it', async () => {
  const { client, side } = await open();
  client.socket.terminate();
  await until('close', () => side.heard.some(({ kind }) => kind === 'close'));
});

test('an agent that goes away ends the stream within seconds', async () => {
  latest = Promise.withResolvers();
  await using second = await startScriptedAgent(
    controller,
    'h2',
    { answer: (question) => (question.type === 'exec' ? {} : undefined) },
    { labels: { only: 'h2' } },
  );
  await controller.client.call('sandboxCreate', {
    body: { name: 'away', spec: { command: ['sleep'], constraint: 'has(host.labels.only)' } },
  });
  const client = await openStream(controller.address, controller.token, '/v1/sandboxes/away/exec', exec);
  await sleep(100);
  await second.connection.close();
  const error = errorOf(await client.frame('error'));
  assert.deepEqual([error.code, error.reason], ['STREAM_BROKEN', 'its agent is gone']);
  // and the next one is told at once
  const start = performance.now();
  const next = await openStream(controller.address, controller.token, '/v1/sandboxes/away/exec', exec);
  assert.equal(errorOf(await next.frame('error')).code, 'HOST_UNREACHABLE');
  assert.ok(performance.now() - start < 2000);
  await next.closed;
});

const wrong: [what: string, path: string, first: unknown, code: string][] = [
  ['no JSON', '/v1/sandboxes/box/exec', '{', 'INVALID_INPUT'],
  ['no command', '/v1/sandboxes/box/exec', { command: [] }, 'INVALID_INPUT'],
  ['an unknown field', '/v1/sandboxes/box/exec', { ...exec, tty: true }, 'INVALID_INPUT'],
  ['no such sandbox', '/v1/sandboxes/none/exec', exec, 'SANDBOX_NOT_FOUND'],
  ['a follow that is none', '/v1/sandboxes/box/logs', { follow: 1 }, 'INVALID_INPUT'],
];
for (const [what, path, first, code] of wrong) {
  test(`refused with an error frame and 1011: ${what}`, async () => {
    const client = await openStream(controller.address, controller.token, path, first);
    assert.equal(errorOf(await client.frame('error')).code, code);
    assert.equal(await client.closed, 1011);
  });
}

test('frames that a client must not send', async () => {
  for (const [kind, payload] of [
    ['stdout', Buffer.from('x')],
    ['exit', exitFrame],
    ['credit', creditPayload(1)],
  ] as const) {
    const { client } = await open();
    client.send(kind, payload);
    assert.equal(errorOf(await client.frame('error')).code, 'INVALID_INPUT');
    assert.equal(await client.closed, 1011);
  }
  const { client } = await open();
  client.socket.send(Uint8Array.of(9, 9, 9));
  assert.equal(errorOf(await client.frame('error')).code, 'MESSAGE_MALFORMED');
  await client.closed;
});

test('exec in a sandbox that has ended is refused', async () => {
  const { client } = controller;
  await client.call('sandboxCreate', { body: { name: 'over', spec: { command: ['sleep'] } } });
  await client.call('sandboxStop', { params: { sandbox: 'over' }, query: { wait: 'stopped' }, body: {} });
  const stream = await openStream(controller.address, controller.token, '/v1/sandboxes/over/exec', exec);
  assert.equal(errorOf(await stream.frame('error')).code, 'SANDBOX_NOT_RUNNING');
  await stream.closed;
});

test('streams are counted, and end with the controller', async () => {
  const metrics = await (await controller.client.raw('/metrics')).text();
  assert.match(metrics, /nsfleet_streams\{kind="exec"\} 0/);
  const another = await controller.another();
  latest = Promise.withResolvers();
  const client = await openStream(another.address, controller.token, '/v1/sandboxes/box/exec', exec);
  const { heard } = await latest.promise;
  await sleep(50);
  await another.close();
  assert.equal(errorOf(await client.frame('error')).code, 'UNAVAILABLE');
  await until('close', () => heard.some(({ kind }) => kind === 'close'));
});
