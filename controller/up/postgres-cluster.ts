/** The embedded Postgres's data directory: made once, whole or not at all. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError } from '#shared/errors.ts';
import type { Say } from './progress.ts';
import { run } from './run.ts';
import type { RunResult } from './run.ts';

/** initdb takes 1 to 3 s, with fsync on a slow disk longer. */
const makeMs = 120_000;

export const databaseUser = 'nsfleet';
export const databaseName = 'nsfleet';

export type Cluster = {
  /** holds `bin/postgres` */
  binaries: string;
  dataDir: string;
  /** mode 0600 */
  passwordFile: string;
  /** over the settings of postgres.ts */
  settings?: Readonly<Record<string, string>>;
};

/** Makes the cluster where there is none: an interrupted attempt leaves nothing that a later one would take for a cluster. */
export async function ensureCluster(cluster: Cluster, say: Say): Promise<void> {
  if (existsSync(join(cluster.dataDir, 'PG_VERSION'))) return;
  say(`postgres: making a database cluster in ${cluster.dataDir}`);
  const staging = `${cluster.dataDir}.new`;
  rmSync(staging, { recursive: true, force: true });
  makeDirectory(dirname(cluster.dataDir));
  const password = randomBytes(32).toString('base64url');
  makeDirectory(dirname(cluster.passwordFile));
  rmSync(cluster.passwordFile, { force: true });
  writeFileSync(cluster.passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx', flush: true });
  const initdb = unprivileged(join(cluster.binaries, 'bin', 'initdb'), [
    `--pgdata=${staging}`,
    `--username=${databaseUser}`,
    `--pwfile=${cluster.passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
  ]);
  const env = postgresEnvironment();
  check('initdb', await run(initdb.file, initdb.args, { env, cwd: '/', timeoutMs: makeMs }));
  const single = unprivileged(join(cluster.binaries, 'bin', 'postgres'), ['--single', '-D', staging, 'postgres']);
  const input = `CREATE DATABASE ${databaseName};\n`;
  check('CREATE DATABASE', await run(single.file, single.args, { env, cwd: '/', timeoutMs: makeMs, input }));
  renameSync(staging, cluster.dataDir);
}

export function clusterPassword(cluster: Cluster): string {
  return readFileSync(cluster.passwordFile, 'utf8').trim();
}

/**
 * Postgres refuses to run as root, and initdb as a user who has no line in passwd(5). A user namespace makes either an ordinary user to
 * it, with no account and no change of ownership, also below a home directory of mode 0700.
 */
export function unprivileged(file: string, args: readonly string[]): { file: string; args: string[] } {
  const uids = uidsOfPasswd(readFileSync('/etc/passwd', 'utf8'));
  const own = process.geteuid?.() ?? 0;
  if (own !== 0 && uids.includes(own)) return { file, args: [...args] };
  const known = Math.min(...uids.filter((uid) => uid !== 0));
  const uid = Number.isFinite(known) ? known : 1000;
  return { file: 'unshare', args: ['--user', `--map-user=${uid}`, `--map-group=${uid}`, '--', file, ...args] };
}

function uidsOfPasswd(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    const uid = line.split(':')[2];
    return uid !== undefined && /^\d+$/.test(uid) ? [Number(uid)] : [];
  });
}

/** Nothing of the caller's environment: no PG* variable may change what is started, and no secret may end there. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

function check(step: string, result: RunResult): void {
  // Single-user mode ends with 0 whatever the statement did.
  const refused = /(FATAL|ERROR): .*/.exec(result.stderr);
  if (result.code === 0 && refused === null) return;
  throw new NsfleetError('POSTGRES_START_FAILED', {
    attempted: 'make a database cluster:',
    target: step,
    reason: result.stderr.trim().split('\n').slice(-6).join('\n'),
    remedy: 'do what the reason says, or give DATABASE_URL',
  });
}
