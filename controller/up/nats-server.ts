/** The stack's own nats-server: JWT mode, loopback, a port of its own choice. */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsKeys } from '#controller/credentials/keys.ts';
import { serverConfig } from '#controller/credentials/server-config.ts';
import { makeDirectory } from '#controller/make-directory.mjs';
import { startPart } from './part.ts';
import type { Part } from './part.ts';
import { untilReady } from './ready.ts';

/** Measured: 20 ms. */
const readyMs = 15_000;

export type NatsServer = { part: Part; url: string };

/**
 * Starts `binary` with a configuration made from `keys` in `runtimeDir` and resolves when it listens. CHILD_DIED with the end of its
 * log where it does not.
 */
export async function startNatsServer(
  binary: string,
  keys: NatsKeys,
  dirs: { runtime: string; log: string },
  env: NodeJS.ProcessEnv,
  onStarted: (part: Part) => void,
  signal?: AbortSignal,
): Promise<NatsServer> {
  const dir = join(dirs.runtime, 'nats');
  rmSync(dir, { recursive: true, force: true });
  makeDirectory(dir);
  const configFile = join(dir, 'nats.conf');
  const settings = { host: '127.0.0.1', port: -1, portsFileDir: dir, pidFile: join(dir, 'nats.pid') };
  writeFileSync(configFile, await serverConfig(keys, settings), { mode: 0o600 });
  const part = await startPart('nats', { file: binary, args: ['-c', configFile], env }, dirs.log);
  onStarted(part);
  return { part, url: await untilReady(part, readyMs, () => readPort(dir), signal) };
}

/** The server writes `nats-server_<pid>.ports` when it listens. */
function readPort(dir: string): string | null {
  const file = readdirSync(dir).find((name) => name.endsWith('.ports'));
  return file === undefined ? null : parsePorts(readFileSync(join(dir, file), 'utf8'));
}

/** Null while the file is still being written. */
function parsePorts(text: string): string | null {
  try {
    const ports = JSON.parse(text) as { nats?: string[] };
    return ports.nats?.[0] ?? null;
  } catch {
    return null;
  }
}
