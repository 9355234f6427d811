/** The client's transport: kept connections, and what becomes of a call where a server has just closed one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createClient } from '#shared/client.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

async function serving<T>(answer: RequestListener, work: (address: string) => Promise<T>): Promise<T> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const body = { spec: { command: ['true'] } };

test('a kept connection that the server resets: the call goes again, with the same key', async () => {
  const keys: (string | undefined)[] = [];
  let ports: (number | undefined)[] = [];
  await serving(
    (request, response) => {
      keys.push(request.headers['idempotency-key'] as string | undefined);
      const seen = ports.includes(request.socket.remotePort);
      ports.push(request.socket.remotePort);
      if (seen) request.socket.resetAndDestroy();
      else response.end('{"events":[],"last":"0"}');
    },
    async (address) => {
      const client = createClient(address, 'token');
      await client.call('eventList');
      assert.deepEqual(await client.call('eventList'), { events: [], last: '0' });
      ports = ports.slice(-1);
      await assert.rejects(client.call('sandboxCreate', { body }), { code: 'MESSAGE_MALFORMED' });
      assert.equal(ports.length, 3);
      assert.equal(keys.at(-1), keys.at(-2));
      assert.match(keys.at(-1) ?? '', /^[0-9a-f-]{36}$/);
    },
  );
});

test('a new connection that is reset: NOT_RUNNING at once', async () => {
  let asked = 0;
  await serving(
    (request) => {
      asked += 1;
      request.socket.resetAndDestroy();
    },
    async (address) => {
      await assert.rejects(createClient(address, 'token').call('sandboxCreate', { body }), { code: 'NOT_RUNNING' });
    },
  );
  assert.equal(asked, 1);
});

test('an abort ends a call with its reason; an answer that is cut off is no answer', async () => {
  await serving(
    (request, response) => {
      if (request.url === '/v1/status') response.write('{"half');
      if (request.url === '/v1/status') setTimeout(() => request.socket.resetAndDestroy(), 20);
    },
    async (address) => {
      const client = createClient(address, 'token');
      await assert.rejects(client.call('hostList', { signal: AbortSignal.abort(new RangeError('away')) }), RangeError);
      const signal = AbortSignal.timeout(20);
      await assert.rejects(client.call('hostList', { signal }), { name: 'TimeoutError' });
      await assert.rejects(client.call('status'), { code: 'NOT_RUNNING' });
    },
  );
});
