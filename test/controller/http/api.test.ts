/** The HTTP door: who gets in, what is refused and how, and that the description fits what is served. */
import assert from 'node:assert/strict';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { before, test } from 'node:test';
import { WebSocket } from 'ws';
import { ErrorBody, api, requestMaxBytes, routePath } from '#shared/api.ts';
import { sockets } from '#shared/sockets.ts';
import { errorCatalogue } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestController } from '../running.ts';
import type { TestController } from '../running.ts';

leakCheck();
const dirs = temporaryDirectories();
let controller: TestController;

before(async () => {
  controller = fileResources.use(await startTestController(dirs));
});
type Call = { method?: string; token?: string | null; body?: string; headers?: Record<string, string> };

async function call(path: string, { method = 'GET', token = controller.token, body, headers = {} }: Call = {}) {
  const response = await fetch(new URL(path, controller.address), {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  return { response, text: await response.text() };
}

/** The reply is an error of the catalogue, with the catalogue's status, and nothing else. */
async function refused(path: string, code: ErrorCode, how: Call = {}): Promise<string> {
  const { response, text } = await call(path, how);
  const { error } = ErrorBody.parse(JSON.parse(text));
  assert.equal(error.code, code, text);
  assert.equal(response.status, errorCatalogue[code].http);
  assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  return error.reason;
}

const params = { host: 'h1', sandbox: 'nothing', namespace: '1' };
const routes: [method: string, path: string][] = [
  ...Object.values(api).map(({ method, path }): [string, string] => [method, routePath(path, params)]),
  ...Object.values(sockets).map(({ path }): [string, string] => ['GET', routePath(path, params)]),
  ['GET', '/metrics'],
  ['GET', '/openapi.json'],
  ['GET', '/no/such/route'],
  ['POST', '/healthz'],
];

for (const [method, path] of routes) {
  test(`${method} ${path} needs the token`, async () => {
    await refused(path, 'TOKEN_MISSING', { method, token: null });
    await refused(path, 'TOKEN_MISSING', { method, token: null, headers: { authorization: `Basic ${controller.token}` } });
    for (const token of ['wrong', `${controller.token}x`, controller.token.slice(0, -1), controller.token.toUpperCase()]) {
      await refused(path, 'TOKEN_WRONG', { method, token });
    }
    await refused(`${path}?token=${controller.token}`, 'TOKEN_MISSING', { method, token: null });
  });
}

test('/healthz and /readyz need none', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const { response, text } = await call(path, { token: null });
    assert.deepEqual([response.status, text], [200, '{"ok":true}']);
  }
});

const create = (body: unknown): Call => ({ method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const wrongBodies: [what: string, body: unknown, reason: RegExp][] = [
  ['no command', { spec: {} }, /^spec\.command: /],
  ['an empty command', { spec: { command: [] } }, /spec\.command: /],
  ['NUL in the command', { spec: { command: ['a\0b'] } }, /spec\.command\.0: text without NUL/],
  ['a relative cwd', { spec: { command: ['true'], cwd: 'tmp' } }, /spec\.cwd: an absolute path/],
  ['a name with capitals', { name: 'Web', spec: { command: ['true'] } }, /name: lower-case/],
  ['an unknown field', { spec: { command: ['true'], privileged: true } }, /privileged/],
  ['two mistakes', { name: '-', spec: { command: ['true'], user: { uid: -1, gid: 0 } } }, /name: .*; spec\.user\.uid: /],
  ['an environment name with =', { spec: { command: ['true'], env: { 'A=B': 'c' } } }, /spec\.env/],
  ['a list', [], /body: /],
  ['no JSON', '{"spec":', /JSON/],
  ['__proto__', '{"spec":{"command":["true"]},"__proto__":{"admin":true}}', /./],
];
for (const [what, body, reason] of wrongBodies) {
  test(`a request with ${what} is refused with its field, and nothing is made`, async () => {
    assert.match(await refused('/v1/sandboxes', 'INVALID_INPUT', create(body)), reason);
    const { sandboxes } = await controller.client.call('sandboxList', { query: { all: 'true' } });
    assert.deepEqual(sandboxes, []);
  });
}

test('other wrong requests', async () => {
  const spec = { spec: { command: ['true'] } };
  await refused('/v1/sandboxes', 'INVALID_INPUT', { method: 'POST' });
  await refused('/v1/sandboxes', 'INVALID_INPUT', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } });
  await refused('/v1/sandboxes', 'INVALID_INPUT', { ...create(spec), headers: { 'idempotency-key': 'has a space' } });
  await refused('/v1/sandboxes', 'INVALID_INPUT', { ...create(spec), headers: { 'idempotency-key': 'x'.repeat(256) } });
  await refused('/v1/sandboxes?waitMs=-1', 'INVALID_INPUT', create(spec));
  assert.match(await refused('/v1/hosts?limit=0', 'INVALID_INPUT'), /query limit/);
  await refused('/v1/hosts?limit=many', 'INVALID_INPUT');
  await refused(`/v1/hosts/${'x'.repeat(256)}`, 'INVALID_INPUT');
  await refused('/v1/events?since=-1', 'INVALID_INPUT');
  await refused('/v1/namespaces?type=cpu', 'INVALID_INPUT');
  const large = { spec: { command: ['true', 'x'.repeat(requestMaxBytes)] } };
  assert.match(await refused('/v1/sandboxes', 'MESSAGE_TOO_LARGE', create(large)), new RegExp(`larger than ${requestMaxBytes} bytes`));
});

