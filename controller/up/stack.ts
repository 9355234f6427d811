/** Starting the stack: Postgres and NATS side by side, then a controller, then the agent of this host. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureApiToken } from '#controller/api-token.ts';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import { createClient } from '#shared/client.ts';
import type { Client } from '#shared/client.ts';
import type { Environment } from '#shared/config.ts';
import type { Host } from '#shared/resources.ts';
import { enrolHost, ensureHostId } from './enrol.ts';
import { findNatsServer } from './nats-find.ts';
import { startNatsServer } from './nats-server.ts';
import { startPart } from './part.ts';
import { agentEnvironment, baseEnvironment, controllerEnvironment } from './part-environment.ts';
import type { Parts } from './parts.ts';
import { postgresBinaries } from './postgres-binaries.ts';
import { startPostgres } from './postgres.ts';
import type { Say } from './progress.ts';
import { untilReady } from './ready.ts';
import type { UpSettings } from './settings.ts';
import { writeStack } from './stack-file.ts';
import { together } from './together.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** The first start of a controller makes the tables; an agent's first report holds every process of the host. */
const controllerReadyMs = 60_000;
const agentReadyMs = 60_000;

export type RunningStack = { client: Client; api: string; hostId: string };

/** Resolves when the controller is ready and this host is. What was started is in `parts`, also when this fails half-way. */
export async function startStack(
  settings: UpSettings,
  env: Environment,
  parts: Parts,
  say: Say,
  signal: AbortSignal,
): Promise<RunningStack> {
  const { files } = settings;
  const token = ensureApiToken(files.token);
  const hostId = ensureHostId(files.hostId);
  const base = baseEnvironment(env, settings);
  const [natsUrl] = await together(signal, [
    (signal) => nats(settings, base, parts, say, signal),
    (signal) => database(settings, parts, say, signal),
  ]);
  const api = await controller(settings, controllerEnvironment(base, settings, natsUrl), parts, signal);
  say(`controller: ready at ${api}`);
  const client = createClient(api, token);
  writeStack(files.stack, { api, tokenFile: files.token, hostId }, parts.all);
  await enrolHost(client, { id: hostId, name: settings.hostName }, files.agentCredentials, signal);
  const host = await agent(client, hostId, agentEnvironment(base, settings, natsUrl, hostId), settings, parts, signal);
  writeStack(files.stack, { api, tokenFile: files.token, hostId }, parts.all);
  say(`agent: ready as host ${settings.hostName}`);
  sayMissing(host, say);
  return { client, api, hostId };
}

async function database(settings: UpSettings, parts: Parts, say: Say, signal: AbortSignal): Promise<void> {
  const { dirs, files } = settings;
  let url = settings.databaseUrl;
  if (url !== undefined) say('using the Postgres of DATABASE_URL');
  if (url === undefined) {
    const cluster = { binaries: postgresBinaries(), dataDir: join(dirs.data, 'postgres'), passwordFile: files.postgresPassword };
    const server = await startPostgres(cluster, { runtime: dirs.runtime, log: files.logs }, say, parts.add, signal);
    parts.watch('postgres');
    say(`postgres: ready, its data in ${cluster.dataDir}`);
    url = server.url;
  }
  rmSync(files.databaseUrl, { force: true });
  writeFileSync(files.databaseUrl, `${url}\n`, { mode: 0o600, flag: 'wx' });
}

async function nats(settings: UpSettings, env: NodeJS.ProcessEnv, parts: Parts, say: Say, signal: AbortSignal): Promise<string> {
  const keys = ensureNatsKeys(settings.files.natsKeys);
  if (settings.natsUrl !== undefined) {
    say('using the nats-server of NATS_URL');
    return settings.natsUrl;
  }
  const binary = await findNatsServer(process.env, settings.dirs.cache, say, signal);
  signal.throwIfAborted();
  const server = await startNatsServer(binary, keys, { runtime: settings.dirs.runtime, log: settings.files.logs }, env, parts.add, signal);
  parts.watch('nats');
  say(`nats-server: ready at ${server.url} (${binary})`);
  return server.url;
}

/** Resolves with the API's address when it answers that its database and NATS are there. */
async function controller(settings: UpSettings, env: NodeJS.ProcessEnv, parts: Parts, signal: AbortSignal): Promise<string> {
  const { apiAddress, logs } = settings.files;
  rmSync(apiAddress, { force: true });
  const part = await startPart('controller', { file: process.execPath, args: [join(root, 'controller/main.ts')], env }, logs);
  parts.add(part);
  const api = await untilReady(part, controllerReadyMs, () => addressIn(apiAddress), signal);
  await untilReady(part, controllerReadyMs, () => isOk(`${api}/readyz`, signal), signal);
  parts.watch('controller');
  return api;
}

/** Resolves with the host when the controller has its first report: from then on it can take sandboxes. */
async function agent(
  client: Client,
  hostId: string,
  env: NodeJS.ProcessEnv,
  settings: UpSettings,
  parts: Parts,
  signal: AbortSignal,
): Promise<Host> {
  const startedAt = Date.now();
  const part = await startPart('agent', { file: join(root, 'agent/nsfleet-agent'), args: [], env }, settings.files.logs);
  parts.add(part);
  const host = await untilReady(
    part,
    agentReadyMs,
    async () => {
      const host = await client.call('hostShow', { params: { host: hostId }, signal });
      const reported = host.lastReportAt !== null && Date.parse(host.lastReportAt) >= startedAt - 1000;
      return host.status === 'ready' && reported ? host : null;
    },
    signal,
  );
  parts.watch('agent');
  return host;
}

/** An ordinary user has been told already, see namespaces-allowed.ts. */
function sayMissing({ name, facts }: Host, say: Say): void {
  if (facts === null || !facts.privileged || facts.missing.length === 0) return;
  say(`missing on this host: ${facts.missing.join('; ')} (npx nsfleet host show ${name})`);
}

function addressIn(file: string): string | null {
  try {
    const text = readFileSync(file, 'utf8').trim();
    if (text === '') return null;
    return text.includes('://') ? text : `http://${text}`;
  } catch {
    return null;
  }
}

async function isOk(url: string, signal: AbortSignal): Promise<true | null> {
  try {
    const response = await fetch(url, { signal });
    await response.body?.cancel();
    return response.ok ? true : null;
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}
