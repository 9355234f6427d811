/** Events, a host's timeline and a namespace's history in front of a scripted fleet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { eventFixture, namespaceFixture, seen } from './fixtures.ts';
import { fileFleet } from './fleet.ts';
import { cliProcess } from './run.ts';

leakCheck();
const dirs = temporaryDirectories();
const { fleet, run, asked } = fileFleet(dirs);
const lines = (text: string) => text.split('\n').slice(0, -1);

test('events in words: of each type what happened', async () => {
  const { detail } = eventFixture({});
  fleet.events.push(
    eventFixture({}),
    eventFixture({ seq: '2', type: 'namespace.gone', detail: { ...detail, unseen: true } }),
    eventFixture({
      seq: '3',
      type: 'namespace.changed',
      detail: {
        ...detail,
        changed: {
          leader: { from: { pid: 1, comm: 'a', command: '' }, to: null },
          'details.hostname': { from: 'x\u001b', to: 'y' },
          names: { from: [], to: [{ source: 'ip-netns', name: 'blue' }] },
        },
      },
    }),
    eventFixture({
      seq: '4',
      type: 'holder.lost',
      detail: { type: 'net', key: 'id:5', holder: { kind: 'fd', pid: 9, fd: 3, comm: 'sh' } },
    }),
    eventFixture({ seq: '5', type: 'leak.found', detail: { rule: 'sandbox-gone', reason: 'it is so', pins: [] } }),
    eventFixture({ seq: '6', type: 'host.connected', namespaceId: null, detail: { epoch: 3 } }),
  );
  const { stdout } = await run('events');
  assert.deepEqual(
    lines(stdout).map((line) => line.replace(/ +/gu, ' ').trim()),
    [
      'SEQ TIME TYPE HOST ID WHAT',
      `1 ${seen} namespace.appeared web-1 5 net 77 docker:web (sl\\x0aeep)`,
      `2 ${seen} namespace.gone web-1 5 net 77 docker:web (sl\\x0aeep) (nobody watched)`,
      `3 ${seen} namespace.changed web-1 5 net 77 docker:web (sl\\x0aeep): leader: 1 (a) → none; hostname: x\\x1b → y; names: none → ip-netns:blue`,
      `4 ${seen} holder.lost web-1 5 net lost fd 3 of process 9 (sh)`,
      `5 ${seen} leak.found web-1 5 sandbox-gone: it is so`,
      `6 ${seen} host.connected web-1 - epoch=3`,
    ],
  );
  await run('events', '--type', 'leak.,namespace.', '--type', 'host.', '--host', 'web-1', '--ns', '5', '--filter', 'seq > 1');
  const { types, host, namespace, filter } = asked('eventList').at(-1) ?? {};
  assert.deepEqual([types, host, namespace, filter], ['leak.,namespace.,host.', 'web-1', '5', 'seq > 1']);
});

test('events --since takes what ns ls --at does, and durations; a number stays what it is', async () => {
  const since = async (text: string) => {
    await run('events', '--since', text);
    return asked('eventList')[0]?.['since'];
  };
  for (const [text, sent] of [
    ['10m', '2026-11-23T11:53:00.000Z'],
    ['-1h30m', '2026-11-23T10:33:00.000Z'],
    ['2026-11-20T14:00Z', '2026-11-20T14:00:00.000Z'],
    ['2026', '2026'],
  ] as const) {
    fleet.asked.length = 0;
    assert.equal(await since(text), sent, text);
  }
  for (const text of ['soon', '10 parsecs', '2027-01-01T00:00Z']) assert.equal((await run('events', '--since', text)).code, 2, text);
});

test('events --follow --since a moment: after a break before the first event it begins there again, later behind the last one', async () => {
  const { child, ended } = cliProcess(dirs.env, 'events', '--follow', '--json', '--since', '2026-11-20T14:00Z');
  fileResources.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stdout.on('data', (text: string) => (said += text));
  const until = async (what: string, holds: () => boolean) => {
    for (const end = Date.now() + 20_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 10)))
      assert.ok(Date.now() < end, what);
  };
  const followed = () => fleet.followed.map((request) => request.since);
  await until('it follows', () => followed().length === 1);
  fleet.events.push(eventFixture({ seq: '1', at: '2026-11-20T13:59:59.999Z' }), eventFixture({ seq: '2', at: '2026-11-20T14:00:00.000Z' }));
  fleet.cut();
  await until('the first', () => lines(said).length === 1);
  fleet.events.push(eventFixture({ seq: '3' }));
  fleet.cut();
  await until('the second', () => lines(said).length === 2);
  child.kill('SIGTERM');
  await ended;
  assert.deepEqual(
    lines(said).map((line) => (JSON.parse(line) as Event).seq),
    ['2', '3'],
  );
  assert.deepEqual(followed(), ['2026-11-20T14:00:00.000Z', '2026-11-20T14:00:00.000Z', '2']);
});

test('host timeline and ns history: whole over pages, a day by default', async () => {
  const host = { id: 'h1', name: 'web-1' };
  fleet.answers.hostTimeline = async ({ query }) =>
    query.cursor === undefined
      ? { host, events: [eventFixture({})], nextCursor: '1' }
      : { host, events: [eventFixture({ seq: '2' })], nextCursor: null };
  const { stdout } = await run('host', 'timeline', 'web-1', '--until', '12:02', '--type', 'namespace.');
  assert.equal(lines(stdout).length, 3);
  assert.equal(asked('hostTimeline')[0]?.['from'], '2026-11-22T12:03:00.000Z');
  fleet.answers.namespaceHistory = async () => ({
    intervals: [namespaceFixture({ id: '3', current: false, endUnseen: true }), namespaceFixture({ id: '5' })],
    events: [eventFixture({})],
    nextCursor: null,
  });
  const history = lines((await run('ns', 'history', '5', '--inode')).stdout);
  assert.equal(asked('namespaceHistory')[0]?.['inode'], 'true');
  assert.match(history[1]!, new RegExp(`^ 3 4026531833 net +web-1 ${seen} ${seen} or later less than a second /sbin/init`, 'u'));
  assert.match(history[2]!, / now +3 minutes +\/sbin\/init splash$/u);
  assert.equal(history[3], '');
  assert.match(history[5]!, / net 77 docker:web /u);
});

test('events --follow: goes on behind the last one over 20 cut connections; none missed, none repeated', async () => {
  fleet.events.push(eventFixture({ seq: '3' }));
  const { child, ended } = cliProcess(dirs.env, 'events', '--follow', '--json', '--since', '2');
  fileResources.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stdout.on('data', (text: string) => (said += text));
  const seqs = () => lines(said).map((line) => (JSON.parse(line) as Event).seq);
  const until = async (count: number) => {
    for (const end = Date.now() + 20_000; seqs().length < count;) {
      assert.ok(Date.now() < end, `got ${seqs().join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(1);
  // Two for each break: one that came before it, one that comes after.
  const breaks = 20;
  for (let count = 1; count <= breaks; count += 1) {
    fleet.events.push(eventFixture({ seq: String(2 * count + 2) }), eventFixture({ seq: String(2 * count + 3) }));
    fleet.cut();
    await until(2 * count + 1);
  }
  child.kill('SIGTERM');
  const { stderr } = await ended;
  assert.deepEqual(
    seqs(),
    Array.from({ length: 2 * breaks + 1 }, (_, index) => String(index + 3)),
  );
  assert.match(
    stderr,
    /^warning: the connection was lost \(.+\): reconnecting, to go on after event 3\nwarning: connected again, after event /u,
  );
  assert.equal((await run('events', '--follow', '--since', 'x')).code, 2);
});