test('what is not there', async () => {
  await refused('/v1/hosts/nowhere', 'HOST_NOT_FOUND');
  await refused('/v1/hosts/%2e%2e%2fetc', 'HOST_NOT_FOUND');
  await refused('/v1/sandboxes/nothing', 'SANDBOX_NOT_FOUND');
  await refused('/v1/sandboxes/nothing', 'SANDBOX_NOT_FOUND', { method: 'DELETE' });
  await refused('/v1/sandboxes/nothing/stop', 'SANDBOX_NOT_FOUND', { method: 'POST', body: '{}' });
  await refused('/v1/namespaces/4711', 'NAMESPACE_NOT_FOUND');
  await refused('/no/such/route', 'NOT_FOUND');
  await refused('/v1/hosts', 'NOT_FOUND', { method: 'DELETE' });
  await refused('/v1/sandboxes', 'NOT_PLACED', create({ spec: { command: ['true'] } }));
});

test('a public key that is none, and one host’s id with another’s key', async () => {
  const enroll = (id: string, publicKey: string): Call => ({ method: 'POST', body: JSON.stringify({ id, name: id, publicKey }) });
  await refused('/v1/hosts', 'INVALID_INPUT', enroll('a.b', `U${'A'.repeat(55)}`));
  await refused('/v1/hosts', 'INVALID_INPUT', enroll('a', 'SUAAAA'));
  assert.match(await refused('/v1/hosts', 'INVALID_INPUT', enroll('a', `U${'A'.repeat(55)}`)), /nkey/);
  assert.equal((await controller.client.call('hostList')).hosts.length, 0);
});

test('replies carry the usual security headers, and a server’s name is not told', async () => {
  const { response } = await call('/v1/status');
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(response.headers.get('x-powered-by'), null);
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
});

test('a broken HTTP request gets an answer and ends its connection', async () => {
  const { hostname, port } = new URL(controller.address);
  const socket = connectSocket(Number(port), hostname);
  socket.setEncoding('utf8').end('GET / HTTP/1.1\r\nbad header\r\n\r\n');
  let text = '';
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'close');
  assert.match(text, /^HTTP\/1\.1 400/);
});

test('OpenAPI 3.1 describes every route, its errors, and that it needs the token', async () => {
  const { text } = await call('/openapi.json');
  const document = JSON.parse(text) as {
    openapi: string;
    paths: Record<
      string,
      Record<string, { security?: unknown; summary?: string; responses: Record<string, unknown>; parameters?: unknown[] }>
    >;
    components: { securitySchemes: unknown };
  };
  assert.match(document.openapi, /^3\.1\./);
  assert.deepEqual(document.components.securitySchemes, { bearer: { type: 'http', scheme: 'bearer' } });
  const expected = [
    ...Object.values(api).map(({ method, path }) => [method, path] as const),
    ...Object.values(sockets).map(({ path }) => ['GET', path] as const),
  ];
  for (const [method, path] of expected) {
    const operation = document.paths[path.replaceAll(/:([a-z]+)/g, '{$1}')]?.[method.toLowerCase()];
    assert.ok(operation?.summary, `${method} ${path} is not described`);
    assert.deepEqual(operation.security, [{ bearer: [] }], path);
    assert.ok(operation.responses, path);
    assert.equal(
      path.includes(':'),
      (operation.parameters ?? []).some((parameter) => (parameter as { in: string }).in === 'path'),
      path,
    );
  }
  // Every reference leads somewhere.
  for (const [, reference] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(text.includes(`"${reference}":`), `nothing at ${reference}`);
  }
});

test('a WebSocket without the token, or from another site, is not opened', async () => {
  const url = new URL('/v1/sandboxes/x/exec', controller.address.replace('http', 'ws'));
  const open = async (headers: Record<string, string>): Promise<number> => {
    const socket = new WebSocket(url, { headers });
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number; resume: () => void }];
    response.resume();
    return response.statusCode;
  };
  const authorization = `Bearer ${controller.token}`;
  assert.equal(await open({}), 401);
  assert.equal(await open({ authorization: 'Bearer wrong' }), 401);
  assert.equal(await open({ authorization, origin: 'https://evil.example' }), 401);
  assert.equal(await open({ authorization, origin: 'null' }), 401);
});

test('/metrics counts requests by route', async () => {
  const { text } = await call('/metrics');
  assert.match(text, /nsfleet_http_request_duration_seconds_count\{method="GET",route="\/v1\/hosts\/:host",status="404"\} \d/);
  assert.doesNotMatch(text, /nowhere/);
});
