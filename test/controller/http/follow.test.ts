import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import websocket from '@fastify/websocket';
import fastify from 'fastify';
import { WebSocket } from 'ws';
import { openStore, transact } from '#controller/store/client.ts';
import { appendEvents, readEvents } from '#controller/store/events.ts';
import type { Store } from '#controller/store/client.ts';
import { addFollow } from '#controller/http/follow.ts';
import { createMetrics } from '#controller/metrics.ts';
import { createFollow } from '#controller/event-feed.ts';
import { followClosed, sockets } from '#shared/sockets.ts';
import type { FollowRequest } from '#shared/sockets.ts';
import type { Event } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { select } from '../store/fixture.ts';
import { startTestController, testLog } from '../running.ts';
import type { TestController } from '../running.ts';

leakCheck();

function open(address: string, token: string, request: FollowRequest | string): WebSocket {
  const url = new URL(sockets.eventFollow.path, address);
  url.protocol = 'ws:';
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  socket.on('open', () => socket.send(typeof request === 'string' ? request : JSON.stringify(request)));
  socket.on('error', () => undefined);
  return socket;
}

/** Unlike once(), which fails with a connection that is refused. */
function closing(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => void socket.once('close', resolve));
}

/** The messages until `done` of them, then the socket is closed. */
async function hear(
  controller: TestController,
  request: FollowRequest | string,
  done: (messages: unknown[]) => boolean,
): Promise<unknown[]> {
  const messages: unknown[] = [];
  const socket = open(controller.address, controller.token, request);
  socket.on('message', (data: Buffer) => {
    messages.push(JSON.parse(data.toString('utf8')));
    if (done(messages)) socket.close();
  });
  await closing(socket);
  return messages;
}

const write = (store: Store, events: Parameters<typeof appendEvents>[1]) => transact(store, (tx) => appendEvents(tx, events));

test('0 missed and 0 repeated over 100 forced disconnects and restarts of controllers', { timeout: 170_000 }, async () => {
  await using controller = await startTestController(temporaryDirectories());
  await using store = await openStore({ url: controller.database.url, log: testLog(), poolSize: 2 });
  const running = [controller, await controller.another()];
  const { last: start } = await readEvents(store.db, { since: '0', limit: 0 });
  let over = false;
  const writing = (async () => {
    for (let at = 0; !over; at += 1) {
      await write(
        store,
        Array.from({ length: 1 + (at % 7) }, (_, part) => ({ type: 'test', detail: { at, part } })),
      );
      await sleep(at % 5);
    }
  })();
  const restarting = (async () => {
    for (let at = 0; !over; at += 1) {
      await sleep(1500);
      const [old] = running.splice(at % 2, 1, await controller.another());
      await old?.close();
    }
  })();
  const seen: Event[] = [];
  const follow = async (until: (event: Event) => boolean) => {
    const since = seen.at(-1)?.seq ?? start;
    const address = running[Math.floor(Math.random() * running.length)]!.address;
    const socket = open(address, controller.token, { since });
    const cut = setTimeout(() => socket.terminate(), 20 + Math.random() * 150);
    socket.on('message', (data: Buffer) => {
      const event = JSON.parse(data.toString('utf8')) as Event;
      if (socket.readyState !== WebSocket.OPEN || 'error' in event) return;
      seen.push(event);
      // Abruptly, in the middle of what is on its way.
      if (until(event)) socket.terminate();
    });
    await closing(socket);
    clearTimeout(cut);
  };
  for (let disconnects = 0; disconnects < 100; disconnects += 1) {
    const most = seen.length + Math.floor(Math.random() * 40);
    await follow(() => seen.length > most);
  }
  over = true;
  await Promise.all([writing, restarting]);
  const { last } = await readEvents(store.db, { since: '0', limit: 0 });
  for (let left = 200; left > 0 && seen.at(-1)?.seq !== last; left -= 1) await follow(({ seq }) => seq === last);
  const { events } = await readEvents(store.db, { since: start, limit: 100_000 });
  assert.ok(events.length > 500, `${events.length} events were written`);
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    events.map(({ seq }) => seq),
  );
});

test('from now on, of chosen types, hosts and by filter; what is asked wrongly is told and closed', async () => {
  await using controller = await startTestController(temporaryDirectories());
  const { store } = controller.context;
  const types = async (request: FollowRequest, count: number) => {
    const messages = await hear(controller, request, (all) => all.length === count);
    return (messages as Event[]).map(({ type, detail }) => `${type} ${String(detail['at'])}`);
  };
  await write(
    store,
    ['a.one', 'a.two', 'b.one'].map((type, at) => ({ type, detail: { at } })),
  );
  assert.deepEqual(await types({ since: '0', types: 'a.' }, 2), ['a.one 0', 'a.two 1']);
  await select(store, `update events set at = at - interval '1 hour' where type = 'a.one'`);
  assert.deepEqual(await types({ since: '-10m', types: 'a.' }, 1), ['a.two 1'], 'since a moment');
  const { events, last } = await controller.client.call('eventList', { query: { since: '-10m', types: 'a.,b.' } });
  assert.deepEqual(
    events.map(({ type }) => type),
    ['a.two', 'b.one'],
  );
  assert.deepEqual((await controller.client.call('eventList', { query: { since: last } })).events, []);
  assert.deepEqual(await types({ since: '0', filter: 'detail.at > 0 && type.endsWith(".one")' }, 1), ['b.one 2']);
  const later = types({}, 1);
  await sleep(300);
  await write(store, [{ type: 'c', detail: { at: 3 } }]);
  assert.deepEqual(await later, ['c 3'], 'without `since` what happened before is not told');
  for (const [request, code] of [
    ['{"since": "x"}', 'INVALID_INPUT'],
    ['nonsense', 'INVALID_INPUT'],
    ['{"sinse": "1"}', 'INVALID_INPUT'],
    ['{"filter": "type =="}', 'FILTER_INVALID'],
    ['{"host": "nowhere"}', 'HOST_NOT_FOUND'],
  ] as const) {
    const socket = open(controller.address, controller.token, request);
    const [data] = (await once(socket, 'message')) as [Buffer];
    const close = await closing(socket);
    const { error } = JSON.parse(data.toString('utf8')) as { error: { code: string } };
    assert.deepEqual([error.code, close], [code, followClosed.refused]);
  }
  const { status } = await controller.client.raw(sockets.eventFollow.path);
  assert.equal(status, 400, 'no upgrade');
});

