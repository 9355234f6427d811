/** A real nats-server in JWT mode for one test file, with credentials for whoever the test wants to be. */
import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import type { NatsKeys } from '#controller/credentials/keys.ts';
import { agentUserJwt, controllerCredentials, createUserKey, credentialsText } from '#controller/credentials/users.ts';
import { endProcess } from '#controller/up/end.ts';
import { findNatsServer } from '#controller/up/nats-find.ts';
import { startNatsServer } from '#controller/up/nats-server.ts';
import { directories } from '#shared/config.ts';

export type TestNats = {
  url: string;
  /** the directory for NSFLEET_NATS_KEYS */
  keysDir: string;
  keys: NatsKeys;
  /** text of a credentials file */
  controllerCredentials(): Promise<string>;
  agentCredentials(hostId: string): Promise<string>;
  /** the same, written to a file of mode 0600; its path */
  agentCredentialsFile(hostId: string): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts it in `root` (see temporaryDirectories) on a free port of loopback. The binary is found as `npm start` finds it. */
export async function startTestNats(root: string): Promise<TestNats> {
  const binary = await findNatsServer(process.env, directories(process.env).cache, () => undefined);
  const keysDir = join(root, 'nats-keys');
  const keys = ensureNatsKeys(keysDir);
  const dirs = { runtime: join(root, 'run'), log: join(root, 'log') };
  await using opened = new AsyncDisposableStack();
  const { part, url } = await startNatsServer(binary, keys, dirs, process.env, (started) => {
    opened.defer(async () => {
      await endProcess(started, 'SIGTERM', 5000);
    });
  });
  opened.move();
  const agentCredentials = async (hostId: string) => {
    const key = createUserKey();
    return credentialsText(await agentUserJwt(keys, hostId, key.publicKey), key.seed);
  };
  return {
    url,
    keysDir,
    keys,
    controllerCredentials: () => controllerCredentials(keys),
    agentCredentials,
    async agentCredentialsFile(hostId) {
      const dir = join(root, 'credentials');
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const path = join(dir, `${hostId}.creds`);
      writeFileSync(path, await agentCredentials(hostId), { mode: 0o600 });
      return path;
    },
    async [Symbol.asyncDispose]() {
      await endProcess(part, 'SIGTERM', 5000);
    },
  };
}
