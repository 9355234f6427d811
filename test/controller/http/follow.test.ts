import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { openStore, transact } from '#controller/store/client.ts';
import { appendEvents, readEvents } from '#controller/store/events.ts';
import type { Store } from '#controller/store/client.ts';
import { createFollow } from '#controller/event-feed.ts';
import { followClosed, sockets } from '#shared/sockets.ts';
import type { FollowRequest } from '#shared/sockets.ts';
import type { Event } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
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
    const reading = createFollow(store)({ since: '0' }, (events) => (delivered.push(events.length), never), gone.signal);
    await sleep(500);
    assert.deepEqual(delivered, [200], 'nothing more is read before a page is taken');
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
