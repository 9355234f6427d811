/** The stack's own Postgres: one server process on loopback, its data kept from start to start. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError } from '#shared/errors.ts';
import { logTail, startPart } from './part.ts';
import type { Part } from './part.ts';
import { clusterPassword, databaseName, databaseUser, ensureCluster, postgresEnvironment, unprivileged } from './postgres-cluster.ts';
import type { Cluster } from './postgres-cluster.ts';
import { endLeftServer, pidFileLines } from './postgres-left.ts';
import type { Say } from './progress.ts';
import { untilReady } from './ready.ts';

/** Warm it takes 0.1 s; after a crash it replays its log first. */
const readyMs = 60_000;
/** sun_path holds 108 bytes with its NUL; Postgres adds `/.s.PGSQL.<port>`. */
const socketPathMax = 107 - '/.s.PGSQL.65535'.length;
/** Between choosing a free port and binding it somebody else may take it. */
const portAttempts = 5;

export type PostgresServer = {
  part: Part;
  /** with the password: goes into files of mode 0600 only */
  url: string;
};

/**
 * Makes the cluster if need be, ends a server that an earlier start left on it, starts one and resolves when it takes connections.
 * `onStarted` hears of the process before it is ready. POSTGRES_START_FAILED, CHILD_DIED or DEADLINE_EXCEEDED with the end of its log.
 */
export async function startPostgres(
  cluster: Cluster,
  dirs: { runtime: string; log: string },
  say: Say,
  onStarted: (part: Part) => void,
  signal?: AbortSignal,
): Promise<PostgresServer> {
  await ensureCluster(cluster, say);
  await endLeftServer(cluster.dataDir, say);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const command = unprivileged(join(cluster.binaries, 'bin', 'postgres'), [
      '-D',
      cluster.dataDir,
      ...settings(port, dirs.runtime, cluster.settings),
    ]);
    const part = await startPart('postgres', { ...command, env: postgresEnvironment() }, dirs.log);
    onStarted(part);
    try {
      await untilReady(part, readyMs, () => (isReady(cluster.dataDir, part.pid) ? true : null), signal);
      const password = encodeURIComponent(clusterPassword(cluster));
      return { part, url: `postgres://${databaseUser}:${password}@${serverAddress(port, dirs.runtime)}` };
    } catch (error) {
      const portTaken = error instanceof NsfleetError && error.code === 'CHILD_DIED' && logTail(part).includes('Address already in use');
      if (!portTaken || attempt === portAttempts) throw error;
    }
  }
}

/** Of its unix socket, which costs a statement less than loopback does; of its port where the socket's path is too long. */
function serverAddress(port: number, runtimeDir: string): string {
  const socketDir = socketDirectory(runtimeDir);
  if (socketDir === null) return `127.0.0.1:${port}/${databaseName}`;
  return `localhost:${port}/${databaseName}?host=${encodeURIComponent(socketDir)}`;
}

function socketDirectory(runtimeDir: string): string | null {
  const dir = join(runtimeDir, 'postgres');
  return Buffer.byteLength(dir) <= socketPathMax ? dir : null;
}

function settings(port: number, runtimeDir: string, others: Readonly<Record<string, string>> = {}): string[] {
  makeDirectory(join(runtimeDir, 'postgres'));
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDirectory(runtimeDir) ?? '',
    unix_socket_permissions: '0600',
    cluster_name: 'nsfleet',
    max_connections: 200,
    // Files in the data directory, which a start after a crash cleans: /dev/shm would keep them.
    dynamic_shared_memory_type: 'mmap',
    log_timezone: 'UTC',
    timezone: 'UTC',
    ...others,
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** postmaster.pid says on line 8 when connections are taken; on line 1 it names the server, which must be ours. */
function isReady(dataDir: string, pid: number): boolean {
  const lines = pidFileLines(dataDir);
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return typeof address === 'object' && address !== null ? address.port : 0;
}
