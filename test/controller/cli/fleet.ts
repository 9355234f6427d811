/**
 * A controller for the tests of the CLI: the product's own HTTP server and contract, in front of a fleet of one host whose "sandboxes"
 * are plain child processes. What the CLI sees on the wire is what it sees of a real one.
 */
import type { DoctorReport } from '#shared/doctor.ts';
import type { AddressInfo, Socket } from 'node:net';
import { before, beforeEach } from 'node:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tokenChecker } from '#controller/api-token.ts';
import { createServer } from '#controller/http/server.ts';
import type { Answers } from '#controller/http/routes.ts';
import { createMetrics } from '#controller/metrics.ts';
import { stackFile } from '#shared/config.ts';
import { NsfleetError } from '#shared/errors.ts';
import { createLog } from '#shared/log.ts';
import type { Event, FleetStatus, Host, Namespace } from '#shared/resources.ts';
import type { FollowRequest } from '#shared/sockets.ts';
import type { TestDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { bootId, hostFixture, namespaceFixture } from './fixtures.ts';
import { createLocalSandboxes } from './local-sandboxes.ts';
import type { LocalSandboxes } from './local-sandboxes.ts';
import { cli } from './run.ts';

const token = 'nsft_test-token-of-the-cli-tests';

export type Fleet = AsyncDisposable & {
  api: string;
  tokenFile: string;
  hosts: Host[];
  namespaces: Namespace[];
  events: Event[];
  status: FleetStatus;
  sandboxes: LocalSandboxes;
  /** Names and queries of the requests, in order. */
  asked: { name: string; query: unknown }[];
  /** What followers asked first, in order. */
  followed: FollowRequest[];
  /** Cuts every connection, as a controller that dies does. */
  cut: () => void;
  /** Hosts that do not answer a scan. */
  stale: string[];
  /** What a test answers itself, instead of what this fleet does. */
  answers: Partial<Answers>;
};

/** Listens on a free port of the loopback, and describes itself in stack.json of `dirs`. */
export async function startFleet(dirs: TestDirectories): Promise<Fleet> {
  const ending = new AbortController();
  const sandboxes = createLocalSandboxes();
  const tokenFile = join(dirs.config, 'api-token');
  mkdirSync(dirs.config, { recursive: true });
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  const fleet: Omit<Fleet, 'api' | 'cut' | typeof Symbol.asyncDispose> = {
    tokenFile,
    hosts: [hostFixture()],
    namespaces: [namespaceFixture()],
    events: [],
    status: statusFixture(),
    sandboxes,
    asked: [],
    followed: [],
    stale: [],
    answers: {},
  };
  const app = await createServer({
    answers: recorded(answersOf(fleet), fleet),
    streams: { exec: sandboxes.exec, join: sandboxes.join, logs: sandboxes.logs },
    follow: async (request, deliver, signal) => {
      const { since = '0' } = request;
      fleet.followed.push(request);
      const after = fleet.events.filter(isAfter(since));
      await deliver(after, after.at(-1)?.seq ?? since);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    },
    isToken: tokenChecker(token),
    readiness: async () => ({ problems: [] }),
    metrics: createMetrics(),
    log: createLog('test', 'silent'),
    ending: ending.signal,
  });
  // Node lets go of those that became WebSockets.
  const connections = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket.once('close', () => connections.delete(socket)));
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const api = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  writeStack(dirs, { version: 1, bootId, api, tokenFile, hostId: 'h1', processes: [] });
  return {
    ...fleet,
    api,
    cut: () => {
      for (const socket of connections) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      sandboxes.end();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

export function writeStack(dirs: TestDirectories, stack: unknown): void {
  const file = stackFile(dirs);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof stack === 'string' ? stack : JSON.stringify(stack));
}

function answersOf(fleet: Omit<Fleet, 'api' | 'cut' | typeof Symbol.asyncDispose>): Answers {
  const { sandboxes } = fleet;
  return {
    ...sandboxes.answers,
    status: async () => fleet.status,
    hostList: async () => ({ hosts: fleet.hosts, nextCursor: null }),
    hostShow: async ({ params }) => {
      const found = fleet.hosts.find((host) => host.id === params.host || host.name === params.host);
      return found ?? missing('HOST_NOT_FOUND', 'host', params.host);
    },
    processList: async ({ params }) => ({ host: { id: params.host, name: 'web-1', bootId }, processes: [], nextCursor: null }),
    namespaceCreate: async ({ body }) => ({
      hostId: 'h1',
      hostName: 'web-1',
      namespaces: body.types.map((type) => ({ type, key: 'id:9', inode: 9, path: `/run/netns/${body.name}`, namespaceId: null })),
    }),
    namespaceAttach: async ({ params }) => missing('NAMESPACE_NOT_FOUND', 'namespace', params.namespace),
    namespaceRemove: async ({ params }) => missing('NAMESPACE_NOT_FOUND', 'namespace', params.namespace),
    namespaceReap: async () => ({ outcomes: [] }),
    pidTranslate: async ({ params }) => ({ hostId: 'h1', hostName: 'web-1', pid: params.pid, start: '1', uid: 0, comm: 'sh', pids: [] }),
    mountFind: async () => ({ mounts: [], truncated: [], unread: 0, silent: fleet.stale }),
    hostEnroll: async () => missing('NOT_FOUND', 'route', 'hostEnroll'),
    // Two to a page, so that the CLI has to go on.
    namespaceList: async ({ query }) => {
      const from = Number(query.cursor ?? 0);
      const chosen = fleet.namespaces.filter((row) => query.type === undefined || row.type === query.type);
      const next = from + 2 < chosen.length ? String(from + 2) : null;
      return { namespaces: chosen.slice(from, from + 2), nextCursor: next, stale: query.live === 'true' ? fleet.stale : [] };
    },
    namespaceShow: async ({ params }) => {
      const found = fleet.namespaces.find((row) => [row.id, row.key, String(row.inode)].includes(params.namespace));
      if (found === undefined) return missing('NAMESPACE_NOT_FOUND', 'namespace', params.namespace);
      const unset = { tid: null, fd: null, path: null, mountNamespace: null, detail: null, since: null, namespace: null };
      const holder = { kind: 'process' as const, pid: 1, start: '10', uid: 0, comm: 'systemd', ...unset };
      return { ...found, holders: [holder], parentId: null, ownerId: '7' };
    },
    namespaceWhy: async () => missing('NOT_FOUND', 'route', 'namespaceWhy'),
    namespaceHistory: async () => missing('NOT_FOUND', 'route', 'namespaceHistory'),
    namespaceDiff: async () => missing('NOT_FOUND', 'route', 'namespaceDiff'),
    hostDiff: async () => missing('NOT_FOUND', 'route', 'hostDiff'),
    hostTimeline: async () => missing('NOT_FOUND', 'route', 'hostTimeline'),
    sandboxUpdate: async ({ params }) => missing('NOT_FOUND', 'sandbox', params.sandbox),
    sandboxPause: async ({ params }) => missing('NOT_FOUND', 'sandbox', params.sandbox),
    sandboxResume: async ({ params }) => missing('NOT_FOUND', 'sandbox', params.sandbox),
    sandboxCalls: async ({ params }) => missing('NOT_FOUND', 'sandbox', params.sandbox),
    sandboxStats: async ({ params }) => missing('NOT_FOUND', 'sandbox', params.sandbox),
    leakList: async () => missing('NOT_FOUND', 'route', 'leakList'),
    hostDoctor: async ({ params }) => ({ ...doctorFixture(), hostId: params.host, hostName: params.host }),
    eventList: async ({ query }) => ({
      events: fleet.events.filter(isAfter(query.since)),
      last: fleet.events.at(-1)?.seq ?? '0',
    }),
  };
}

function recorded(answers: Answers, { asked, answers: own }: Pick<Fleet, 'asked' | 'answers'>): Answers {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      (request: never) => {
        asked.push({ name, query: (request as { query: unknown }).query });
        return (own[name as keyof Answers] ?? answer)(request);
      },
    ]),
  ) as Answers;
}

