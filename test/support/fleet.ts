/**
 * A real fleet for one test file: a fresh database, a nats-server in JWT mode, a controller and agents as processes of their own, each
 * agent enrolled by its own command. What a test kills it can start again; disposing of it removes every sandbox first.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '#shared/async.ts';
import { createClient } from '#shared/client.ts';
import type { Client } from '#shared/client.ts';
import { isEnded } from '#shared/sandbox.ts';
import { temporaryDirectories } from './dirs.ts';
import { testIdPool, testIdRange } from './id-pool.ts';
import { startTestNats } from './nats.ts';
import { freshDatabase } from './postgres.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const readyMs = 20_000;
const endMs = 10_000;

/** One long-running process of the fleet. Its log is `<root>/<name>.log`. */
export type FleetProcess = {
  readonly name: string;
  readonly pid: number;
  /** Sends the signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again (after `end`), with more environment for this time. */
  start(env?: Record<string, string>): Promise<void>;
  /** Resolves with the signal or code when it ends by itself. */
  ended(): Promise<number | NodeJS.Signals>;
};

export type Fleet = AsyncDisposable & {
  readonly root: string;
  readonly api: string;
  readonly tokenFile: string;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly client: Client;
  readonly controller: FleetProcess;
  readonly agents: readonly FleetProcess[];
  readonly hostIds: readonly string[];
  /** Runs the CLI against this fleet. */
  cli(
    args: readonly string[],
    options?: { input?: string; env?: Record<string, string> },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** A controller that is ready answers, and every host is too. */
  ready(): Promise<void>;
};

/** Call it in `before`, after `leakCheck()`. `agentEnv` is for every agent. */
export async function startFleet(options: { hosts?: number; agentEnv?: Record<string, string> } = {}): Promise<Fleet> {
  const { root, env: xdg } = temporaryDirectories();
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await freshDatabase());
  const nats = opened.use(await startTestNats(root));
  const tokenFile = join(root, 'token');
  const token = `nsf_${randomBytes(32).toString('base64url')}`;
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const addressFile = join(root, 'api-address');
  const base: Record<string, string> = { ...processEnv(), ...xdg, NATS_URL: nats.url, NSFLEET_LOG_LEVEL: 'info' };
  const controllerEnv = {
    ...base,
    DATABASE_URL: database.url,
    NSFLEET_NATS_KEYS: nats.keysDir,
    NSFLEET_API_LISTEN: '127.0.0.1:0',
    NSFLEET_API_ADDRESS_FILE: addressFile,
    NSFLEET_API_TOKEN_FILE: tokenFile,
  };
  let api = '';
  let client = createClient('http://127.0.0.1:1', token);
  const controller = fleetProcess('controller', root, 'controller/main.ts', controllerEnv, async () => {
    api = await until('the controller’s address', () => readText(addressFile).trim() || null);
    client = createClient(api, token);
    await until('the controller to be ready', async () => ((await client.raw('/readyz')).ok ? true : null));
  });
  const beforeStart = controller.start;
  controller.start = async (env) => {
    rmSync(addressFile, { force: true });
    await beforeStart(env);
  };
  const agents: FleetProcess[] = [];
  const hostIds: string[] = [];
  const cli: Fleet['cli'] = (args, given) =>
    runNode('controller/cli/main.ts', ['--api', api, '--token-file', tokenFile, ...args], { ...base, ...given?.env }, given?.input);
  const ready = () =>
    until('all hosts to be ready', async () => {
      const { hosts } = await client.call('hostList');
      return hosts.length === hostIds.length && hosts.every((host) => host.status === 'ready' && host.lastReportAt !== null) ? true : null;
    }).then(() => undefined);

  try {
    await controller.start();
    for (let index = 0; index < (options.hosts ?? 1); index += 1) {
      const name = `host-${index}`;
      const home = join(root, name);
      mkdirSync(home, { mode: 0o700 });
      const share = Math.floor(testIdPool.count / (options.hosts ?? 1));
      const pool = `${testIdRange(index * share).start}:${share}`;
      const env = {
        ...base,
        NSFLEET_ID_POOL: pool,
        ...options.agentEnv,
        XDG_CONFIG_HOME: join(home, 'c'),
        XDG_STATE_HOME: join(home, 's'),
      };
      const enrolled = await runNode(
        'agent/main.ts',
        ['enroll', '--api', api, '--token-file', tokenFile, '--id', `${name}-id`, '--name', name],
        env,
      );
      assert.equal(enrolled.code, 0, enrolled.stderr);
      const agent = fleetProcess(name, root, 'agent/main.ts', env, () => Promise.resolve());
      agents.push(agent);
      hostIds.push(`${name}-id`);
      await agent.start();
    }
    await ready();
  } catch (error) {
    console.error(
      ['controller', ...hostIds.map((id) => id.slice(0, -3))]
        .map((name) => `--- ${name}.log\n${readText(join(root, `${name}.log`)).slice(-4000)}`)
        .join('\n'),
    );
    for (const part of [...agents, controller]) await part.end('SIGKILL');
    throw error;
  }

  const servers = opened.move();
  return {
    root,
    tokenFile,
    databaseUrl: database.url,
    natsUrl: nats.url,
    controller,
    agents,
    hostIds,
    cli,
    ready,
    get api() {
      return api;
    },
    get client() {
      return client;
    },
    async [Symbol.asyncDispose]() {
      await using _ = servers;
      try {
        await removeSandboxes(client);
      } finally {
        for (const part of [...agents, controller]) await part.end('SIGTERM');
      }
    },
  };
}

