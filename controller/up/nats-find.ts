/** Which nats-server to run: NATS_SERVER, PATH, the cache, and at last a download. One below the minimum is passed over, and told. */
import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { NsfleetError } from '#shared/errors.ts';
import type { Environment } from '#shared/config.ts';
import { isSafeNatsVersion } from '#shared/nats-version.ts';
import { downloadNatsServer } from './nats-download.ts';
import { run } from './run.ts';
import type { Say } from './progress.ts';

/** The path of a nats-server that is new enough. */
export async function findNatsServer(env: Environment, cacheDir: string, say: Say, signal?: AbortSignal): Promise<string> {
  const asked = env['NATS_SERVER'];
  if (asked !== undefined && asked !== '') {
    const version = await versionOf(asked);
    if (version === null || !isSafeNatsVersion(version)) {
      throw new NsfleetError(version === null ? 'NATS_SERVER_MISSING' : 'NATS_TOO_OLD', {
        attempted: 'use NATS_SERVER',
        target: asked,
        reason: version === null ? '`-v` there tells no version of nats-server' : `its version is ${version}`,
      });
    }
    return asked;
  }
  const cached = join(cacheDir, 'nats-server');
  for (const path of [...onPath(env), cached]) {
    const version = await versionOf(path);
    if (version === null) continue;
    if (isSafeNatsVersion(version)) return path;
    say(`nats-server: ${path} is ${version}, which has known holes: not used`);
  }
  const downloaded = await downloadNatsServer(cacheDir, say, signal);
  const version = await versionOf(downloaded);
  if (version !== null && isSafeNatsVersion(version)) {
    say(`nats-server: ${version} is ready`);
    return downloaded;
  }
  throw new NsfleetError('NATS_SERVER_MISSING', {
    attempted: 'find',
    target: 'nats-server',
    reason: version === null ? `the downloaded ${downloaded} does not run here` : `the mirror has only ${version}`,
  });
}

function onPath(env: Environment): string[] {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => isAbsolute(dir))
    .map((dir) => join(dir, 'nats-server'))
    .filter((path) => existsSync(path));
}

async function versionOf(path: string): Promise<string | null> {
  if (!existsSync(path)) return null;
  const result = await run(path, ['-v'], { timeoutMs: 10_000 });
  return (result.code === 0 && /^nats-server: v(\d+\.\d+\.\d+\S*)/.exec(result.stdout)?.[1]) || null;
}