test('a filter that is too slow ends its follower, which can resume exactly', async () => {
  await using controller = await startTestController(temporaryDirectories());
  const { store } = controller.context;
  await write(store, [{ type: 'test.a', detail: { list: [], text: '' } }]);
  // The first page ends here: the slow event is in the next.
  const { last: before } = await readEvents(store.db, { since: '0', limit: 0 });
  const list = Array.from({ length: 200 }, (_, at) => `n${at}`);
  await write(store, [{ type: 'test.b' }, { type: 'test.slow', detail: { list, text: 'a'.repeat(100_000) } }, { type: 'test.c' }]);
  const joined = Array(60).fill('detail.text').join(' + ');
  const filter = `!has(detail.list) || detail.list.all(a, detail.list.all(b, !(${joined}).contains("z" + a + b)))`;
  const messages = await hear(controller, { since: before, types: 'test.', filter }, () => false);
  const [{ error, last }] = messages as [{ error: { code: string; reason: string }; last: string }];
  assert.deepEqual([messages.length, error.code, last], [1, 'FILTER_TOO_SLOW', before]);
  assert.match(error.reason, new RegExp(`resume after event ${before}$`));
  const rest = (await hear(controller, { since: last, types: 'test.' }, (all) => all.length === 3)) as Event[];
  assert.deepEqual(
    rest.map(({ type }) => type),
    ['test.b', 'test.slow', 'test.c'],
  );
});

test('whoever has one token cannot keep out those with another', { timeout: 60_000 }, async () => {
  const ending = new AbortController();
  const app = fastify();
  fileResources.defer(() => app.close());
  await app.register(websocket);
  addFollow(
    app,
    (_request, _deliver, signal) => once(signal, 'abort').then(() => Promise.reject(signal.reason)),
    createMetrics(),
    ending.signal,
  );
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const sockets: WebSocket[] = [];
  /** The code of what it is told before it is closed. */
  const refused = async (token: string) => {
    const socket = open(address, token, {});
    sockets.push(socket);
    const [data] = (await once(socket, 'message')) as [Buffer];
    return (JSON.parse(data.toString('utf8')) as { error: { code: string } }).error.code;
  };
  const enter = async (token: string) => {
    const socket = open(address, token, {});
    sockets.push(socket);
    await once(socket, 'open');
    return socket;
  };
  const [first] = await Promise.all(Array.from({ length: 100 }, () => enter('one')));
  assert.equal(await refused('one'), 'RATE_LIMITED');
  await enter('another');
  const closed = closing(first!);
  first!.close();
  await closed;
  await enter('one');
  assert.equal(await refused('one'), 'RATE_LIMITED');
  for (const token of ['b', 'c', 'd', 'e']) await Promise.all(Array.from({ length: token === 'e' ? 99 : 100 }, () => enter(token)));
  assert.equal(await refused('f'), 'UNAVAILABLE');
  for (const socket of sockets) socket.terminate();
});

test(
  'who is at a controller that ends is told to come again; memory for one that reads nothing is bounded',
  { timeout: 60_000 },
  async () => {
    await using controller = await startTestController(temporaryDirectories());
    const { store } = controller.context;
    const other = await controller.another();
    const ending = open(other.address, controller.token, { since: '0' });
    await once(ending, 'open');
    await sleep(100);
    const closed = closing(ending);
    await other.close();
    assert.equal(await closed, followClosed.ending);

    const big = 'x'.repeat(4000);
    for (let at = 0; at < 5; at += 1)
      await write(
        store,
        Array.from({ length: 200 }, () => ({ type: 'big', detail: { big } })),
      );
    const gone = new AbortController();
    const delivered: number[] = [];
    const never = new Promise<void>(() => undefined);
    // The first delivery tells where it begins, and has no events.
    const take = (events: readonly Event[]) => (delivered.push(events.length) === 1 ? Promise.resolve() : never);
    const reading = createFollow(store)({ since: '0' }, take, gone.signal);
    await sleep(500);
    assert.deepEqual(delivered, [0, 200], 'nothing more is read before a page is taken');
    void reading.catch(() => undefined);
    gone.abort();

    const slow = open(controller.address, controller.token, { since: '0', types: 'big' });
    await once(slow, 'open');
    slow.pause();
    await sleep(500);
    let count = 0;
    slow.on('message', () => {
      count += 1;
      if (count === 1000) slow.close();
    });
    slow.resume();
    await closing(slow);
    assert.equal(count, 1000, 'once it reads, it gets all');
  },
);
