/** A real controller in this process, with a real Postgres and a real NATS, for the tests of one file. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControllerConfig } from '#controller/config.ts';
import { defaultLeakSettings } from '#controller/leaks/settings.ts';
import { startController } from '#controller/start.ts';
import type { RunningController } from '#controller/start.ts';
import { createClient } from '#shared/client.ts';
import type { Client } from '#shared/client.ts';
import { createLog } from '#shared/log.ts';
import type { TestDirectories } from '#test/support/dirs.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';
import { freshDatabase } from '#test/support/postgres.ts';
import type { FreshDatabase } from '#test/support/postgres.ts';

export type TestController = RunningController & {
  client: Client;
  token: string;
  config: ControllerConfig;
  nats: TestNats;
  database: FreshDatabase;
  /** A second controller of the same fleet. */
  another(): Promise<RunningController & { client: Client }>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Silent unless NSFLEET_TEST_LOG names a level. */
export const testLog = () => createLog('controller', process.env['NSFLEET_TEST_LOG'] ?? 'silent');

export async function startTestController(dirs: TestDirectories, change: Partial<ControllerConfig> = {}): Promise<TestController> {
  await using opened = new AsyncDisposableStack();
  const nats = opened.use(await startTestNats(dirs.root));
  const database = opened.use(await freshDatabase());
  const token = 'test-token-of-0123456789';
  const tokenFile = join(dirs.config, 'api-token');
  mkdirSync(dirs.config, { recursive: true });
  writeFileSync(tokenFile, token, { mode: 0o600 });
  chmodSync(tokenFile, 0o600);
  const config: ControllerConfig = {
    databaseUrl: database.url,
    natsUrl: nats.url,
    natsKeys: nats.keysDir,
    listen: { host: '127.0.0.1', port: 0 },
    addressFile: null,
    tokenFile,
    logLevel: 'silent',
    allowOldNats: false,
    retentionDays: 30,
    leakSettings: defaultLeakSettings,
    ...change,
  };
  const all = new AsyncDisposableStack();
  const start = async () => {
    const running = await startController(config, testLog());
    all.defer(() => running.close());
    return { ...running, client: createClient(running.address, token) };
  };
  const first = await start();
  const servers = opened.move();
  return {
    ...first,
    token,
    config,
    nats,
    database,
    another: start,
    async [Symbol.asyncDispose]() {
      await all.disposeAsync();
      await servers.disposeAsync();
    },
  };
}
