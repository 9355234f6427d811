/** A controller from its settings to its open port, in order; each step can fail with a code, and what was opened before is closed. */
import { randomUUID } from 'node:crypto';
import { rmSync, renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { ensureApiToken, tokenChecker } from './api-token.ts';
import { createAsker } from './asker.ts';
import type { ControllerConfig } from './config.ts';
import type { Context } from './context.ts';
import { createFollow } from './event-feed.ts';
import { ensureNatsKeys } from './credentials/keys.ts';
import { controllerCredentials } from './credentials/users.ts';
import { checkReadiness } from './health.ts';
import { createHearing } from './hearing.ts';
import { startHousekeeping } from './housekeeping.ts';
import { createAnswers } from './http/answers.ts';
import { createServer } from './http/server.ts';
import { startIntake } from './intake.ts';
import { startLeakWatch } from './leaks/watch.ts';
import { openLink, withoutUserinfo } from './link.ts';
import { startLoop } from './loop.ts';
import { createMetrics } from './metrics.ts';
import { createStreamOpener } from './sandbox/streams.ts';
import { createSender } from './sender.ts';
import { openStore } from './store/client.ts';
import { migrate } from './store/migrate.ts';
import { countFleet, ping } from './store/status.ts';

export type RunningController = {
  /** `http://127.0.0.1:4180` */
  address: string;
  context: Context;
  /** Answers what waits with UNAVAILABLE, finishes what runs, closes everything. */
  close(): Promise<void>;
};

/** CONFIG_INVALID, DATABASE_*, NATS_*, PORT_IN_USE. */
export async function startController(config: ControllerConfig, log: Log): Promise<RunningController> {
  await using opened = new AsyncDisposableStack();
  const controllerId = randomUUID();
  const keys = ensureNatsKeys(config.natsKeys);
  const isToken = tokenChecker(ensureApiToken(config.tokenFile));
  const store = opened.use(await openStore({ url: config.databaseUrl, log }));
  const { applied } = await migrate(store);
  if (applied.length > 0) log.info({ applied }, 'migrated the database');
  const housekeeping = await startHousekeeping(store, config.retentionDays, log);
  opened.defer(() => housekeeping.close());
  const link = await openLink({
    url: config.natsUrl,
    credentials: await controllerCredentials(keys),
    name: 'nsfleet controller',
    allowOldNats: config.allowOldNats,
    log,
  });
  opened.defer(() => link.close());
  const metrics = createMetrics(async (gauges) => {
    gauges.hosts.reset();
    gauges.sandboxes.reset();
    // Without a database the other metrics are still worth their reply: they say why.
    const counts = await countFleet(store.db).catch(() => ({ hosts: {}, sandboxes: {} }));
    for (const [status, count] of Object.entries(counts.hosts)) gauges.hosts.set({ status }, count);
    for (const [state, count] of Object.entries(counts.sandboxes)) gauges.sandboxes.set({ state }, count);
  });
  const asker = createAsker(link, controllerId, log);
  const sender = createSender(link, controllerId, metrics);
  const leaks = startLeakWatch(store, config.leakSettings, log);
  opened.defer(() => leaks.close());
  const natsUrl = withoutUserinfo(config.natsUrl);
  const context: Context = { controllerId, store, link, asker, sender, keys, natsUrl, metrics, leaks, log };
  const intake = startIntake(link, createHearing(context), metrics, log);
  opened.defer(() => intake.close());
  const loop = startLoop(context);
  opened.defer(() => loop.close());
  const ending = new AbortController();
  const app = await createServer({
    answers: createAnswers(context),
    streams: createStreamOpener(context),
    follow: createFollow(store),
    isToken,
    readiness: () => checkReadiness(() => ping(store), link),
    metrics,
    log,
    ending: ending.signal,
  });
  opened.defer(() => app.close());
  opened.defer(() => ending.abort(new NsfleetError('UNAVAILABLE', { attempted: 'wait', target: '', reason: 'this controller is ending' })));
  // The subscriptions are in force before anybody can ask for something that needs them.
  await link.flush();
  const address = await listen(app, config.listen);
  if (config.addressFile !== null) {
    const path = config.addressFile;
    writeWhole(path, `${address}\n`);
    opened.defer(() => rmSync(path, { force: true }));
  }
  log.info({ address, controllerId, database: store.address, nats: link.state().server }, 'controller is ready');
  const running = opened.move();
  return { address, context, close: () => running.disposeAsync() };
}

async function listen(app: Awaited<ReturnType<typeof createServer>>, { host, port }: ControllerConfig['listen']): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw new NsfleetError(inUse ? 'PORT_IN_USE' : 'CONFIG_INVALID', {
      attempted: 'listen on',
      target: `${host}:${port}`,
      reason: inUse ? 'another program listens there' : errorText(error),
      ...(inUse ? { remedy: 'choose a free port with NSFLEET_API_LISTEN, or port 0 to let the system choose' } : {}),
      cause: error,
    });
  }
  return addressOf(app.server.address() as AddressInfo);
}

/** Whoever listens on all addresses is reached on loopback too. */
function addressOf({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (address === '::') return `http://[::1]:${port}`;
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`;
}

/** A reader sees the whole line or no file. */
function writeWhole(path: string, text: string): void {
  try {
    writeFileSync(`${path}.tmp`, text, { mode: 0o644 });
    renameSync(`${path}.tmp`, path);
  } catch (error) {
    throw new NsfleetError('CONFIG_INVALID', {
      attempted: 'write the API address to',
      target: path,
      reason: errorText(error),
      cause: error,
    });
  }
}