/** Polls until `probe` yields something other than null; what it throws counts as not yet. */
export async function until<T>(what: string, probe: () => Promise<T | null> | T | null, ms = readyMs): Promise<T> {
  const end = performance.now() + ms;
  let last: unknown = null;
  while (performance.now() < end) {
    try {
      const found = await probe();
      if (found !== null) return found;
    } catch (error) {
      last = error;
    }
    await sleep(25);
  }
  throw new Error(`waited ${ms} ms for ${what}`, { cause: last });
}

async function removeSandboxes(client: Client): Promise<void> {
  const { sandboxes } = await client.call('sandboxList', { query: { all: 'true', limit: 10_000 } });
  const left = sandboxes.filter((sandbox) => sandbox.state !== 'removed');
  await Promise.all(
    left.map((sandbox) =>
      client.call('sandboxRemove', {
        params: { sandbox: sandbox.id },
        query: { force: isEnded(sandbox.state) ? 'false' : 'true', wait: 'removed', waitMs: 20_000 },
      }),
    ),
  );
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function fleetProcess(
  name: string,
  root: string,
  file: string,
  env: Record<string, string>,
  isReady: () => Promise<void>,
): Mutable<FleetProcess> {
  let child: ChildProcess | null = null;
  let exit: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  return {
    name,
    get pid() {
      assert.ok(child?.pid !== undefined, `${name} does not run`);
      return child.pid;
    },
    ended: () => exit,
    async start(more = {}) {
      const log = openSync(join(root, `${name}.log`), 'a', 0o600);
      const started = spawn(process.execPath, [join(checkout, file)], {
        env: { ...env, ...more },
        stdio: ['ignore', log, log],
        detached: true,
      });
      closeSync(log);
      child = started;
      exit = new Promise((resolve) => started.once('exit', (code, signal) => resolve(signal ?? code ?? -1)));
      await Promise.race([
        isReady(),
        exit.then((how) => Promise.reject(new Error(`${name} ended with ${how}: ${readText(join(root, `${name}.log`)).slice(-2000)}`))),
      ]);
    },
    async end(signal = 'SIGTERM') {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      const gone = new AbortController();
      const late = sleep(endMs, gone.signal).then(
        () => null,
        () => null,
      );
      const how = await Promise.race([exit, late]);
      gone.abort();
      if (how !== null) return;
      child.kill('SIGKILL');
      await exit;
      throw new Error(`${name} did not end within ${endMs} ms after ${signal}`);
    },
  };
}

async function runNode(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  input = '',
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(checkout, file), ...args], { env, stdio: 'pipe' });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  assert.equal(signal, null, `${file} was ended by ${signal}`);
  return { code: code ?? -1, ...output };
}

function processEnv(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