function missing(code: 'NOT_FOUND' | 'HOST_NOT_FOUND' | 'NAMESPACE_NOT_FOUND', kind: string, target: string): never {
  throw new NsfleetError(code, { attempted: `find ${kind}`, target, reason: `there is no such ${kind}` });
}

function statusFixture(): FleetStatus {
  return {
    version: '0.1.0',
    controllerId: 'c1',
    ok: true,
    problems: [],
    database: { ok: true, version: '18.4', migration: '0000_start' },
    nats: { ok: true, server: 'nats://127.0.0.1:4222', version: '2.14.0' },
    hosts: { ready: 1, unknown: 0 },
    namespaces: { mnt: 1, cgroup: 1, uts: 1, ipc: 1, user: 1, pid: 1, net: 1, time: 1 },
    sandboxes: { running: 2, removed: 7 },
  };
}

export type FileFleet = {
  /** There while tests run, and for each as if new. */
  fleet: Fleet;
  run: (...argv: string[]) => ReturnType<typeof cli>;
  /** Queries of the requests of that name. */
  asked: (name: string) => Record<string, unknown>[];
};

/** A fleet for all tests of a file, and the CLI in front of it. */
export function fileFleet(dirs: TestDirectories): FileFleet {
  const fleet = {} as Fleet;
  before(async () => void Object.assign(fleet, fileResources.use(await startFleet(dirs))));
  beforeEach(() => {
    for (const list of [fleet.asked, fleet.events, fleet.followed]) list.length = 0;
    for (const name of Object.keys(fleet.answers)) delete fleet.answers[name as keyof Answers];
  });
  return {
    fleet,
    run: (...argv) => cli(dirs.env, ...argv),
    asked: (name) => fleet.asked.filter((request) => request.name === name).map(({ query }) => query as Record<string, unknown>),
  };
}

/** A number or a moment. */
function isAfter(since: string): (event: Event) => boolean {
  return /^[0-9]+$/.test(since) ? ({ seq }) => BigInt(seq) > BigInt(since) : ({ at }) => at >= since;
}

function doctorFixture(): DoctorReport {
  return {
    features: {
      namespaces: { net: false },
      cgroupControllers: [],
      overlay: true,
      idmappedMounts: true,
      seccomp: true,
      landlockAbi: 7,
      btf: true,
      taskIterator: true,
      tracefs: true,
    },
    findings: [
      { id: 'overlay', state: 'ok', detail: 'overlayfs works', remedy: null },
      {
        id: 'namespace.net',
        state: 'missing',
        detail: 'none can be made:\u001b[31m ENOSPC',
        remedy: 'sysctl -w user.max_net_namespaces=65536',
      },
    ],
  };
}
