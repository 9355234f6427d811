/** What an agent may say, against a real server and a real controller: everything else is refused with a code, and nothing breaks. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeReply, encodeMessage, messageMaxBytes, subjects } from '#shared/messages.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from '../running.ts';
import type { TestController } from '../running.ts';
import { bootId, helloOf, startScriptedAgent } from '../scripted-agent.ts';
import type { ScriptedAgent } from '../scripted-agent.ts';

leakCheck();
const dirs = temporaryDirectories();
let controller: TestController;
let agent: ScriptedAgent;

before(async () => {
  controller = fileResources.use(await startTestController(dirs));
  agent = fileResources.use(await startScriptedAgent(controller, 'h1'));
});
const text = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const report = (change: object = {}) => ({
  v: 1,
  hostId: 'h1',
  bootId,
  epoch: 1,
  seq: 1,
  kind: 'snapshot',
  page: 0,
  pages: 1,
  counts: { processes: 0, threads: 0, unreadable: 0, vanished: 0, hidden: {}, partial: false, durationMicros: 1 },
  rows: { namespaces: [], namespacesGone: [], processes: [], processesGone: [], references: [], referencesGone: [] },
  ...change,
});

const wrong: [what: string, bytes: Uint8Array, code: string][] = [
  ['no JSON', text('{"v":1,'), 'MESSAGE_MALFORMED'],
  ['no UTF-8', Uint8Array.of(0xff, 0xfe, 0x00), 'MESSAGE_MALFORMED'],
  ['nothing', new Uint8Array(), 'MESSAGE_MALFORMED'],
  ['another type', text('[]'), 'MESSAGE_VERSION_UNKNOWN'],
  ['an unknown version', text(report({ v: 2 })), 'MESSAGE_VERSION_UNKNOWN'],
  ['no version', text(report({ v: undefined })), 'MESSAGE_VERSION_UNKNOWN'],
  ['a missing field', text(report({ rows: undefined })), 'MESSAGE_MALFORMED'],
  ['a number that is text', text(report({ seq: '1' })), 'MESSAGE_MALFORMED'],
  ['a number beyond 2^53', text(JSON.stringify(report()).replace('"seq":1', '"seq":9007199254740993')), 'MESSAGE_MALFORMED'],
  ['deep nesting', text(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), 'MESSAGE_VERSION_UNKNOWN'],
  ['oversized', new Uint8Array(messageMaxBytes + 1), 'MESSAGE_TOO_LARGE'],
  ['another host’s id', text(report({ hostId: 'h2' })), 'MESSAGE_MALFORMED'],
];

for (const [what, bytes, code] of wrong) {
  test(`a report with ${what} is refused: ${code}`, async () => {
    const reply = decodeReply('report', await agent.request('report', bytes));
    assert.equal(reply.result, 'refused');
    assert.equal(reply.code, code);
  });
}

test('a refused message changes nothing, is counted, and the connection stays', async () => {
  const { client } = controller;
  const before = await client.call('hostShow', { params: { host: 'h1' } });
  await agent.request('report', text(report({ v: 7 })));
  const host = await client.call('hostShow', { params: { host: 'h1' } });
  assert.equal(host.lastReportAt, before.lastReportAt);
  const metrics = await (await client.raw('/metrics')).text();
  assert.match(metrics, /nsfleet_messages_total\{name="report",outcome="MESSAGE_TOO_LARGE"\} 1/);
  assert.match(metrics, /nsfleet_messages_total\{name="report",outcome="MESSAGE_VERSION_UNKNOWN"\} \d/);
  assert.match(metrics, /nsfleet_hosts\{status="ready"\} 1/);
  const reply = decodeReply('report', await agent.request('report', text(report())));
  assert.equal(reply.result, 'committed');
});

test('a hello for another host is refused', async () => {
  const reply = decodeReply('hello', await agent.request('hello', encodeMessage('hello', { v: 1, host: helloOf('h2') })));
  assert.equal(reply.accepted, false);
  assert.equal(reply.error?.code, 'MESSAGE_MALFORMED');
});

test('a host that is not enrolled is told so', async () => {
  const { connect, credsAuthenticator } = await import('nats');
  const credentials = await controller.nats.agentCredentials('stranger');
  const connection = await connect({
    servers: controller.nats.url,
    authenticator: credsAuthenticator(new TextEncoder().encode(credentials)),
    inboxPrefix: subjects.inboxPrefix('stranger'),
  });
  try {
    const message = await connection.request(
      subjects.fromAgent('hello', 'stranger'),
      encodeMessage('hello', { v: 1, host: helloOf('stranger') }),
    );
    const reply = decodeReply('hello', message.data);
    assert.deepEqual([reply.accepted, reply.error?.code], [false, 'HOST_NOT_FOUND']);
  } finally {
    await connection.close();
  }
});

test('an answer goes nowhere but to the inbox of the host that asked', async () => {
  await using other = await startScriptedAgent(controller, 'h2');
  let heard = 0;
  other.connection.subscribe(subjects.toAgent('do', 'h2'), {
    callback: () => {
      heard += 1;
    },
  });
  await other.connection.flush();
  // The controller may publish to h2; h1 may not, and must not get it to.
  const hello = encodeMessage('hello', { v: 1, host: helloOf('h1') });
  for (const reply of [subjects.toAgent('do', 'h2'), `${subjects.inboxPrefix('h2')}.x`, 'nsf.v1.inbox.h1', 'nsf.v1.inbox.h1x.y']) {
    agent.connection.publish(subjects.fromAgent('hello', 'h1'), hello, { reply });
  }
  await agent.connection.flush();
  await agent.request('report', text(report({ seq: 2 })));
  assert.equal(heard, 0);
  const metrics = await (await controller.client.raw('/metrics')).text();
  assert.match(metrics, /nsfleet_messages_total\{name="hello",outcome="MESSAGE_MALFORMED"\} 5/);
});

test('a digest that stays different makes the controller send the whole, at most once in three seconds', async () => {
  const tells: boolean[] = [];
  await using third = await startScriptedAgent(controller, 'h3', { onDo: (message) => tells.push(message.tell) });
  assert.deepEqual(tells, [true], 'hello is answered with the whole');
  await sleep(3000);
  const differ = async (times: number) => {
    for (let count = 0; count < times; count += 1) third.beat('0'.repeat(32));
    await sleep(1100);
  };
  await differ(1);
  third.beat();
  await differ(1);
  assert.deepEqual(tells, [true], 'one that was only overtaken is not doubted');
  await differ(5);
  await differ(5);
  assert.deepEqual(tells, [true, true]);
});

test('one host that floods is refused unread, and slows no other', { timeout: 60_000 }, async () => {
  await using rogue = await startScriptedAgent(controller, 'rogue');
  await using quiet = await startScriptedAgent(controller, 'quiet');
  // What a whole report of the largest may take, and half as much again.
  const bytes = new Uint8Array(messageMaxBytes).fill(0x7b);
  const messages = 600;
  for (let sent = 0; sent < messages; sent += 1) {
    rogue.connection.publish(subjects.fromAgent('report', 'rogue'), bytes, { reply: `${subjects.inboxPrefix('rogue')}.x` });
    // What waits for the controller is bounded by the server, which cuts off whoever does not keep up: a machine that is busy may not.
    if (sent % 50 === 49) await rogue.hello();
  }
  const counted = async (outcome: string) => {
    const metrics = await (await controller.client.raw('/metrics')).text();
    const line = new RegExp(`nsfleet_messages_total\\{name="report",outcome="${outcome}"\\} (\\d+)`).exec(metrics);
    return Number(line?.[1] ?? 0);
  };
  const { client } = controller;
  const reply = decodeReply('report', await quiet.request('report', text(report({ hostId: 'quiet' }))));
  assert.equal(reply.result, 'committed');
  assert.notEqual((await client.call('hostShow', { params: { host: 'quiet' } })).lastReportAt, null);
  const refused = await counted('RATE_LIMITED');
  assert.ok(refused > 100 && refused <= 200, `${refused} were refused unread`);
});
