/** The whole product as `npm start` runs it, with directories of its own: HTTP in, Postgres with fsync, NATS, agent, shim. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '#shared/async.ts';
import { createClient } from '#shared/client.ts';
import { directories, stackFile } from '#shared/config.ts';
import type { Host } from '#shared/resources.ts';
import { Stack } from '#shared/stack.ts';
import { pathStages, stagesBetween, sumsOf } from './path-stages.ts';
import type { PathStage } from './path-stages.ts';
import type { Row } from './statistics.ts';

export type WholePath = AsyncDisposable & {
  /**
   * From the request to the reply that says `running`, and until the API tells of the end; then the sandbox is removed. `heardMs`: until the
   * controller has heard the shim's "running", before it commits that; the answer's way back to the client is in it all the same.
   */
  create(command: readonly string[]): Promise<{ heardMs: number | undefined; runningMs: number; endedMs: number }>;
  /** Resolves when so many shims wait ready on its host. */
  filled(count: number): Promise<void>;
  /** Where the time until `running` went, of all creates since the last call. */
  stages(): Row[];
  pidOf(part: string): number;
  host(): Promise<Host>;
  /** A full scan now. */
  scan(): Promise<void>;
  /** Where its Postgres is to be reached. */
  database: { host: string; port: number; password: string };
};

const startMs = 120_000;

export async function startWholePath(workDir: string): Promise<WholePath> {
  // As `npm start` has it: without, each part keeps 25 MiB of the compiler that takes the types away.
  const compiled = { NODE_COMPILE_CACHE: join(directories(process.env).cache, 'compile') };
  const env = { ...compiled, ...process.env, ...ownDirectories(workDir) };
  const up = spawn(process.execPath, [fileURLToPath(new URL('../../controller/up/main.ts', import.meta.url))], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const gone = once(up, 'exit');
  const alive = () => up.exitCode === null;
  const stack = await poll('stack', alive, () => readStack(stackFile(directories(env))));
  const client = createClient(stack.api, readFileSync(stack.tokenFile, 'utf8').trim());
  await poll('host', alive, async () => ((await client.call('hostList')).hosts.some((host) => host.status === 'ready') ? true : null));
  const look = async () => sumsOf(await (await client.raw('/metrics')).text());
  let taken: Record<PathStage, number>[] = [];
  const host = () => client.call('hostShow', { params: { host: stack.hostId } });
  return {
    database: databaseOf(directories(env)),
    host,
    pidOf: (part) => readStack(stackFile(directories(env)))?.processes.find((process) => process.part === part)?.pid ?? missing(part),
    async scan() {
      await client.call('namespaceList', { query: { live: 'true' } });
    },
    async create(command) {
      const before = await look();
      const began = performance.now();
      const sandbox = await client.call('sandboxCreate', { query: { wait: 'running' }, body: { spec: { command: [...command] } } });
      const runningMs = performance.now() - began;
      const params = { sandbox: sandbox.id };
      await client.call('sandboxShow', { params, query: { wait: 'stopped' } });
      const endedMs = performance.now() - began;
      const stages = stagesBetween(before, await look(), runningMs);
      if (stages !== null) taken.push(stages);
      await client.call('sandboxRemove', { params, query: { wait: 'removed' } });
      return { heardMs: stages === null ? undefined : runningMs - stages['commit 2: running'], runningMs, endedMs };
    },
    async filled(count) {
      const agent = readStack(stackFile(directories(env)))?.processes.find(({ part }) => part === 'agent')?.pid ?? missing('agent');
      await poll('ready shims', alive, () => (readyBelow(agent) >= count ? true : null));
    },
    stages() {
      const rows = pathStages.map((name) => ({ name, samples: taken.map((stages) => stages[name]) }));
      taken = [];
      return rows;
    },
    async [Symbol.asyncDispose]() {
      up.kill('SIGTERM');
      await gone;
    },
  };
}

/** The cache is the user's: there lies the nats-server. */
function ownDirectories(workDir: string): Record<string, string> {
  const names = { XDG_CONFIG_HOME: 'c', XDG_DATA_HOME: 'd', XDG_STATE_HOME: 's', XDG_RUNTIME_DIR: 'r' };
  return Object.fromEntries(
    Object.entries(names).map(([variable, name]) => {
      const path = join(workDir, name);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return [variable, path];
    }),
  );
}

/** Lines 4 and 5 of postmaster.pid: port and directory of the socket. */
function databaseOf({ config, data }: { config: string; data: string }): WholePath['database'] {
  const [port = '', socket = ''] = readFileSync(join(data, 'postgres', 'postmaster.pid'), 'utf8')
    .split('\n')
    .slice(3);
  const password = readFileSync(join(config, 'postgres-password'), 'utf8').trim();
  return { host: socket === '' ? '127.0.0.1' : socket, port: Number(port), password };
}

function readyBelow(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
  return children.filter((child) => existsSync(`/proc/${child}`) && readFileSync(`/proc/${child}/comm`, 'latin1') === 'nsfleet-ready\n')
    .length;
}

function missing(part: string): never {
  throw new Error(`the stack has no ${part}`);
}

function readStack(path: string): Stack | null {
  return existsSync(path) ? Stack.parse(JSON.parse(readFileSync(path, 'utf8'))) : null;
}

async function poll<T>(what: string, alive: () => boolean, probe: () => Promise<T | null> | T | null): Promise<T> {
  const end = performance.now() + startMs;
  while (performance.now() < end && alive()) {
    const found = await probe();
    if (found !== null) return found;
    await sleep(50);
  }
  throw new Error(alive() ? `no ${what} within ${startMs} ms` : 'npm start ended');
}
